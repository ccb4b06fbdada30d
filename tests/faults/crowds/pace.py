"""Honest callers: calls at a steady rate, and how long they take meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple, Self

import uvloop

from tests.faults.crowds.sockets import Caller, Place
from tests.nodes import until
from tests.wire import Closing

CONNECTIONS = 8
WINDOW_S = 0.5


class Took(NamedTuple):
    """One call: when it was due (monotonic seconds), and how much later its answer was there."""

    due_at: float
    seconds: float


class Pace(Closing):
    """Calls ``lambda_id`` at ``place`` so many times a second, from a thread of its own, until it is closed.

    A call that has to wait for the one before it counts from when it was due: a node that hangs is seen in all calls
    of that time. ``wrong`` has what was not answered with its body.
    """

    def __init__(self, place: Place, lambda_id: str, a_second: int = 300) -> None:
        self.took: list[Took] = []
        self.wrong: list[str] = []
        self._place = place
        self._lambda_id = lambda_id
        self._every_s = CONNECTIONS / a_second
        self._is_over = False
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop calling."""
        self._is_over = True
        self._thread.join(20.0)

    async def _run(self) -> None:
        begin_at = time.monotonic() + 0.05
        offsets = (begin_at + number * self._every_s / CONNECTIONS for number in range(CONNECTIONS))
        await asyncio.gather(*(self._call(due_at) for due_at in offsets))

    async def _call(self, due_at: float) -> None:
        caller = await Caller.connect(self._place)
        number = 0
        while not self._is_over:
            await asyncio.sleep(max(due_at - time.monotonic(), 0.0))
            number += 1
            try:
                answer = await caller.call(self._lambda_id, number)
            except (OSError, TimeoutError) as error:
                self.wrong.append(repr(error))
                return
            if answer != (200, number):
                self.wrong.append(f"{number}: {answer}")
            self.took.append(Took(due_at, time.monotonic() - due_at))
            due_at += self._every_s
        caller.close()

    def windows_ms(self, begin_at: float, end_at: float) -> list[float]:
        """The p99 of each window of the time between, in milliseconds; only whole windows count."""
        found = list(self.took)
        return [p99_ms(one) for one in _windows(found, begin_at, end_at) if one]

    def p99_ms(self, *spans: tuple[float, float]) -> float:
        """The median of the p99 of all windows of these times, in milliseconds."""
        return median(self._all_ms(spans))

    def calm_p99_ms(self, *spans: tuple[float, float]) -> float:
        """The same of the calmer half of the windows: what others do on this machine is in the rest of them.

        For what lasts as long as its windows do, and so is in the calm ones too.
        """
        ranked = sorted(self._all_ms(spans))
        return median(ranked[: (len(ranked) + 1) // 2])

    def _all_ms(self, spans: tuple[tuple[float, float], ...]) -> list[float]:
        return [one for begin_at, end_at in spans for one in self.windows_ms(begin_at, end_at)]


def _windows(found: list[Took], begin_at: float, end_at: float) -> Iterator[list[float]]:
    count = int((end_at - begin_at) / WINDOW_S)
    for number in range(count):
        since = begin_at + number * WINDOW_S
        yield [one.seconds for one in found if since <= one.due_at < since + WINDOW_S]


def elapse(seconds: float) -> tuple[float, float]:
    """Let calls be made for a while; from when to when (monotonic seconds)."""
    begin_at = time.monotonic()
    until(lambda: time.monotonic() >= begin_at + seconds, "time passes", seconds + 5)
    return begin_at, begin_at + seconds


def p99_ms(seconds: list[float]) -> float:
    """The value under which 99 of 100 lie, in milliseconds."""
    ranked = sorted(seconds)
    return ranked[min(int(len(ranked) * 0.99), len(ranked) - 1)] * 1000
