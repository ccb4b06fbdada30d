"""Many providers that come back by themselves: ``python -m tests.faults.crowds.crowd HOST PORT COUNT``.

Says in JSON, a line each, when all are there and, after they were lost, when all are there again. Ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter

import uvloop

from tests.faults.crowds.sockets import LambdaSocket, Message, Place, Refused

AT_ONCE = 200
"""So many dial at a time when the crowd comes for the first time."""
GRACE_S = 60


class Crowd:
    """All of them. ``here`` are open now; ``changed`` came back under another id; ``refused`` counts why they waited."""

    def __init__(self, place: Place, count: int) -> None:
        self._place = place
        self._count = count
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.here = self.changed = 0
        self.refused: Counter[int] = Counter()
        self.ids: list[str] = []

    async def run(self) -> None:
        """Come, stay, come back."""
        loop = asyncio.get_running_loop()
        members = [asyncio.create_task(self._member()) for _ in range(self._count)]
        await loop.run_in_executor(None, sys.stdin.read)
        for member in members:
            member.cancel()

    async def _member(self) -> None:
        async with self._turn:
            one = await self._open(f"/lambda/new?grace={GRACE_S}")
        self.ids.append(one.id)
        while True:
            lambda_id, key = one.id, one.key
            self._count_in()
            await one.left
            self._count_out()
            one = await self._open(f"/lambda/new/{lambda_id}?key={key}&grace={GRACE_S}")
            self.changed += one.id != lambda_id

    async def _open(self, target: str) -> LambdaSocket:
        """Dial until it is let in, with the pauses that clients have to make."""
        attempt = 0
        while True:
            try:
                one = await LambdaSocket.open(self._place, target, echo)
            except (Refused, TimeoutError) as error:
                self.refused[error.status if isinstance(error, Refused) else -1] += 1
                await asyncio.sleep(random.uniform(0, min(30.0, 0.5 * 2**attempt)))  # a pause
                attempt += 1
            else:
                one.accept()
                return one

    def _count_in(self) -> None:
        self.here += 1
        if self.here == self._count:
            say(
                here=self.here,
                changed=self.changed,
                refused=dict(self.refused),
                at=time.monotonic(),
                ids=self.ids[:: max(self._count // 50, 1)],
            )

    def _count_out(self) -> None:
        self.here -= 1
        if self.here == 0:
            say(lost=self._count, at=time.monotonic())


def echo(socket: LambdaSocket, message: Message) -> None:
    """Answer a call with its body."""
    socket.answer(message["id"], message["params"][0])


def say(**what: object) -> None:
    """Print a line of JSON."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    uvloop.run(Crowd((sys.argv[1], int(sys.argv[2])), int(sys.argv[3])).run())
