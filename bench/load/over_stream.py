"""One endless stream over HTTP, as NDJSON: `python -m bench.load.over_stream`.

Reads a LoadSpec, prints a Sample whose calls are items. Every item is checked: its number is the last one's and one.
"""

import asyncio
from typing import cast

import uvloop

from bench.load.meter import LoadSpec, Sample, Stopwatch, read_spec, say
from bench.load.stream_provider import DIGITS

BEGIN = b'{"item":"'
LINE_BYTES = len(BEGIN) + DIGITS + len(b'"}')


class Reader(asyncio.Protocol):
    """Reads one response; `items` counts."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._rest = b""
        self._is_in_body = False
        self.items = 0
        self.errors = 0
        self.first_error = ""
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the stream."""
        head = (
            f"POST {self._spec.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._spec.port}\r\n"
            "Accept: application/x-ndjson\r\nContent-Length: 0\r\n\r\n"
        )
        cast("asyncio.Transport", transport).write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Takes lines; those between items are the sizes of chunks."""
        data = self._rest + data
        if not self._is_in_body:
            head, ended, body = data.partition(b"\r\n\r\n")
            if not ended:
                self._rest = data
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._fault(f"no stream: {data[:300]!r}")
            self._is_in_body, data = True, body
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self._check(line)

    def _check(self, line: bytes) -> None:
        if len(line) != LINE_BYTES or int(line[len(BEGIN) : -2]) != self.items:
            self._fault(f"item {self.items} is {line[:300]!r}")
        self.items += 1

    def _fault(self, text: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or text

    def connection_lost(self, exc: Exception | None) -> None:
        """A stream that ends while items are wanted is an error."""
        if self.running:
            self._fault(f"the stream ended: {exc!r}")


async def run(spec: LoadSpec) -> Sample:
    """Opens the stream, warms up, measures, closes."""
    loop = asyncio.get_running_loop()
    transport, reader = await loop.create_connection(lambda: Reader(spec), "127.0.0.1", spec.port)
    await asyncio.sleep(spec.warm_up_s)
    before, watch = reader.items, Stopwatch(spec)
    await asyncio.sleep(spec.seconds)
    items = reader.items - before
    sample = watch.sample([], reader.errors + (items == 0), reader.first_error, calls=items)
    reader.running = False
    transport.close()
    return sample


if __name__ == "__main__":
    say(uvloop.run(run(read_spec(LoadSpec))))
