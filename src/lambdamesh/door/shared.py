"""The lambdas that a caller opened over its own socket: ten thousand of them need no other (contract: `/connect`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.door.door import Door
from lambdamesh.door.provider import GOING_DOWN
from lambdamesh.door.question import Question
from lambdamesh.door.registration import registration_headers
from lambdamesh.door.request import Request
from lambdamesh.errors import (
    BadRequest,
    CallerOverloaded,
    Draining,
    Forbidden,
    LambdaLost,
    LambdaNotFound,
    MeshError,
    NotFound,
)
from lambdamesh.protocol import json_rpc_2
from lambdamesh.protocol.json_rpc_2_caller import CallerSession
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.session import Bounds, SessionCounters

_OPEN_BYTES = 64 * 1024
_SHARES = 4
"""One lambda may fill one of so many parts of the queue."""


class SharedSocket(Protocol):
    """The socket that they share."""

    door: Door
    handshake: Request

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the other side has not taken yet."""

    def send(self, message: bytes) -> None:
        """Send one message."""


class _Open(msgspec.Struct, gc=False):
    id: str | None = None
    key: str | None = None
    grace_s: float | None = None
    keep: list[int] = []


class _Close(msgspec.Struct, gc=False):
    id: str


_decode_open = msgspec.json.Decoder(_Open).decode
_decode_close = msgspec.json.Decoder(_Close).decode


class Share:
    """The place of one lambda on a socket that it shares (``core.ports.Seat``).

    It has had its part of the queue where so many bytes were sent to it since the queue was last shorter than that.
    What is sent before ``announced`` waits: the client is to hear of the lambda first. ``left`` is why and how it was
    left before it was taken.
    """

    __slots__ = ("_early", "_lambdas", "_period", "_sent_bytes", "left", "provider", "text")

    code = json_rpc_2.CODE

    def __init__(self, lambdas: SharedLambdas, text: bytes, counters: SessionCounters, bounds: Bounds) -> None:
        self._lambdas = lambdas
        self._period = 0
        self._sent_bytes = 0
        self._early: list[bytes] | None = []
        self.left: tuple[str, bool] | None = None
        self.text = text
        self.provider = LambdaCalls(self._send, counters, bounds, text, (b'"%b.' % text, b'"'))
        self.provider.has_meta = True

    @property
    def congested(self) -> bool:
        """Whether this lambda has had its part of the queue, or all together have had all of it."""
        return self._lambdas.is_filled(self._sent_bytes if self._period == self._lambdas.period else 0)

    def announced(self) -> None:
        """The client knows of the lambda: send what has waited for that."""
        early, self._early = self._early, None
        for message in early or ():
            self._send(message)

    def _send(self, message: bytes) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        lambdas = self._lambdas
        if self._period != lambdas.period:
            self._period = lambdas.period
            self._sent_bytes = 0
        size_bytes, room_bytes = len(message), lambdas.part_bytes - self._sent_bytes
        self._sent_bytes += size_bytes
        if room_bytes > 0:
            lambdas.crowd_bytes += size_bytes if size_bytes < room_bytes else room_bytes
        lambdas.socket.send(message)

    def close(self, code: int, reason: str) -> None:
        """Tell the client that this lambda has ended; the others go on."""
        self._lambdas.closed(self, code, reason)


