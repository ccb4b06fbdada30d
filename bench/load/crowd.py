"""Many lambdas at once: `python -m bench.load.crowd`.

Reads a CrowdSpec, opens them, prints a Crowd, keeps them (answering pings and calls) until its standard input ends,
closes them - every other one properly, the rest by dropping the connection - and prints how many there were.
"""

import asyncio
import sys
from functools import partial
from typing import cast

import msgspec
import uvloop

from bench.load.frames import CLOSE, PING, PONG, TEXT, handshake, masked, split_frames
from bench.load.meter import CLOCK, read_spec, say
from bench.load.provider import decode_request
from bench.procfs import cpu_seconds


class CrowdSpec(msgspec.Struct, frozen=True):
    """How many lambdas, and how many of them may be opening at a time."""

    port: int
    count: int
    at_once: int
    node_pid: int


class Crowd(msgspec.Struct, frozen=True):
    """What opening them took; `sample_ids` are some of their ids."""

    opened: int
    seconds: float
    cpu_us: float
    errors: int
    sample_ids: list[str]


class Left(msgspec.Struct, frozen=True):
    """Printed when all are closed: how many, and how many the node had closed before."""

    closed: int
    lost: int


class LambdaSocket(asyncio.Protocol):
    """One lambda: its handshake, `open`, pings, and calls that are answered with their body."""

    __slots__ = ("_kept", "_opening", "_upgraded", "id", "is_lost", "transport")

    def __init__(self, opening: "asyncio.Future[None]") -> None:
        self._opening = opening
        self._kept = b""
        self._upgraded = False
        self.id = ""
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(handshake(transport.get_extra_info("peername")[1], "/lambda/new"))

    def data_received(self, data: bytes) -> None:
        """Takes the handshake's answer, then frames."""
        data = self._kept + data
        if not self._upgraded:
            head, ended, rest = data.partition(b"\r\n\r\n")
            self._kept = data
            if not ended:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.transport.abort()
                return
            self._upgraded, data = True, rest
        frames, self._kept = split_frames(data)
        for opcode, payload in frames:
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(masked(payload, PONG))
        elif opcode == CLOSE:
            self.transport.write(masked(payload, CLOSE))
            self.transport.close()
        elif opcode == TEXT:
            self._answer(payload)

    def _answer(self, payload: bytes) -> None:
        request = decode_request(payload)
        result = bytes(request.params[0])
        if request.method == "open":
            self.id, result = msgspec.json.decode(result, type=str), b'"ok"'
        self.transport.write(masked(b'{"id":%d,"result":%b}' % (request.id, result)))
        if not self._opening.done():
            self._opening.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """A lambda that ends before it is closed counts as lost."""
        self.is_lost = True
        if not self._opening.done():
            self._opening.set_exception(exc or ConnectionError("refused"))

    def leave(self, properly: bool) -> None:
        """Closes with code 1000, or just drops the connection."""
        if properly:
            self.transport.write(masked((1000).to_bytes(2, "big"), CLOSE))
        else:
            self.transport.close()


async def open_some(spec: CrowdSpec, wanted: "list[int]", sockets: list[LambdaSocket]) -> int:
    """Opens lambdas one after the other while any are wanted; how many failed."""
    loop = asyncio.get_running_loop()
    failed = 0
    while wanted:
        wanted.pop()
        opening: asyncio.Future[None] = loop.create_future()
        try:
            _, socket = await loop.create_connection(partial(LambdaSocket, opening), "127.0.0.1", spec.port)
            await opening
        except OSError:
            failed += 1
        else:
            sockets.append(socket)
    return failed


async def run(spec: CrowdSpec) -> None:
    """Opens, waits, closes."""
    sockets: list[LambdaSocket] = []
    wanted = list(range(spec.count))
    started_at, cpu = CLOCK(), cpu_seconds(spec.node_pid)
    failures = await asyncio.gather(*(open_some(spec, wanted, sockets) for _ in range(spec.at_once)))
    seconds, cpu = CLOCK() - started_at, cpu_seconds(spec.node_pid) - cpu
    opened = len(sockets)
    sample_ids = [socket.id for socket in sockets[:: max(opened // 100, 1)]]
    say(Crowd(opened, seconds, cpu * 1e6 / max(opened, 1), sum(failures), sample_ids))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    lost = sum(socket.is_lost for socket in sockets)
    for number, socket in enumerate(sockets):
        socket.leave(properly=number % 2 == 0)
    for _ in range(100):
        if all(socket.is_lost for socket in sockets):
            break
        await asyncio.sleep(0.05)
    say(Left(closed=opened, lost=lost))


if __name__ == "__main__":
    uvloop.run(run(read_spec(CrowdSpec)))
