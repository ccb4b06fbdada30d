"""How one HTTP/1.1 connection answers the request in hand: at once, bit by bit, or by becoming a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lambdamesh.core.flight import Flight
from lambdamesh.door.door import Door
from lambdamesh.door.listening import be_patient
from lambdamesh.door.request import Adopting, Drained, Fields, Request
from lambdamesh.door.responses import JSON_TYPE, error_body
from lambdamesh.errors import MeshError
from lambdamesh.protocol.json_text import pretty

_CHUNKED = ((b"Transfer-Encoding", b"chunked"),)
_LAST_CHUNK = b"0\r\n\r\n"
_COPIED_BYTES = 64 * 1024
"""A longer result is written behind its head: to put both into one piece would take as long as everything else."""


class Replying:
    """The half of a connection that is the ``Reply`` of the request in hand (``_current``).

    Whoever reads the requests is a subclass, and is told by ``_answered`` when the next may be taken.
    """

    owns_connection = True

    _current: Request | None
    _door: Door
    _flight: Flight | None
    _is_patient: bool
    """Whether the caller may take what waits for it as slowly as the items of a stream."""
    _lingering: bool
    _story: Drained | None
    """Who writes the answer of a call that goes on."""
    _streamed_bytes: int
    _streaming: bool
    """Whether the answer goes on until one side closes."""
    _tail: bytes
    _transport: asyncio.Transport
    _write: Callable[[bytes], None]
    _write_paused: bool

    def _answered(self, request: Request) -> None:
        """The request has its answer."""
        raise NotImplementedError

    def _cut_stuck(self) -> None:
        """The caller does not read: cut it."""
        raise NotImplementedError

    def _disown(self) -> None:
        """The connection is somebody else's from now on."""
        raise NotImplementedError

    # -- answers that are whole ---------------------------------------------------------------------------------

    def in_flight(self, flight: Flight | None) -> None:
        """Remember a call, to cancel it should the caller go (``Reply``)."""
        if flight is not None:
            self._flight = flight

    def result(self, raw: bytes) -> None:
        """Answer a call with its result, byte for byte (``Reply``)."""
        request = self._current
        if request is None:
            return
        if request.pretty or not request.keep_alive or request.keep_alive_said or request.admission.cors:
            self.respond(200, raw)
            return
        size_bytes = len(raw)
        if size_bytes > _COPIED_BYTES:
            self._write(b"%b%b\r\nContent-Length: %d\r\n\r\n" % (self._door.status_lines.ok, request.ray, size_bytes))
            self._write(raw)
        else:
            ok = self._door.status_lines.ok
            self._write(b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (ok, request.ray, size_bytes, raw))
        self._answered(request)

    def item(self, raw: bytes) -> None:
        """A plain caller gets the result only (``Reply``)."""

    def fault(self, error: MeshError) -> None:
        """Answer a call with its error (``Reply``)."""
        self.refuse(error)

    def refuse(self, error: MeshError) -> None:
        """Answer with an error (``Reply``)."""
        if self._current is not None:
            self.respond(error.http_status, error_body(error, self._current.is_call), error.headers)

    def respond(self, status: int, body: bytes, fields: Fields = ()) -> None:
        """Answer (``Reply``)."""
        request = self._current
        if request is None:
            return
        content_type = JSON_TYPE if body else b""
        if fields and fields[0][0] == b"Content-Type":
            content_type, fields = fields[0][1], fields[1:]
        elif request.pretty and body:
            body = pretty(body)
        self._write_head(request, status, content_type, fields, b"" if status == 204 else b"%d" % len(body))
        if body and request.verb != b"HEAD":
            self._write(body)
        self._answered(request)

    def _write_head(self, request: Request, status: int, content_type: bytes, fields: Fields, length: bytes) -> None:
        parts = [self._door.status_lines.opening(status, content_type), request.ray, b"\r\n", request.admission.cors]
        parts += [b"%b: %b\r\n" % field for field in fields]
        if not request.keep_alive:
            parts.append(b"Connection: close\r\n")
        elif request.keep_alive_said:
            parts.append(b"Connection: keep-alive\r\n")
        if length:
            parts.append(b"Content-Length: %b\r\n" % length)
        parts.append(b"\r\n")
        self._write(b"".join(parts))

    # -- answers that go on -------------------------------------------------------------------------------------

    def stream(self, content_type: bytes) -> bool:
        """Begin an answer that goes on until one side closes; ``send`` adds to it. ``False`` where it has ended."""
        request = self._current
        if request is None:
            return False
        request.keep_alive = False
        self._write_head(request, 200, content_type, (), b"")
        if request.verb == b"HEAD":
            self._answered(request)
            return False
        self._streaming = True
        return True

    def send(self, piece: bytes) -> None:
        """Add to a stream; a reader whose queue is over its bound is cut."""
        if not (self._lingering or self._transport.is_closing()):
            self._streamed_bytes += len(piece)
            self._write(piece)
            if self._write_paused and self._transport.get_write_buffer_size() > self._door.limits.queue_bytes:
                self._cut_stuck()

    @property
    def is_behind(self) -> bool:
        """Whether more of the answer waits than should (``HttpReply``)."""
        return self._write_paused

    def begin(self, content_type: bytes, written: Drained) -> None:
        """Begin the answer of a call that goes on; ``written`` is told when it may go on faster (``HttpReply``)."""
        request = self._current
        if request is None:
            return
        self._story = written
        # Its caller reads as slowly as it likes, and shall not have the system hold what it has not read either.
        self._is_patient = True
        be_patient(self._transport, self._door.limits.stream_stall_s)
        if request.head.is_http10:
            request.keep_alive = False
        self._write_head(request, 200, content_type, () if request.head.is_http10 else _CHUNKED, b"")

    def add(self, piece: bytes) -> None:
        """Add to the answer of a call (``HttpReply``)."""
        request = self._current
        if request is None or self._transport.is_closing():
            return
        chunk = piece if request.head.is_http10 else b"%x\r\n%b\r\n" % (len(piece), piece)
        self._streamed_bytes += len(chunk)
        self._write(chunk)

    def finish(self) -> None:
        """The answer is whole (``HttpReply``)."""
        request = self._current
        if request is None:
            return
        self._story = None
        if not request.head.is_http10 and not self._transport.is_closing():
            self._streamed_bytes += len(_LAST_CHUNK)
            self._write(_LAST_CHUNK)
        if self._transport.get_write_buffer_size() > self._door.limits.queue_bytes:
            # Of a stream little waits at a time: this is one long result, which is to be taken as any other.
            self._lose_patience()
        self._answered(request)

    def _lose_patience(self) -> None:
        """The stream is over, and taken but for little: from now on the caller keeps pace."""
        self._is_patient = False
        be_patient(self._transport, self._door.limits.write_deadline_s)

    # -- answers that end the HTTP ------------------------------------------------------------------------------

    def upgrade(self, socket: Adopting, fields: Fields) -> None:
        """Answer 101 with ``fields`` and hand the connection to ``socket``."""
        request, self._current = self._current, None
        if request is None:
            return
        tail, self._tail = self._tail, b""
        self._disown()
        standing = ((b"X-Content-Type-Options", b"nosniff"), (b"Cache-Control", b"no-store"), (b"X-Ray", request.ray))
        socket.adopt(self._transport, request.head.fields, (*fields, *standing), tail)
