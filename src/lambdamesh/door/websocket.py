"""One WebSocket (RFC 6455): whole, checked messages in; coalesced, bounded writes out; pings, deadlines, closes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from lambdamesh.core.backlog import Backlog
from lambdamesh.core.wheel import Slot
from lambdamesh.door import frames
from lambdamesh.door.adoption import Fields, Remains, adopt, feed, websocket_key
from lambdamesh.door.bodies import LARGE_BYTES, READ_BYTES
from lambdamesh.door.door import Door
from lambdamesh.door.pieces import Pieces
from lambdamesh.door.pulse import Pulse
from lambdamesh.door.unforeseen import unforeseen
from lambdamesh.door.uptake import CHECK_S, Uptake
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_text import is_utf8
from lambdamesh.protocol.session import SessionClosed

log = structlog.get_logger(__name__)

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_CONTINUATION = WSMsgType.CONTINUATION
_MESSAGES = (_TEXT, _BINARY)
_DATA = (_TEXT, _BINARY, _CONTINUATION)
_CLOSE = WSMsgType.CLOSE
_PING_KIND = WSMsgType.PING
_SMALL_BYTES = frames.SMALL_BYTES
_FLUSH_BYTES = 16 * 1024


class Socket(WSListener):
    """A WebSocket of a door. Subclasses say what it is for: ``opened``, ``message``, ``ended``.

    ``congested``: more bytes wait for the other side than may. ``has_heard``: it knows of the node's end, if it can.
    """

    __slots__ = (
        "_backlog",
        "_buffer",
        "_burst_bytes",
        "_close_at",
        "_ended",
        "_pieces",
        "_protocol",
        "_pulse",
        "_reserved_bytes",
        "_slot",
        "_transport",
        "_uptake",
        "_write",
        "congested",
        "door",
        "peer",
        "unframed_bytes",
    )

    def __init__(self, door: Door, peer: str) -> None:
        self.door = door
        self.peer = peer
        self.congested = False
        self._buffer: list[bytes] = []
        self._backlog = Backlog(door.budget)
        self._pieces: Pieces | None = None
        self._pulse = Pulse()
        self._uptake = Uptake()
        self._ended, self._close_at = False, 0.0
        self._reserved_bytes = 0
        self._burst_bytes = self.unframed_bytes = 0
        self._slot: Slot | None = None

    has_heard = True

    def opened(self) -> None:
        """The handshake is done."""

    def announce_end(self) -> None:
        """Tell the other side that the node goes down."""

    def message(self, message: bytes, utf8_checked: bool) -> None:
        """One whole message; ``utf8_checked`` for a text message.

        Raises:
            SessionClosed: the socket closes.
        """

    def ended(self, reason: str, final: bool) -> None:
        """The conversation is over (once); ``reason`` is an event's, ``final`` that the client wants no grace."""

    # -- adoption and its end -----------------------------------------------------------------------------------

    def adopt(self, transport: asyncio.Transport, head: Mapping[bytes, bytes], response: Fields, tail: bytes) -> None:
        """Take over a connection whose handshake was ``head``; answer it 101 with ``response``."""
        self._transport = transport
        self._write = transport.write
        limits = self.door.limits
        transport.set_write_buffer_limits(high=limits.queue_bytes)
        transport.pause_reading()
        self._protocol = adopt(transport, self, response, limits.body_bytes)
        feed(self._protocol, websocket_key(head), tail)
        if not transport.is_closing():
            transport.resume_reading()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done (picows)."""
        self.door.sockets[self] = None
        self._pulse.at = self.door.clock.now + self.door.limits.ping_interval_s
        self._arm()
        self.opened()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection has ended (picows)."""
        self._end("lost", False)
        self.door.sockets.pop(self, None)
        if self._slot is not None:
            self._slot.pop(self, None)
            self._slot = None
        self.door.budget.release(self._reserved_bytes)
        self._backlog.release()
        self.door.connection_closed()
        # Socket and picows hold one another: without this, only the cycle collector would free them.
        self._pieces = None
        del self._protocol, self._write

    def _end(self, reason: str, final: bool) -> None:
        if not self._ended:
            self._ended = True
            self.ended(reason, final)

    # -- reading ------------------------------------------------------------------------------------------------

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame (picows has unmasked it and checked its head, but for RSV bits)."""
        self._pulse.heard = True
        self.unframed_bytes = 0
        kind = frame.msg_type
        if self._ended:
            if kind == _CLOSE:
                self._transport.close()
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._violate(1002, "an RSV bit is set and no extension was agreed on")
        elif kind in _MESSAGES and self._pieces is None and frame.fin:
            self._whole(frame.get_payload_as_bytes(), kind == _TEXT)
        elif kind == _CLOSE:
            self._closed_by_peer(frames.close_code(frame.get_payload_as_bytes()))
        elif kind in _DATA:
            self._fragment(frame, kind)
        elif kind == _PING_KIND:
            self._pong(frame.get_payload_as_bytes())

    def _fragment(self, frame: WSFrame, kind: WSMsgType) -> None:
        if kind != _CONTINUATION and self._pieces is None:
            self._pieces = Pieces(kind == _TEXT)
        elif kind != _CONTINUATION or self._pieces is None:
            self._violate(1002, "a message begins inside another, or a continuation continues nothing")
            return
        pieces = self._pieces
        pieces.add(frame.get_payload_as_bytes())
        if not self._account(pieces.size_bytes):
            return
        excess = pieces.excess(self.door.limits)
        if excess:
            self._oversize(excess)
        elif frame.fin:
            self._pieces = None
            self._whole(pieces.whole(), pieces.is_text)

    def _whole(self, message: bytes, is_text: bool) -> None:
        if is_text and not message.isascii() and not is_utf8(message):
            self._violate(1007, "a text message is not UTF-8")
            return
        try:
            self.message(message, is_text)
        except SessionClosed as end:
            if end.close_code == 1009:
                self._oversize(end.reason)
            else:
                self._violate(end.close_code, end.reason)
        except Exception as error:
            unforeseen(error)
            self.close(1011, "internal error")

    def account_unfinished(self, framing: Framing) -> None:
        """Have a value count whose end has not come."""
        if framing.scanner is not None:
            self._account(framing.scanner.pending_bytes)

    def received(self, size_bytes: int) -> None:
        """picows is about to look at more bytes (``WireOwner``): those of an unfinished frame count."""
        self._pulse.heard_bytes += size_bytes
        self.unframed_bytes += size_bytes
        self._burst_bytes += size_bytes
        if self._burst_bytes > READ_BYTES:
            # Whoever floods the node has to let the others have their turn.
            self._transport.pause_reading()
            self.door.call_soon(self._read_on)
        if self.unframed_bytes > LARGE_BYTES:
            self._account(self.unframed_bytes)

    def _read_on(self) -> None:
        self._burst_bytes = 0
        if self.is_heard and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def is_heard(self) -> bool:
        """Whether what comes is to be read."""
        return True

    def _account(self, size_bytes: int) -> bool:
        """Have a large buffer count against what all may hold, for the rest of the connection: picows keeps its own."""
        missing = size_bytes - self._reserved_bytes
        if size_bytes <= LARGE_BYTES or missing <= 0 or self._ended:
            return True
        if not self.door.budget.reserve(missing):
            self.door.counters.overloaded_buffers += 1
            self.close(4429, "the node buffers as many large messages as it may", "error")
            self._linger()
            return False
        self._reserved_bytes += missing
        return True

    def _pong(self, payload: bytes) -> None:
        # Whoever does not read gets no more to read (RFC 6455, 5.5.3: the last ping is what an answer is owed to).
        if not self.congested:
            self._send_frame(frames.pong_frame(payload))

    def _closed_by_peer(self, code: int) -> None:
        if not frames.is_legal_close(code):
            self._violate(1002, "no close has this code")
            self._linger()
            return
        self._flush()
        self._end("closed", code in frames.FINAL_CODES)
        self._write(frames.close_frame(code, ""))
        self._linger()

    def _violate(self, code: int, reason: str) -> None:
        self.door.counters.sockets_violations += 1
        self.close(code, reason, "error")

    def _oversize(self, reason: str) -> None:
        self.door.counters.sockets_cut_oversize += 1
        self.close(1009, reason, "error")

    # -- writing ------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send one text message, with all others of this tick in one write."""
        if self._ended:
            return
        buffer = self._buffer
        if not buffer:
            self.door.call_soon(self._flush)
        size = len(message)
        if size < _SMALL_BYTES:
            buffer.append(b"\x81%c%b" % (size, message))
            return
        buffer.append(frames.text_frame(message))
        if size > _FLUSH_BYTES:
            self._flush()
            self._hold_backlog()

    def _hold_backlog(self) -> None:
        if self.congested and not (self._ended or self._backlog.hold(self.waiting_bytes)):
            self.door.counters.overloaded_buffers += 1
            self.abort("error")

    def _send_frame(self, frame: bytes) -> None:
        if not self._buffer:
            self.door.call_soon(self._flush)
        self._buffer.append(frame)

    def _flush(self) -> None:
        buffer = self._buffer
        if not buffer or self._transport.is_closing():
            buffer.clear()
            return
        chunk = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        self._write(chunk)
        if self._uptake.wrote(len(chunk), self.door.clock.now):
            self._arm()

    def write_raw(self, frame: bytes) -> None:
        """Send picows's answer to the handshake, or the close with which it gives up (``WireOwner``)."""
        if frame[0] != frames.CLOSE_BYTE:
            self._write(frame)
            return
        if self._ended:
            return
        if frame[2:4] == b"\x03\xf1":
            self.door.counters.sockets_cut_oversize += 1
        else:
            self.door.counters.sockets_violations += 1
        self._flush()
        self._end("error", False)
        self._write(frame)
        self._linger()

    def pause_writing(self) -> None:
        """More bytes wait than may (picows, for asyncio)."""
        self.congested = True

    def resume_writing(self) -> None:
        """They have been taken (picows, for asyncio)."""
        self.congested = False
        self._backlog.release()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the other side has not taken yet."""
        return self._transport.get_write_buffer_size()

    # -- closing ------------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str, event: str = "drained") -> None:
        """Close with ``code``: whatever was sent goes out first, whatever comes is forgotten.

        ``event`` is the reason that an event gives, for whoever is not told otherwise.
        """
        if self._ended:
            return
        self._flush()
        self._end(event, False)
        if not self._transport.is_closing():
            self._write(frames.close_frame(code, reason))
        self._close_at = self.door.clock.now + self.door.limits.close_timeout_s
        self._arm()

    def abort(self, event: str) -> None:
        """Cut the connection."""
        self._end(event, False)
        self._transport.abort()

    def _linger(self) -> None:
        # Not from inside of picows, which is still reading the buffer that a new protocol would take from it.
        self.door.call_soon(self._become_remains)

    def _become_remains(self) -> None:
        if self._transport.is_closing():
            return
        self._transport.set_protocol(Remains(self._protocol))
        self._transport.write_eof()
        self._close_at = self.door.clock.now + self.door.limits.close_timeout_s
        self._arm()

    # -- time limits --------------------------------------------------------------------------------------------

    def due_at(self) -> float:
        """When ``expire`` is wanted next."""
        if self._close_at:
            return self._close_at
        return min(self._pulse.at, self._uptake.check_at or self._pulse.at)

    def _arm(self) -> None:
        if self._slot is not None:
            self._slot.pop(self, None)
        self._slot = self.door.wheel.add(self, self.due_at())

    def expire(self, now: float) -> None:
        """A time limit has passed (``Expiring``)."""
        self._slot = None
        if self._close_at:
            self._check_close(now)
            return
        if 0 < self._uptake.check_at <= now and not self._is_moving(now):
            self.door.counters.sockets_cut_stuck += 1
            log.info("socket_stuck", peer=self.peer, once_a_minute=True)
            self.abort("timeout")
            return
        if now >= self._pulse.at and not self._ping(now):
            self.door.counters.sockets_cut_silent += 1
            log.info("socket_silent", peer=self.peer, once_a_minute=True)
            self.abort("timeout")
            return
        self._arm()

    def _check_close(self, now: float) -> None:
        """The other side has had its time to answer a close, unless it is still taking what was sent before."""
        if self.waiting_bytes and self._is_moving(now):
            self._close_at = now + CHECK_S
            self._arm()
        else:
            self.abort("lost")

    def _is_moving(self, now: float) -> bool:
        return self._uptake.look(now, self.waiting_bytes, self.door.limits.write_deadline_s)

    def _ping(self, now: float) -> bool:
        is_there = self._pulse.beat(now, self.door.limits, self.waiting_bytes)
        if is_there and not self._ended:
            self._send_frame(frames.PING)
        return is_there
