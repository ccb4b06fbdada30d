"""Fills what nodes remember of ids that they have met, which is bounded but takes a while: else it looks like a leak."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from tests.faults.crowds.sockets import Caller, Place
from tests.lambda_ids import Id

IDS = 20_000
"""More than nodes remember of any kind but closed ids."""
AT_ONCE = 8


async def fill(places: Sequence[Place], machines: Sequence[int]) -> None:
    """Call lambdas that never were, of all machines, at each node."""
    now_ms = int(time.time() * 1000)
    for place in places:
        ids = (str(Id(machine, now_ms - number)) for number in range(IDS // len(machines)) for machine in machines)
        await asyncio.gather(*(_call_all(place, ids) for _ in range(AT_ONCE)))


async def _call_all(place: Place, ids: Iterator[str]) -> None:
    caller = await Caller.connect(place)
    for lambda_id in ids:
        status, raw = await caller.ask("POST", f"/lambda/{lambda_id}/m", b"1")
        assert status in (404, 503), raw
    caller.close()
