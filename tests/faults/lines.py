"""Sockets of callers and providers: WebSocket over a Unix socket, a loop tick's messages in one write.

As little as a client may be: what it costs is taken from the nodes, which run on the same cores.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import cast

from bench.load.frames import CLOSE, PING, PONG, TEXT, masked, split_frames

CODE = "json-rpc-2.0"


def upgrade(target: str) -> bytes:
    """The handshake of a client that is no page."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {os.urandom(16).hex()[:22]}==\r\n"
        f"Sec-WebSocket-Protocol: {CODE}\r\n\r\n"
    ).encode()


class Line(asyncio.Protocol):
    """One WebSocket. ``before_writing`` is run before any byte of a tick's messages is written.

    ``on_message`` takes whole messages, ``on_end`` the close code (0 without one), or the status of a refusal; each is
    given the line too.
    """

    lambda_id = b""
    """Of a line that answers for a lambda: whose calls come here."""

    def __init__(
        self,
        target: str,
        on_message: Callable[[Line, bytes], None],
        on_end: Callable[[Line, int], None],
        before_writing: Callable[[], None],
    ) -> None:
        self._target = target
        self._on_message = on_message
        self._on_end = on_end
        self._before_writing = before_writing
        self._loop = asyncio.get_running_loop()
        self._kept = b""
        self._out: list[bytes] = []
        self._code = 0
        self._is_ended = False
        self.is_open = False
        self.can_write = True

    @classmethod
    async def dial(
        cls,
        path: str,
        target: str,
        on_message: Callable[[Line, bytes], None],
        on_end: Callable[[Line, int], None],
        before_writing: Callable[[], None],
    ) -> Line:
        """Connect to a node's Unix socket and ask for the upgrade. Raises: OSError."""
        loop = asyncio.get_running_loop()
        _, line = await loop.create_unix_connection(lambda: cls(target, on_message, on_end, before_writing), path)
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(upgrade(self._target))

    def data_received(self, data: bytes) -> None:
        data = self._kept + data if self._kept else data
        if not self.is_open:
            head, ended, rest = data.partition(b"\r\n\r\n")
            if not ended:
                self._kept = data
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._code = int(head[9:12])
                self._transport.abort()
                return
            self.is_open, data = True, rest
        frames, self._kept = split_frames(data)
        for opcode, payload in frames:
            if opcode == TEXT:
                self._on_message(self, payload)
            elif opcode == PING:
                self._write(masked(payload, PONG))
            elif opcode == CLOSE:
                self._code = int.from_bytes(payload[:2], "big")
                self._write(masked(payload[:2], CLOSE))

    def send(self, message: bytes) -> None:
        """Have one message sent at the end of this tick."""
        self._write(masked(message))

    def _write(self, frame: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        self._before_writing()
        frames, self._out = self._out, []
        if not self._is_ended:
            self._transport.writelines(frames)

    def pause_writing(self) -> None:
        self.can_write = False

    def resume_writing(self) -> None:
        self.can_write = True

    def drop(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._on_end(self, self._code)


async def stdin_ended() -> None:
    """Wait until whoever started this process closes its standard input, or has died."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 4096) and not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), read)
    await ended
    loop.remove_reader(sys.stdin.fileno())
