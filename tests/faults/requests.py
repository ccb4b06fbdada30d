"""Calls over HTTP connections that are kept alive, one call at a time on each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

DIALS_AT_ONCE = 8
REDIAL_S = 0.1


class Told(Protocol):
    """Whoever is told how calls end."""

    def result(self, number: int, raw: bytes) -> None: ...

    def fault(self, number: int, code: str, delivered: str) -> None: ...

    def stray(self, number: int) -> None: ...

    def lost(self, number: int) -> None: ...


class _Refusal(msgspec.Struct):
    code: str = ""
    delivered: str = ""


_decode = msgspec.json.Decoder(_Refusal).decode


class _Connection(asyncio.Protocol):
    """One connection; ``number`` is the call that it has in flight."""

    def __init__(self, pool: Requests) -> None:
        self._pool = pool
        self._kept = b""
        self.number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.free.append(self)

    def send(self, number: int, request: bytes) -> None:
        self.number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._kept + data if self._kept else data
        head, ended, rest = data.partition(b"\r\n\r\n")
        length = _length(head) if ended else 0
        if not ended or len(rest) < length:
            self._kept = data
            return
        self._kept = rest[length:]
        number, self.number = self.number, None
        if number is None or self._kept:
            self._pool.told.stray(number or 0)
        if number is not None:
            self._end(number, head, rest[:length])
            self._pool.free.append(self)

    def _end(self, number: int, head: bytes, body: bytes) -> None:
        if head.startswith(b"HTTP/1.1 200"):
            self._pool.told.result(number, body)
        else:
            refusal = _decode(body)
            self._pool.told.fault(number, refusal.code, refusal.delivered)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.gone(self)
        if self.number is not None:
            self._pool.told.lost(self.number)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Requests:
    """Up to ``most`` connections to a node's Unix socket; each is used in its turn, so that none is idle for long."""

    def __init__(self, path: str, told: Told, before_writing: Callable[[], None], most: int) -> None:
        self._path = path
        self._before_writing = before_writing
        self._most = most
        self._count = 0
        self.told = told
        self.free: deque[_Connection] = deque()

    async def keep(self) -> None:
        """Have connections, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                for _ in range(min(self._most - self._count, DIALS_AT_ONCE)):
                    await loop.create_unix_connection(lambda: _Connection(self), self._path)
                    self._count += 1
            except OSError:
                pass
            await asyncio.sleep(REDIAL_S)

    def gone(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._count -= 1
        if connection in self.free:
            self.free.remove(connection)

    def can_call(self) -> bool:
        return bool(self.free)

    def call(self, number: int, lambda_id: str, timeout_s: float) -> None:
        """Send one call on a connection of its own."""
        body = b"%d" % number
        self._before_writing()
        self.free.popleft().send(
            number,
            b"POST /lambda/%b/m?timeout=%.3f HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
            % (lambda_id.encode(), timeout_s, len(body), body),
        )
