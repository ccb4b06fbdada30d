"""Calls over HTTP, one in flight on each connection: `python -m bench.load.over_http`.

Reads a LoadSpec, prints a Sample. Each response is checked: the first of a connection, and any that looks different, in
full; the others by length, status and body. That costs about 6 us a call, so one core of load keeps a node busy.
"""

import asyncio
from functools import partial
from itertools import cycle, islice
from typing import cast

import uvloop

from bench.load.at_worker import connections_to
from bench.load.meter import CLOCK, LoadSpec, Sample, Stopwatch, read_spec, say

OK = b"HTTP/1.1 200"


def request_of(spec: LoadSpec, path: str) -> bytes:
    """The request that every call of a connection repeats."""
    body = spec.body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{spec.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Tally:
    """What all connections of a round add to."""

    def __init__(self, spec: LoadSpec) -> None:
        self.expected = spec.body.encode()
        self.latencies_s: list[float] = []
        self.errors = 0
        self.first_error = ""
        self.running = True

    def fault(self, text: str) -> None:
        """Counts one wrong answer and keeps the first for the report."""
        self.errors += 1
        self.first_error = self.first_error or text

    def check_all_answered(self, callers: "list[Caller]", since: float) -> None:
        """Counts the connections whose call of before `since` is still unanswered."""
        for stalled in (caller for caller in callers if caller.sent_at < since):
            self.fault(f"no answer for {CLOCK() - stalled.sent_at:.1f} s")


class Caller(asyncio.Protocol):
    """One keep-alive connection: sends, checks the answer, sends again."""

    __slots__ = ("_kept", "_request", "_size", "_tally", "_write", "sent_at")

    def __init__(self, tally: Tally, request: bytes) -> None:
        self._tally = tally
        self._request = request
        self._size = 0
        self._kept = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first call."""
        self._write = cast("asyncio.Transport", transport).write
        self.sent_at = CLOCK()
        self._write(self._request)

    def data_received(self, data: bytes) -> None:
        """Takes the answer, in one piece in most cases, and sends the next call."""
        tally = self._tally
        if (
            self._kept or len(data) != self._size or not data.startswith(OK) or not data.endswith(tally.expected)
        ) and not self._is_whole(self._kept + data):
            return
        now = CLOCK()
        tally.latencies_s.append(now - self.sent_at)
        self.sent_at = now
        if tally.running:
            self._write(self._request)

    def _is_whole(self, data: bytes) -> bool:
        """Checks an answer that came in pieces or is not like the last one; False while more of it must come."""
        self._kept = b""
        ok = data.startswith(OK)
        if ok and len(data) == self._size and data.endswith(self._tally.expected):
            return True
        if ok and len(data) < self._size:
            self._kept = data
            return False
        head, _, body = data.partition(b"\r\n\r\n")
        if b"\r\n\r\n" not in data or len(body) < _content_length(head):
            self._kept = data
            return False
        if ok and body == self._tally.expected:
            self._size = len(data)
        else:
            self._tally.fault(f"wrong answer: {data[:300]!r}")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends while calls are wanted is an error."""
        if self._tally.running:
            self._tally.fault(f"connection lost: {exc!r}")


def _content_length(head: bytes) -> int:
    """Of an answer's head; 0 where it has none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def _connect(tally: Tally, spec: LoadSpec) -> list[tuple[asyncio.Transport, Caller]]:
    """The connections, which call at once; at one worker where that matters."""
    loop = asyncio.get_running_loop()
    paths = islice(cycle((spec.path, *spec.further_paths)), spec.connections)
    callers = [partial(Caller, tally, request_of(spec, path)) for path in paths]
    if spec.worker < 0:
        return [await loop.create_connection(caller, "127.0.0.1", spec.port) for caller in callers]
    socks = connections_to(spec.port, spec.worker, spec.connections)
    return [await loop.create_connection(caller, sock=sock) for caller, sock in zip(callers, socks, strict=True)]


async def run(spec: LoadSpec) -> Sample:
    """Opens the connections, warms up, measures, closes."""
    tally = Tally(spec)
    pairs = await _connect(tally, spec)
    await asyncio.sleep(spec.warm_up_s)
    tally.latencies_s.clear()
    watch = Stopwatch(spec)
    await asyncio.sleep(spec.seconds)
    tally.check_all_answered([caller for _, caller in pairs], watch.overdue_since)
    sample = watch.sample(tally.latencies_s, tally.errors, tally.first_error)
    tally.running = False
    for transport, _ in pairs:
        transport.close()
    return sample


if __name__ == "__main__":
    say(uvloop.run(run(read_spec(LoadSpec))))
