"""Lambdas and callers by the thousand, on one event loop: raw sockets, no manners, every frame counted."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from bench.load.frames import CLOSE, PING, PONG, TEXT, masked, split_frames
from tests.websocket import handshake
from tests.wire import Headers, lines

Place = tuple[str, int]
"""Host and port of a local door."""
Message = dict[str, Any]
Taken = Callable[["LambdaSocket", Message], None]
"""Is given each call that comes to a lambda."""

WAIT_S = 30.0
"""Longest wait for anything that a node owes at once."""
CODE = "json-rpc-2.0"


class Refused(Exception):
    """A handshake was answered with something else than 101, or the connection ended (status 0)."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__(f"{status} {body[:200]!r}")
        self.status = status


class LambdaSocket(asyncio.Protocol):
    """One lambda on a socket of its own. ``opened`` is done with its id; ``left`` with the code of its close, or 0.

    It speaks ``json-rpc-2.0``, or ``json-rpc`` where ``is_plain``. ``key`` is its resume key.
    """

    def __init__(self, target: str, taken: Taken, *, is_plain: bool = False, headers: Headers = ()) -> None:
        loop = asyncio.get_running_loop()
        self._hello = handshake(target, headers, subprotocols=() if is_plain else (CODE,))
        self._taken = taken
        self.is_plain = is_plain
        self.is_reading = True
        self.opened: asyncio.Future[str] = loop.create_future()
        self.left: asyncio.Future[int] = loop.create_future()
        self.id = self.key = ""
        self.strangers = 0
        """Messages that are no calls."""
        self._kept = b""
        self._is_upgraded = False
        self._code = 0
        self._read: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, place: Place, target: str, taken: Taken, **how: Any) -> LambdaSocket:
        """Connect, and return when the node has said ``open``; it is not answered yet. Raises: Refused."""
        one = cls(target, taken, **how)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WAIT_S):
            try:
                await loop.create_connection(lambda: one, *place)
            except OSError:
                raise Refused(0) from None
            await one.opened
        return one

    def accept(self) -> None:
        """Answer ``open``."""
        self.answer(0, "ok" if self.is_plain else {"meta": True})

    async def read(self) -> None:
        """Wait until the node has read all that was written. Raises: Refused, TimeoutError."""
        self._read = asyncio.get_running_loop().create_future()
        self._write(masked(b"", PING))
        async with asyncio.timeout(WAIT_S):
            await self._read

    def answer(self, number: object, result: object) -> None:
        """Answer a call."""
        version = {} if self.is_plain else {"jsonrpc": "2.0"}
        self._write(masked(json.dumps({**version, "id": number, "result": result}).encode()))

    def close(self, code: int) -> None:
        """Say goodbye."""
        self._write(masked(struct.pack("!H", code), CLOSE))

    def drop(self) -> None:
        """End the connection without a word (FIN)."""
        self.transport.abort()

    def reset(self) -> None:
        """End the connection as a crash of the machine does (RST)."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return not self.left.done()

    def _write(self, raw: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(raw)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Take the answer to the handshake, then frames."""
        data = self._kept + data
        if not self._is_upgraded:
            head, ended, rest = data.partition(b"\r\n\r\n")
            if not ended or not self._is_welcome(head, rest, data):
                return
            data = rest
        frames, self._kept = split_frames(data)
        for opcode, payload in frames:
            self._take(opcode, payload)

    def _is_welcome(self, head: bytes, rest: bytes, data: bytes) -> bool:
        if head.startswith(b"HTTP/1.1 101"):
            self._is_upgraded, self._kept = True, b""
            self.key = _field(head, b"lambda-resume-key")
            return True
        self._kept = data
        if len(rest) >= int(_field(head, b"content-length") or 0):
            self._fail(Refused(int(head[9:12]), rest))
            self.transport.abort()
        return False

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._write(masked(payload, PONG))
        elif opcode == CLOSE:
            self._code = int.from_bytes(payload[:2], "big")
            self._write(masked(payload, CLOSE))
            self.transport.close()
        elif opcode == PONG and self._read is not None and not self._read.done():
            self._read.set_result(None)
        elif opcode == TEXT:
            self._hear(json.loads(payload))

    def _hear(self, message: Message) -> None:
        if message.get("method") == "open" and message.get("id") == 0 and not self.opened.done():
            opened = message["params"][0]
            self.id = opened if self.is_plain else opened["id"]
            self.key = self.key if self.is_plain else opened["resume_key"]
            self.opened.set_result(self.id)
        elif "method" in message and message.get("id") is not None:
            self._taken(self, message)
        else:
            self.strangers += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, by whomever."""
        self._fail(Refused(0))
        if not self.left.done():
            self.left.set_result(self._code)

    def _fail(self, error: Exception) -> None:
        for awaited in (self.opened, self._read):
            if awaited is not None and not awaited.done():
                awaited.set_exception(error)


def _field(head: bytes, name: bytes) -> str:
    """A header of a head; empty where it has none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode()
    return ""


class Caller(asyncio.Protocol):
    """One keep-alive connection, on which one request is under way at a time.

    ``surplus`` counts bytes that came where no answer was due: an answer that comes twice is there.
    """

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""
        self.surplus = 0

    @classmethod
    async def connect(cls, place: Place) -> Caller:
        """Raises: OSError."""
        _, one = await asyncio.get_running_loop().create_connection(cls, *place)
        return one

    async def ask(self, verb: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send a request; status and body of its answer. Raises: ConnectionError, TimeoutError."""
        assert self._answer is None
        self._answer = asyncio.get_running_loop().create_future()
        fields = [f"{verb} {target} HTTP/1.1", "Host: localhost"]
        if body is not None:
            fields.append(f"Content-Length: {len(body)}")
        self._transport.write(lines(*fields, body=body or b""))
        try:
            async with asyncio.timeout(WAIT_S):
                return await self._answer
        finally:
            self._answer = None

    async def call(self, lambda_id: str, body: object, method: str = "m") -> tuple[int, Any]:
        """Call a lambda; status and JSON."""
        status, raw = await self.ask("POST", f"/lambda/{lambda_id}/{method}", json.dumps(body).encode())
        return status, json.loads(raw)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take an answer, in pieces or whole."""
        if self._answer is None or self._answer.done():
            self.surplus += len(data)
            return
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended or len(body) < (size := int(_field(head, b"content-length") or 0)):
            return
        self.surplus += len(body) - size
        self._received = b""
        self._answer.set_result((int(head[9:12]), body[:size]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits is told."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the connection ended"))
