"""The WebSocket of a caller: every route that answers JSON, over one socket (contract: `/connect`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from lambdamesh.door.door import Door
from lambdamesh.door.question import Question, Session, timeout_fault
from lambdamesh.door.request import Request
from lambdamesh.door.shared import SharedLambdas
from lambdamesh.door.targets import REMEMBERED_BYTES, REMEMBERED_TARGETS
from lambdamesh.door.unforeseen import unforeseen
from lambdamesh.door.websocket import Socket
from lambdamesh.errors import BadRequest, CallerOverloaded, HeadTooLarge, MeshError
from lambdamesh.protocol import json_rpc_2
from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.json_rpc_2_caller import CallerSession as Session2
from lambdamesh.protocol.json_rpc_caller import CallerSession as Session1


def _parts(method: str) -> tuple[bytes, bytes]:
    """Take ``POST /path`` apart; a path alone means POST."""
    verb, _, target = method.rpartition(" ")
    return verb.encode(errors="replace") or b"POST", target.encode(errors="replace")


_known_parts = lru_cache(REMEMBERED_TARGETS)(_parts)


class CallerSocket(Socket):
    """A socket that asks (``Asker``), and with ``json-rpc-2.0`` answers for the lambdas that it opens."""

    __slots__ = ("_lambdas", "handshake", "questions", "session")

    def __init__(self, door: Door, handshake: Request, code: str) -> None:
        super().__init__(door, handshake.peer)
        self.handshake = handshake
        self.questions: dict[bytes, Question] = {}
        self._lambdas: SharedLambdas | None = None
        self.session: Session
        if code == json_rpc_2.CODE:
            self.session = session = Session2(self.send, self, door.sessions, door.limits.stream_credit)
            self._lambdas = SharedLambdas(self, session)
        else:
            self.session = Session1(self.send, self.ask, door.bounds)

    def message(self, message: bytes, utf8_checked: bool) -> None:
        """Read requests; a caller that does not take its answers is not read until it does."""
        self.session.receive(message, utf8_checked)
        framing = self.session.framing
        if framing is not None:
            self.account_unfinished(framing)

    def pause_writing(self) -> None:
        """Read no more questions while their answers pile up (asyncio)."""
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, and have more items come (asyncio)."""
        super().resume_writing()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        for question in tuple(self.questions.values()):
            question.credit(0)

    @property
    def is_heard(self) -> bool:
        """Whether questions are to be read."""
        return not self.congested

    def announce_end(self) -> None:
        """Have it ask nothing more here: what its requests and our close overtake of each other is lost."""
        if isinstance(self.session, Session2):
            self.session.announce_end()

    @property
    def has_heard(self) -> bool:  # type: ignore[override]
        """Whether it has answered that."""
        return self._ended or not isinstance(self.session, Session2) or self.session.has_heard

    def send(self, message: bytes) -> None:
        """Send an answer; what piles up counts against what all large buffers may hold together."""
        super().send(message)
        if self.congested:
            self._hold_backlog()

    # -- requests (``Asking``) ----------------------------------------------------------------------------------

    def ask(self, asked: Asked) -> None:
        """Have one request answered."""
        method = asked.method
        verb, target = _known_parts(method) if len(method) < REMEMBERED_BYTES else _parts(method)
        question = Question(self, asked, verb, target)
        question.ray = self.door.rays.mint()
        question.peer = self.peer
        question.refusal = self._refusal(asked)
        if question.refusal is None and not asked.is_notification:
            self.questions[asked.id] = question
        endpoint = None if "/" in method or self._lambdas is None else self._lambdas.endpoint(method)
        self._answer(question, endpoint)

    def _answer(self, question: Question, endpoint: Callable[[Question], None] | None) -> None:
        try:
            if endpoint is None:
                self.door.routes.dispatch(question, question)
            elif question.refusal is not None:
                question.refuse(question.refusal)
            else:
                endpoint(question)
        except MeshError as error:
            question.refuse(error)
        except Exception as error:
            question.refuse(unforeseen(error, question.ray))

    def cancel(self, request_id: bytes) -> None:
        """Nobody waits for the answer of a request any more: cancel its call."""
        question = self.questions.get(request_id)
        if question is not None:
            question.cancel()

    def credit(self, request_id: bytes, add: int) -> None:
        """Let ``add`` more items of a stream come."""
        question = self.questions.get(request_id)
        if question is not None:
            question.credit(add)

    def _refusal(self, asked: Asked) -> MeshError | None:
        limit = self.door.limits.caller_calls
        if len(asked.method) > self.door.limits.head_bytes:
            return HeadTooLarge(f"a verb and a path are at most {self.door.limits.head_bytes} bytes")
        if asked.fault is not None:
            return BadRequest(asked.fault)
        if asked.id in self.questions:
            return BadRequest("this id is in use by a request that has no answer yet")
        if len(self.questions) >= limit:
            self.door.counters.overloaded_caller += 1
            return CallerOverloaded(f"{limit} requests of this socket have no answer yet: wait for some")
        return None if asked.timeout_s is None else timeout_fault(asked)

    def ended(self, reason: str, final: bool) -> None:
        """Cancel what is in flight, and leave the lambdas that were opened here."""
        for question in tuple(self.questions.values()):
            question.cancel()
        if self._lambdas is not None:
            self._lambdas.ended(reason, final)
            self._lambdas = None
        self.session.release()
