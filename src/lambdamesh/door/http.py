"""One HTTP/1.1 connection: requests are answered one at a time, in order, and no phase of it takes for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import structlog

from lambdamesh.core.flight import Flight
from lambdamesh.core.wheel import Slot
from lambdamesh.door.bodies import READ_BYTES
from lambdamesh.door.door import Door
from lambdamesh.door.listening import has_gone
from lambdamesh.door.reading import Phase, RequestReader
from lambdamesh.door.replying import Replying
from lambdamesh.door.request import Drained, Request
from lambdamesh.door.unforeseen import unforeseen
from lambdamesh.errors import MeshError, RequestTimeout

log = structlog.get_logger(__name__)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PACE_CHECK_S = 1.0
_PRESENCE_CHECK_S = 1.0
_FIRST_WORD_S = 2.0
"""How long a connection that is new when the node goes down may take to say what it wants."""
_BETWEEN = Phase.BETWEEN


class HttpConnection(Replying, asyncio.BufferedProtocol):
    """Has the door's routes answer what its reader reads.

    It is the ``Reply`` of the request in hand (``_current``), where its reader puts requests (``Requests``), and an
    ``Expiring`` for its own time limits.
    """

    def __init__(self, door: Door, peer: str) -> None:
        self._door = door
        self._peer = peer
        self._reader = RequestReader(door.reading, self)
        self._current: Request | None = None
        self._flight: Flight | None = None
        self._story: Drained | None = None
        self._queue: deque[Request] = deque()
        self._queued_bytes = 0
        self._tail = b""
        self._slot: Slot | None = None
        self._armed_at = 0.0
        self._watched_since = 0.0
        self._watched_stage = 0
        self._paused_since = 0.0
        self._taken_bytes = self._streamed_bytes = 0
        self._continue_owed = self._lingering = self._pumping = self._reading_paused = False
        self._has_left = self._is_patient = self._spoken = self._streaming = self._write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._idle_since = self._door.clock.now
        self._door.connections[self] = None
        self._arm(self._idle_since + self._door.limits.silent_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: whatever is in flight is cancelled (asyncio)."""
        self._disown()
        self._door.connection_closed()
        flight, self._flight, self._current = self._flight, None, None
        if flight is not None:
            flight.cancel()
        if self._streaming:
            self._door.unsubscribe(self)
        story, self._story = self._story, None
        if story is not None:
            story.dropped()

    def _disown(self) -> None:
        """Leave the door's care: the connection has ended, or speaks WebSocket from now on."""
        self._has_left = True
        self._reading_paused = False
        self._door.connections.pop(self, None)
        if self._slot is not None:
            self._slot.pop(self, None)
            self._slot = None
        self._queue.clear()
        self._reader.release()
        # Reader and connection hold one another: without this, only the cycle collector would free the two.
        del self._reader

    def eof_received(self) -> bool:
        """The other side has finished: so have we (asyncio)."""
        return False

    def pause_writing(self) -> None:
        """The other side reads slower than it asks: answer nothing more until it has caught up (asyncio)."""
        self._write_paused = True
        self._watch_writing()

    def resume_writing(self) -> None:
        """It has caught up (asyncio)."""
        self._write_paused = False
        if self._story is not None:
            self._story.drained()
        self._pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Take little at a time, into a buffer that all connections share: it is read at once (asyncio)."""
        return self._door.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read on (asyncio)."""
        reader = self._reader
        try:
            chunk = bytes(self._door.read_buffer[:nbytes])
        except MemoryError as error:
            reader.starve(error)
            return
        reader.feed(chunk)
        if reader.phase is not _BETWEEN:
            self._watch_arrival(reader)
        if nbytes > READ_BYTES and reader.phase is not Phase.BODY and not (self._has_left or self._reading_paused):
            # Whoever floods the node has to let the others have their turn.
            self._transport.pause_reading()
            self._door.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not (self._has_left or self._reading_paused or self._transport.is_closing()):
            self._transport.resume_reading()

    # -- requests, one at a time --------------------------------------------------------------------------------

    def request(self, request: Request) -> None:
        """Answer a request now, or when those before it are answered (``Requests``)."""
        self._continue_owed = False
        if self._lingering:
            return
        if not (self._current or self._queue or self._write_paused):
            if self._is_patient:
                self._lose_patience()
            self._begin(request)
            return
        self._queue.append(request)
        self._queued_bytes += len(request.body)
        limits = self._door.limits
        if len(self._queue) >= limits.pipeline_requests or self._queued_bytes > limits.queue_bytes:
            self._pause_reading()

    def expectation(self, request: Request) -> MeshError | None:
        """Let a body come that the routes would take (``Requests``)."""
        refusal = self._door.routes.precheck(request)
        if refusal is None:
            if self._current is None and not self._queue:
                self._write(_CONTINUE)
            else:
                self._continue_owed = True
        return refusal

    def handshake(self, request: Request, tail: bytes) -> None:
        """Read nothing more until the connection has been handed over (``Requests``)."""
        self._tail = tail
        self._pause_reading()
        self.request(request)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
            self._arm(self._door.clock.now + _PRESENCE_CHECK_S)

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        while self._queue and not (self._current or self._write_paused or self._lingering):
            if self._is_patient:
                self._lose_patience()
            request = self._queue.popleft()
            self._queued_bytes -= len(request.body)
            self._begin(request)
        self._pumping = False
        if self._queue or self._current or self._lingering or self._has_left or self._transport.is_closing():
            return
        if self._continue_owed:
            self._continue_owed = False
            self._write(_CONTINUE)
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._reader.phase is not _BETWEEN:
            # What was not asked for until now is late from now on.
            self._watched_stage = 0
            self._watch_arrival(self._reader)

    def _begin(self, request: Request) -> None:
        self._spoken = True
        self._current = request
        door = self._door
        door.counters.requests += 1
        request.peer = self._peer
        request.ray = door.rays.mint()
        if door.relay.draining:
            # Whoever knows that the connection ends sends nothing more on it, and loses nothing with it.
            request.keep_alive = False
        try:
            door.routes.dispatch(request, self)
        except MeshError as error:
            self.refuse(error)
        except Exception as error:
            fault = unforeseen(error, request.ray)
            if self._current is request:
                self.refuse(fault)
            else:
                self._transport.abort()

    def _answered(self, request: Request) -> None:
        self._current = self._flight = None
        self._idle_since = self._door.clock.now
        if not request.keep_alive:
            self._close_gently()
        elif self._queue or self._reading_paused or self._continue_owed:
            self._pump()

    def drain(self) -> None:
        """Close as soon as nothing is in hand."""
        if self._streaming and self._current is not None:
            self._door.unsubscribe(self)
            self._streaming = False
            self._answered(self._current)
        elif self._current is not None:
            self._current.keep_alive = False
        elif not self._queue and self._reader.phase is Phase.BETWEEN:
            if self._spoken:
                self._close_idle()
            else:
                now, silent_s = self._door.clock.now, self._door.limits.silent_timeout_s
                self._idle_since = now + min(_FIRST_WORD_S - silent_s, 0.0)
                self._arm(self._idle_since + silent_s)

    def _close_idle(self) -> None:
        if self._transport.get_write_buffer_size():
            self._close_gently()
        else:
            self._transport.close()

    def _close_gently(self) -> None:
        # Bytes that nobody reads would make the close a reset, which can overtake the answer: read on for a while.
        if self._transport.is_closing():
            return
        self._reader.close()
        self._queue.clear()
        self._lingering = True
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._watch_writing()
        self._transport.write_eof()
        self._idle_since = self._door.clock.now
        self._arm(self._idle_since + self._door.limits.close_timeout_s)

    def _cut_stuck(self) -> None:
        self._door.counters.sockets_cut_stuck += 1
        log.info("caller_stuck", peer=self._peer, once_a_minute=True)
        self._transport.abort()

    # -- time limits --------------------------------------------------------------------------------------------

    def _arm(self, at: float) -> None:
        if self._slot is not None:
            if at >= self._armed_at:
                return
            self._slot.pop(self, None)
        self._armed_at = at
        self._slot = self._door.wheel.add(self, at)

    def _watch_arrival(self, reader: RequestReader) -> None:
        limits = self._door.limits
        if reader.stage != self._watched_stage:
            self._watched_stage = reader.stage
            self._watched_since = self._door.clock.now
        self._arm(self._watched_since + (limits.head_timeout_s if reader.phase is Phase.HEAD else limits.body_grace_s))

    def expire(self, now: float) -> None:
        """One of the time limits may have passed (``Expiring``)."""
        self._slot = None
        limits = self._door.limits
        phase = self._reader.phase
        if self._lingering and self._transport.get_write_buffer_size() == 0:
            self._check_linger(now)
        elif self._write_paused or self._lingering:
            self._check_writing(now)
        elif self._reading_paused or self._continue_owed:
            self._check_presence(now)
        elif phase is Phase.HEAD and now - self._watched_since >= limits.head_timeout_s:
            self._reader.refuse(RequestTimeout("the head of the request did not arrive in time"))
        elif phase is Phase.BODY:
            self._check_pace(now)
        elif phase is Phase.HEAD:
            self._arm(self._watched_since + limits.head_timeout_s)
        elif self._current is not None or self._queue:
            self._arm(now + limits.idle_timeout_s)
        else:
            idle_s = limits.idle_timeout_s if self._spoken else limits.silent_timeout_s
            if now - self._idle_since >= idle_s:
                self._close_idle()
            else:
                self._arm(self._idle_since + idle_s)

    def _check_pace(self, now: float) -> None:
        limits = self._door.limits
        elapsed_s = now - self._watched_since
        received = self._reader.body_bytes
        if elapsed_s >= limits.body_grace_s and received < limits.body_rate_bytes * elapsed_s:
            self._reader.refuse(RequestTimeout(f"the body came at less than {limits.body_rate_bytes} bytes a second"))
        else:
            self._arm(max(now + _PACE_CHECK_S, self._watched_since + limits.body_grace_s))

    def _check_linger(self, now: float) -> None:
        """Everything is sent: the other side has a while to close, from when it was."""
        close_timeout_s = self._door.limits.close_timeout_s
        if now - self._idle_since >= close_timeout_s:
            self._transport.abort()
        else:
            self._arm(self._idle_since + close_timeout_s)

    def _check_presence(self, now: float) -> None:
        """Nothing is read, so nobody would say that the other side has gone: look."""
        if self._reading_paused and has_gone(self._transport.get_extra_info("socket").fileno()):
            self._transport.abort()
        else:
            self._arm(now + _PRESENCE_CHECK_S)

    @property
    def _patience_s(self) -> float:
        """How long the other side may take nothing of what waits for it."""
        limits = self._door.limits
        return limits.stream_stall_s if self._is_patient else limits.write_deadline_s

    def _watch_writing(self) -> None:
        self._paused_since = self._door.clock.now
        self._taken_bytes = self._streamed_bytes - self._transport.get_write_buffer_size()
        self._arm(self._paused_since + self._patience_s)

    def _check_writing(self, now: float) -> None:
        taken_bytes = self._streamed_bytes - self._transport.get_write_buffer_size()
        if taken_bytes > self._taken_bytes:
            self._paused_since = self._idle_since = now
            self._taken_bytes = taken_bytes
        elif now - self._paused_since >= self._patience_s:
            self._cut_stuck()
            return
        self._arm(min(self._paused_since + self._patience_s, now + _PACE_CHECK_S))
