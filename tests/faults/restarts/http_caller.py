"""A process that calls by bare HTTP: ``python -m tests.faults.restarts.http_caller URLS IDS RATE FIRST_NUMBER``.

It knows nothing but what answers say: where one says ``"delivered":"no"``, or nobody takes the connection, the same call
goes to the next node, after a pause: what ``Retry-After`` asks for, and more each time. Each call has a connection of its own: one that is kept open can end under a call.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from urllib.parse import urlsplit

from tests.faults.restarts.pacing import DEADLINE_S, call_steadily

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
"""About how long it waits before it asks the next node: so many calls wait that they could keep it from starting."""
_RETRY_AFTER = re.compile(rb"\r\nRetry-After: (\d+)")
CONNECTIONS = 32
"""Connections at a time: where the machine is slower than the calls come, those that are open shall not wait for it."""


class Caller:
    """Calls through the first of ``urls`` until that refuses, then through the next, and so on."""

    def __init__(self, urls: list[str]) -> None:
        self._places = [(str(parts.hostname), parts.port or 80) for parts in map(urlsplit, urls)]
        self._turn = 0
        self._connections = asyncio.Semaphore(CONNECTIONS)

    async def attempt(self, lambda_id: str, number: int) -> str:
        """Make one call, for as long as it takes; returns what went wrong."""
        ends_at = time.monotonic() + DEADLINE_S
        pause_s = FIRST_PAUSE_S
        while True:
            turn = self._turn
            async with self._connections:
                status, head, body = await self._ask(self._places[turn % len(self._places)], lambda_id, number)
            if status == 200:
                return "" if body == str(number).encode() else f"the answer of another call: {body!r}"
            may_again = status == 0 or (status in (502, 503) and b'"delivered":"no"' in body)
            if not may_again or time.monotonic() >= ends_at:
                return f"{status}: {body.decode()}"
            if self._turn == turn:
                self._turn += 1
            asked = _RETRY_AFTER.search(head)
            await asyncio.sleep(float(asked[1] if asked else 0) + random.uniform(0.5, 1.0) * pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _ask(self, place: tuple[str, int], lambda_id: str, number: int) -> tuple[int, bytes, bytes]:
        """Status, head and body of one answer; 0 where nobody took the connection, -1 where it ended without one."""
        try:
            reader, writer = await asyncio.open_connection(*place)
        except OSError as error:
            return 0, b"", str(error).encode()
        body = str(number).encode()
        head = (
            f"POST /lambda/{lambda_id}/work HTTP/1.1\r\nHost: {place[0]}:{place[1]}\r\nConnection: close\r\n"
            f"Prefer: wait={DEADLINE_S}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            answer = await reader.read()
        except OSError as error:
            return -1, b"", str(error).encode()
        finally:
            writer.close()
        head_bytes, _, content = answer.partition(b"\r\n\r\n")
        return (int(head_bytes.split(b" ", 2)[1]), head_bytes, content) if head_bytes else (-1, b"", b"no answer")


async def call(urls: list[str], ids: list[str], rate: float, first_number: int) -> None:
    """Call through those nodes."""
    print("ready", flush=True)
    await call_steadily(Caller(urls).attempt, ids, rate, first_number)


if __name__ == "__main__":
    asyncio.run(call(json.loads(sys.argv[1]), json.loads(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
