"""One request of a caller's socket, which is its own ``Reply``."""

from __future__ import annotations

from typing import Protocol

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.door.door import Door
from lambdamesh.door.head import Head, Wishes
from lambdamesh.door.request import Fields, Request
from lambdamesh.door.responses import error_fields
from lambdamesh.errors import BadRequest, MeshError
from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.json_rpc_2_caller import CallerSession as Session2
from lambdamesh.protocol.json_rpc_caller import CallerSession as Session1
from lambdamesh.protocol.json_text import NULL, pretty

Session = Session1 | Session2

# The head of the handshake is that of the socket, not of each request: its preferences are not theirs.
_PLAIN = Head([], 0, Limits())
_WANTS_NO_ANSWER = Wishes(respond_async=True)


class Asker(Protocol):
    """The socket of a caller. ``questions`` holds those without an answer by the id that the caller gave them."""

    congested: bool
    door: Door
    handshake: Request
    questions: dict[bytes, Question]
    session: Session


class Question(Request):
    """One request of a caller's socket."""

    __slots__ = ("_flight", "_granted", "_id", "_socket")

    owns_connection = False
    is_read = True

    def __init__(self, socket: Asker, asked: Asked, verb: bytes, target: bytes) -> None:
        super().__init__(verb, target, _PLAIN, socket.handshake.admission)
        self._socket: Asker | None = socket
        self._id = asked.id
        self._flight: Flight | None = None
        self._granted = 0
        self.body = asked.body
        if asked.is_notification and asked.fault is None:
            self.wishes = _WANTS_NO_ANSWER
            if asked.traceparent:
                self.wishes = Wishes(respond_async=True, traceparent=asked.traceparent)
        elif asked.timeout_s is not None or asked.credit or asked.traceparent:
            self.wishes = Wishes(asked.timeout_s, traceparent=asked.traceparent, credit=asked.credit)

    def in_flight(self, flight: Flight | None) -> None:
        """Remember a call, to cancel it should the caller go (``Reply``)."""
        self._flight = flight

    def cancel(self) -> None:
        """The caller has gone, or does not want the answer any more."""
        self._settle()
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()

    def credit(self, add: int) -> None:
        """The caller takes ``add`` more items, once it has taken what waits for it."""
        self._granted += add
        if self._granted and self._flight is not None and self._socket is not None and not self._socket.congested:
            granted, self._granted = self._granted, 0
            self._flight.credit(granted)

    def result(self, raw: bytes) -> None:
        """Answer a call with its result (``Reply``)."""
        self.respond(200, raw)

    def item(self, raw: bytes) -> None:
        """Pass one value of a stream on (``Reply``)."""
        if self._socket is not None:
            self._socket.session.item(self._id, raw)

    def fault(self, error: MeshError) -> None:
        """Answer a call with its error (``Reply``)."""
        self.refuse(error)

    def respond(self, status: int, body: bytes, fields: Fields = ()) -> None:
        """Answer (``Reply``)."""
        socket = self._settle()
        if socket is not None:
            self._flight = None
            socket.session.answer(self._id, pretty(body) if self.pretty else body or NULL)

    def refuse(self, error: MeshError) -> None:
        """Answer with an error (``Reply``)."""
        socket = self._settle()
        if socket is not None:
            self._flight = None
            fields = error_fields(error, self.is_call)
            socket.session.refuse(self._id, error.http_status, fields, self.ray)

    def _settle(self) -> Asker | None:
        socket, self._socket = self._socket, None
        if socket is not None and socket.questions.get(self._id) is self:
            del socket.questions[self._id]
        return None if self.wishes.respond_async else socket


def timeout_fault(asked: Asked) -> MeshError | None:
    """Say what is wrong with the time that a request asks for."""
    if asked.timeout_s is not None and not 0 < asked.timeout_s < float("inf"):
        return BadRequest("meta: timeout_ms is more than 0")
    return None
