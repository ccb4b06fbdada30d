"""The WebSocket of a caller: every route that answers JSON, over one socket (contract: `/connect`)."""

from __future__ import annotations

import structlog

from lambdamesh.core.limits import Limits
from lambdamesh.core.relay import Flight
from lambdamesh.door.door import Door
from lambdamesh.door.head import Head
from lambdamesh.door.request import Fields, Request
from lambdamesh.door.responses import error_body
from lambdamesh.door.websocket import Socket
from lambdamesh.errors import BadRequest, CallerOverloaded, HeadTooLarge, MeshError
from lambdamesh.protocol.json_rpc_caller import Asked, CallerSession
from lambdamesh.protocol.json_text import NULL, pretty

log = structlog.get_logger(__name__)

# The head of the handshake is that of the socket, not of each request: its preferences are not theirs.
_PLAIN = Head([], 0, Limits())
_WANTS_NO_ANSWER = Head([(b"Prefer", b"respond-async")], 0, Limits())


class Question(Request):
    """One request of a caller's socket, which is its own ``Reply``."""

    __slots__ = ("_flight", "_id", "_socket")

    owns_connection = False

    def __init__(self, socket: CallerSocket, asked: Asked, verb: bytes, target: bytes) -> None:
        head = _WANTS_NO_ANSWER if asked.is_notification and asked.fault is None else _PLAIN
        super().__init__(verb, target, head, socket.handshake.admission)
        self._socket: CallerSocket | None = socket
        self._id = asked.id
        self._flight: Flight | None = None
        self.body = asked.body

    def in_flight(self, flight: Flight | None) -> None:
        """Remember a call, to cancel it should the caller go (``Reply``)."""
        self._flight = flight

    def cancel(self) -> None:
        """The caller has gone."""
        self._socket = None
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()

    def result(self, raw: bytes) -> None:
        """Answer a call with its result (``Reply``)."""
        self.respond(200, raw)

    def item(self, raw: bytes) -> None:
        """This codec has no streams (``Reply``)."""

    def fault(self, error: MeshError) -> None:
        """Answer a call with its error (``Reply``)."""
        self.refuse(error)

    def respond(self, status: int, body: bytes, fields: Fields = ()) -> None:
        """Answer (``Reply``)."""
        socket = self._settle()
        if socket is not None:
            socket.session.answer(self._id, pretty(body) if self.pretty else body or NULL)

    def refuse(self, error: MeshError) -> None:
        """Answer with an error (``Reply``)."""
        socket = self._settle()
        if socket is not None:
            body = error_body(error, self.is_call)
            socket.session.refuse(self._id, error.http_status, pretty(body) if self.pretty else body)

    def _settle(self) -> CallerSocket | None:
        socket, self._socket, self._flight = self._socket, None, None
        if socket is not None and socket.questions.get(self._id) is self:
            del socket.questions[self._id]
        return None if self.head is _WANTS_NO_ANSWER else socket


class CallerSocket(Socket):
    """A socket that asks. ``questions`` holds those without an answer by the id that the caller gave them."""

    __slots__ = ("_answers_bytes", "handshake", "questions", "session")

    def __init__(self, door: Door, handshake: Request) -> None:
        super().__init__(door, handshake.peer)
        self.handshake = handshake
        self.questions: dict[bytes, Question] = {}
        self._answers_bytes = 0
        self.session = CallerSession(self.send, self._ask, door.bounds)

    def message(self, message: bytes, utf8_checked: bool) -> None:
        """Read requests; a caller that does not take its answers is not read until it does."""
        self.session.receive(message, utf8_checked)
        self.account_unfinished(self.session.framing)

    def pause_writing(self) -> None:
        """Read no more questions while their answers pile up (asyncio)."""
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on (asyncio)."""
        super().resume_writing()
        self._release_answers()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, message: bytes) -> None:
        """Send an answer; what piles up counts against what all large buffers may hold together."""
        super().send(message)
        if not self.congested:
            return
        missing_bytes = self.waiting_bytes - self._answers_bytes
        if missing_bytes <= 0 or self.door.budget.reserve(missing_bytes):
            self._answers_bytes += max(missing_bytes, 0)
            return
        self.door.counters.overloaded_buffers += 1
        self.abort("error")

    def _release_answers(self) -> None:
        self.door.budget.release(self._answers_bytes)
        self._answers_bytes = 0

    def _ask(self, asked: Asked) -> None:
        verb, _, target = asked.method.rpartition(" ")
        question = Question(self, asked, verb.encode(errors="replace") or b"POST", target.encode(errors="replace"))
        question.ray = self.door.rays.mint()
        question.peer = self.peer
        question.refusal = self._refusal(asked)
        if question.refusal is None and not asked.is_notification:
            self.questions[asked.id] = question
        try:
            self.door.routes.dispatch(question, question)
        except MeshError as error:
            question.refuse(error)
        except Exception:
            log.exception("internal_error", ray=question.ray.decode(), once_a_minute=True)
            question.refuse(MeshError("this node has a bug: look for the ray in its log"))

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
        return None

    def ended(self, reason: str, final: bool) -> None:
        """Cancel what is in flight."""
        questions, self.questions = self.questions, {}
        for question in questions.values():
            question.cancel()
        self.session.release()
        self._release_answers()