class SharedLambdas:
    """Opens and closes the lambdas of one socket. ``part_bytes`` is what one of them may fill of the queue.

    A ``period`` ends when the queue is found shorter than that; ``crowd_bytes`` were sent in it to all of them, of each
    no more than its part.
    """

    __slots__ = ("_headers", "_seats", "_session", "crowd_bytes", "part_bytes", "period", "socket")

    def __init__(self, socket: SharedSocket, session: CallerSession) -> None:
        self.socket = socket
        self.part_bytes = socket.door.limits.queue_bytes // _SHARES
        self.crowd_bytes = 0
        self.period = 0
        self._session = session
        self._seats: dict[bytes, Share] = {}
        self._headers: bytes | None = None

    def is_filled(self, sent_bytes: int) -> bool:
        """Whether a lambda to which so much was sent in this period has to wait; begin another where it is over."""
        if self.socket.waiting_bytes <= self.part_bytes:
            self.period += 1
            self.crowd_bytes = 0
            return False
        # What one of them has sent beyond its part is its own affair: the others have theirs all the same.
        return sent_bytes > self.part_bytes or self.crowd_bytes > self.part_bytes * _SHARES

    def endpoint(self, method: str) -> Callable[[Question], None]:
        """Find who answers a request that is no route of HTTP."""
        return {"lambda.open": self._open, "lambda.close": self._close}.get(method, _refuse_unknown)

    def _open(self, question: Question) -> None:
        door = self.socket.door
        if question.wishes.respond_async:
            raise BadRequest("lambda.open is a request: without an id nobody would hear of the lambda")
        if not door.is_ready:
            raise Draining(GOING_DOWN)
        if len(question.body) > _OPEN_BYTES:
            raise BadRequest(f"lambda.open takes at most {_OPEN_BYTES} bytes")
        try:
            wanted = _decode_open(question.body if question.body != b"null" else b"{}")
        except msgspec.MsgspecError as error:
            raise BadRequest(f"lambda.open: {error}") from None
        if len(self._seats) >= door.limits.socket_lambdas and (wanted.id or "").encode() not in self._seats:
            door.counters.overloaded_socket += 1
            raise CallerOverloaded(f"this socket has opened {door.limits.socket_lambdas} lambdas: open another socket")
        claim = self._claim(wanted)
        if claim.is_new:
            self._seat(question, claim, Grant(door.keys.mint(claim.text, door.clock.unix_ms / 1000)), ())
            return

        def heard(outcome: Grant | MeshError) -> None:
            if isinstance(outcome, Grant):
                still_held = frozenset(wanted.keep)
                keep = tuple(number for number in outcome.pending if number in still_held)
                self._seat(question, claim, outcome, keep)
            else:
                door.counters.reopens_refused += 1
                question.refuse(outcome)

        door.claims.claim(claim, heard)

    def _seat(self, question: Question, claim: Claim, grant: Grant, keep: tuple[int, ...]) -> None:
        door = self.socket.door
        seat = Share(self, claim.text, door.sessions, door.bounds)
        # A seat of the same client is not told of its end: the new one has its place already.
        before = self._seats.get(claim.text)
        self._seats[claim.text] = seat

        def taken(refusal: MeshError | None) -> None:
            if refusal is None:
                self._taken(seat, before)
                told = {
                    "id": claim.text.decode(),
                    "resume_key": grant.resume_key.decode(),
                    "grace_s": claim.grace_s,
                    "pending": keep,
                }
                question.respond(200, msgspec.json.encode(told))
                seat.announced()
            else:
                self._refused(seat, before)
                question.refuse(refusal)

        door.claims.take(claim, seat, keep, taken)

    def _taken(self, seat: Share, before: Share | None) -> None:
        if seat.left is not None:
            # Nobody wanted it any more when its home had agreed.
            self.socket.door.registry.leave(seat.text, seat, *seat.left, time.monotonic())
            return
        self._session.lambdas[seat.text] = seat.provider
        if before is not None:
            before.provider.release()

    def _refused(self, seat: Share, before: Share | None) -> None:
        self.socket.door.counters.reopens_refused += 1
        if self._seats.get(seat.text) is seat:
            del self._seats[seat.text]
            if before is not None and before.left is None:
                self._seats[seat.text] = before
        seat.provider.end(LambdaLost("the lambda could not be re-opened where it is: the call may have run"))

    def _claim(self, wanted: _Open) -> Claim:
        door = self.socket.door
        grace_s = door.limits.grace_s if wanted.grace_s is None else wanted.grace_s
        if not 0 <= grace_s <= door.limits.grace_max_s:
            raise BadRequest(f"grace_s is a number from 0 to {door.limits.grace_max_s:g}")
        if self._headers is None:
            self._headers = registration_headers(self.socket.handshake, json_rpc_2.CODE.encode())
        if wanted.id is None:
            return Claim(door.mint(True).text, True, Key.NONE, grace_s, self._headers)
        text = wanted.id.encode("utf-8", "replace")
        shown = b"" if wanted.key is None else wanted.key.encode("utf-8", "replace")
        if wanted.key is None and not self.socket.handshake.admission.is_own:
            raise Forbidden("a page of another origin re-opens a lambda with its key only")
        key = Key.WRONG if wanted.key == "" else door.judge(shown, text)
        return Claim(text, False, key, grace_s, self._headers, shown, door.name)

    def _close(self, question: Question) -> None:
        try:
            text = _decode_close(question.body).id.encode("utf-8", "replace")
        except msgspec.MsgspecError as error:
            raise BadRequest(f"lambda.close: {error}") from None
        seat = self._seats.get(text)
        if seat is None:
            raise LambdaNotFound("this socket has not opened such a lambda, or it has ended")
        self._leave(seat, "closed", True)
        question.respond(200, b"{}")

    def closed(self, seat: Share, code: int, reason: str) -> None:
        """One lambda has been taken away: deleted, or re-opened elsewhere."""
        if self._seats.get(seat.text) is seat:
            self._forget(seat)
            self._session.closed(seat.text, code, reason)

    def ended(self, reason: str, final: bool) -> None:
        """The socket has ended: leave every lambda."""
        for seat in tuple(self._seats.values()):
            self._leave(seat, reason, final)

    def _leave(self, seat: Share, reason: str, final: bool) -> None:
        seat.left = (reason, final)
        self._forget(seat)
        self.socket.door.registry.leave(seat.text, seat, reason, final, time.monotonic())

    def _forget(self, seat: Share) -> None:
        self._seats.pop(seat.text, None)
        self._session.lambdas.pop(seat.text, None)
        seat.provider.release()


def _refuse_unknown(_question: Question) -> None:
    raise NotFound("there is no such method: ask for a route (POST /lambda/ID/METHOD), lambda.open or lambda.close")
