"""Calls at a steady rate, whatever becomes of those before, and what became of each."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0
"""Of each call: on a machine that others keep busy, a node takes longer to start than one should wait for it."""
DEADLINE_S = PATIENCE_S + 30.0

MOST_CALLS = 1500
"""Calls under way at a time: where the machine cannot, the rate is what it can."""

Attempt = Callable[[str, int], Awaitable[str]]
"""Calls a lambda with a number; returns ``""``, or what went wrong."""


async def call_steadily(attempt: Attempt, ids: list[str], rate: float, first_number: int) -> None:
    """Make ``rate`` calls a second, of one lambda after the other, until the input ends; print what became of them.

    The numbers are ``first_number``, ``first_number + 1`` and so on. What is printed is a JSON object: ``calls``,
    ``failures`` (a list of numbers and reasons) and ``slowest_s``.
    """
    failures: list[tuple[int, str]] = []
    slowest_s = 0.0
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        nonlocal slowest_s
        began_at = time.monotonic()
        wrong = await attempt(ids[number % len(ids)], number)
        slowest_s = max(slowest_s, time.monotonic() - began_at)
        if wrong:
            failures.append((number, f"{wrong} after {time.monotonic() - began_at:.3f} s"))

    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    begun_at = time.monotonic()
    count = 0
    while not ended.done():
        # Those that are due by now: a late turn of the loop makes up for itself.
        while count < (time.monotonic() - begun_at) * rate and len(running) < MOST_CALLS:
            task = asyncio.create_task(one(first_number + count))
            running.add(task)
            task.add_done_callback(running.discard)
            count += 1
        await asyncio.wait({ended}, timeout=1 / rate)
    await asyncio.gather(*running)
    print(json.dumps({"calls": count, "failures": failures, "slowest_s": slowest_s}), flush=True)
