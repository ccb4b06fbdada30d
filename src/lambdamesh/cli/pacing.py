"""When the calls of ``bench`` begin: one after the other, or at a steady rate."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Protocol

_LEAST_PAUSE_S = 0.0002
"""Calls that are due within this time are let go together: waking up costs some microseconds each time."""

clock = time.perf_counter


class Turns(Protocol):
    """Says when each call begins, to as many callers as ask."""

    @property
    def started(self) -> int:
        """How many have begun."""

    @property
    def not_sent(self) -> int:
        """How many were due, and were never begun."""

    async def next(self) -> float | None:
        """Wait for a call's turn; return since when it is under way by ``clock``, ``None`` where there is no more."""

    def end(self) -> None:
        """There are no more."""


class AtOnce:
    """A caller that is done with one call begins the next: ``calls`` in all, or until ``ends_at``."""

    not_sent = 0

    def __init__(self, calls: int | None, ends_at: float) -> None:
        self._calls = calls
        self._ends_at = ends_at
        self.started = 0

    async def next(self) -> float | None:
        """Begin at once, while there is something left to do."""
        now = clock()
        if self.started >= self._calls if self._calls is not None else now >= self._ends_at:
            return None
        self.started += 1
        return now

    def end(self) -> None:
        """There are no more."""
        self._calls = 0


class Steady:
    """Calls that are due at a steady rate, whatever becomes of those before them.

    A call is under way from the time at which it was due, not from when there was somebody to make it: so the wait
    behind slow calls counts, which it would not if callers just took longer (coordinated omission). ``calls`` are due
    in all; what nobody could begin before ``ends_at`` is not begun any more. Made inside of an event loop.
    """

    def __init__(self, rate_per_s: float, calls: int, began_at: float, ends_at: float) -> None:
        self._rate_per_s = rate_per_s
        self._calls = calls
        self._began_at = began_at
        self._ends_at = ends_at
        self._due = 0
        self.started = 0
        self._waiting: deque[asyncio.Future[float | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        # Loops wake up to the millisecond, threads to some microseconds.
        threading.Thread(target=self._keep_time, name="lambdamesh bench", daemon=True).start()

    @property
    def not_sent(self) -> int:
        """How many were due, and were never begun."""
        return self._due - self.started

    async def next(self) -> float | None:
        """Wait until a call is due that nobody has taken."""
        if self.started < self._due:
            return self._take() if clock() < self._ends_at else None
        if self._due >= self._calls:
            return None
        turn: asyncio.Future[float | None] = self._loop.create_future()
        self._waiting.append(turn)
        return await turn

    def end(self) -> None:
        """There are no more."""
        self._ended.set()
        self._calls = self._due
        self._release(self._due)

    def _take(self) -> float:
        due_at = self._began_at + self.started / self._rate_per_s
        self.started += 1
        return due_at

    def _keep_time(self) -> None:
        due = 0
        while due < self._calls:
            pause_s = self._began_at + due / self._rate_per_s - clock()
            if self._ended.wait(max(pause_s, _LEAST_PAUSE_S)):
                return
            due = min(int((clock() - self._began_at) * self._rate_per_s) + 1, self._calls)
            try:
                self._loop.call_soon_threadsafe(self._release, due)
            except RuntimeError:
                return  # the loop has ended before its calls

    def _release(self, due: int) -> None:
        self._due = max(due, self._due)
        while self._waiting and (self.started < self._due or self._due >= self._calls):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(self._take() if self.started < self._due else None)
