"""A connection without a socket: bytes are fed by hand, and time passes by hand."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from lambdamesh.core.limits import Limits
from lambdamesh.door.http import HttpConnection
from tests.unit.door.doors import Stage
from tests.websocket import KEY, TEXT, frame

_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")
HIGH_BYTES = 64 * 1024


@contextmanager
def no_collector() -> Iterator[None]:
    """Only counted references free anything in here."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Unnumbered:
    """A socket of which only the family counts: no descriptor is open."""

    family = socket.AF_UNIX

    def fileno(self) -> int:
        return -1


class Transport:
    """An asyncio transport whose other side takes everything at once, or (``is_stuck``) only what ``take`` says."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.sent = bytearray()
        self.waiting_bytes = 0
        self.is_stuck = False
        self.pauses = 0
        self.is_reading = True
        self.is_finished = False
        self.ended = ""
        self._high_bytes = HIGH_BYTES
        self._is_writing_paused = False

    def write(self, data: bytes) -> None:
        assert not self.is_finished
        self.sent += data
        if self.is_stuck:
            self.waiting_bytes += len(data)
            if self.waiting_bytes > self._high_bytes and not self._is_writing_paused:
                self._is_writing_paused = True
                self.protocol.pause_writing()

    def take(self, size_bytes: int) -> None:
        """The other side reads some of what waits."""
        self.waiting_bytes = max(self.waiting_bytes - size_bytes, 0)
        if self._is_writing_paused and self.waiting_bytes <= self._high_bytes // 4:
            self._is_writing_paused = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def set_write_buffer_limits(self, high: int) -> None:
        self._high_bytes = high

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return Unnumbered() if name == "socket" else default

    def pause_reading(self) -> None:
        self.is_reading = False
        self.pauses += 1

    def resume_reading(self) -> None:
        self.is_reading = True

    def write_eof(self) -> None:
        self.is_finished = True

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.ended = "abort"


class Answered(NamedTuple):
    """One answer as it was written; ``head`` with its status line."""

    status: int
    head: bytes
    body: bytes


class Line:
    """A connection of a door. ``soon`` is what the event loop has been asked to do next."""

    def __init__(self, limits: Limits | None = None, stage: Stage | None = None) -> None:
        self.stage = stage or Stage(limits)
        self.door = self.stage.door
        self.soon: list[Callable[[], None]] = []
        self.door.call_soon = self.soon.append
        self.transport = Transport()
        self.transport.protocol = HttpConnection(self.door, "127.0.0.1")
        self.transport.protocol.connection_made(self.transport)

    def feed(self, *chunks: bytes) -> None:
        """Have chunks arrive, each in a turn of the loop of its own."""
        for chunk in chunks:
            protocol = self.transport.protocol
            if isinstance(protocol, asyncio.BufferedProtocol):
                self._fill(cast("Any", protocol), chunk)
            else:
                protocol.data_received(chunk)
            self.turn()

    def _fill(self, protocol: Any, chunk: bytes) -> None:
        # A real transport asks its protocol anew for each piece, and stops once it is closed.
        while chunk and protocol is self.transport.protocol and not self.transport.is_closing():
            room = protocol.get_buffer(-1)
            size = min(len(room), len(chunk))
            room[:size] = chunk[:size]
            del room
            protocol.buffer_updated(size)
            chunk = chunk[size:]
            self.turn()

    def turn(self) -> None:
        """Have the loop do what it was asked to."""
        while self.soon:
            self.soon.pop(0)()

    def pass_time(self, seconds: float) -> None:
        """Move the clock in steps of a sweep."""
        clock = self.door.clock
        for _ in range(round(seconds / 0.05)):
            clock.now += 0.05
            self.door.wheel.sweep(clock.now)
            self.turn()

    def lose(self) -> None:
        """The connection has ended, and the loop has forgotten it."""
        protocol, self.transport.protocol = self.transport.protocol, None
        self.transport.ended = self.transport.ended or "lost"
        protocol.connection_lost(None)
        self.turn()

    def ended(self) -> str:
        """By which method the connection was ended, if it was."""
        return self.transport.ended

    def answers(self) -> list[Answered]:
        """Every answer that was written, whole."""
        rest, found = bytes(self.transport.sent), []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), head[:80]
            length = _LENGTH.search(head + b"\r\n")
            size = int(length.group(1)) if length else 0
            found.append(Answered(int(head[9:12]), head, rest[:size]))
            rest = rest[size:]
        return found

    def statuses(self) -> list[int]:
        """Of every answer that was written."""
        return [answer.status for answer in self.answers()]


def ask(verb: str, target: str, body: bytes | None = None, *lines: str) -> bytes:
    """A request as a client of this machine writes it."""
    fields = [f"{verb} {target} HTTP/1.1", "Host: localhost", *lines]
    if body is not None:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + (body or b"")


class SocketLine(Line):
    """A WebSocket of a door, opened; inside of a running event loop."""

    def __init__(self, target: str, limits: Limits | None = None, stage: Stage | None = None, codec: str = "") -> None:
        super().__init__(limits, stage)
        upgrade: tuple[str, ...] = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY}",
        )
        if codec:
            upgrade += (f"Sec-WebSocket-Protocol: {codec}",)
        self.feed(ask("GET", target, None, *upgrade))
        head, _, rest = bytes(self.transport.sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.transport.sent[:] = rest

    def say(self, *messages: bytes) -> None:
        """Send text messages."""
        self.feed(*(frame(TEXT, message) for message in messages))

    def heard(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of every frame that was sent since the last time."""
        self.turn()
        data, found = bytes(self.transport.sent), []
        self.transport.sent.clear()
        while data:
            size, begin = data[1], 2
            if size == 126:
                size, begin = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, begin = int.from_bytes(data[2:10], "big"), 10
            found.append((data[0] & 0x0F, data[begin : begin + size]))
            data = data[begin + size :]
        return found

    def close_code(self) -> int:
        """The code of the close that was the last frame."""
        opcode, payload = self.heard()[-1]
        assert opcode == 8
        return int.from_bytes(payload[:2], "big")
