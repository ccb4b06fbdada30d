"""A soak: nodes under a load that never ends, watched, and what is to be said of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.faults.crowds.sockets import Place
from tests.faults.soaking.filling import IDS, fill
from tests.faults.soaking.load import Load
from tests.faults.soaking.looks import BLOCK, Look, Watch
from tests.faults.soaking.slope import Slope, slope_of
from tests.meshes import Mesh

WARM_UP = 1 / 3
"""The share of the time in which memory may grow: caches fill."""
MOST_A_HOUR_KIB = 1024
MOST_BLOCK_S = 0.05
LEAST_FOR_SLOPE_S = 150.0
"""Of less time behind the warm-up a slope says nothing: memory is taken in steps."""
MOST_STEP_KIB = 16 * 1024
"""What a node may grow by in a time that is too short for a slope."""
FULL_S = 1_800.0
"""From here on a run is long enough to show what is promised."""
SETTLING_KIB = 2 * 1024
"""In a shorter one so much is let to memory that has not settled yet: it shows a leak of 100 bytes a lambda, and not less."""
HOME_S = 30.0
"""Time for all to be given back: a grace and a ping more."""
LOOKS = 400
LOOK_S = 0.2

Progress = Callable[[float], None]
"""Is told the share of the time that has passed."""


@dataclass(frozen=True)
class Plan:
    """How long, and how much a second."""

    seconds: float
    opens_a_second: float = 100.0
    calls_a_second: float = 500.0

    @property
    def gone_ids(self) -> int:
        """How many closed ids nodes remember: so many that there are no more of them behind the warm-up.

        With the default it takes 1,000 s of this churn until they are as many as ever; that is no leak.
        """
        return min(100_000, max(int(self.opens_a_second * self.seconds * WARM_UP / 4), 100))

    @property
    def has_to_fill(self) -> bool:
        """Whether the warm-up is too short for what nodes remember to become as much as it may."""
        warm_up_s = self.seconds * WARM_UP
        return self.seconds - warm_up_s >= LEAST_FOR_SLOPE_S and self.opens_a_second * warm_up_s < 2 * IDS


@dataclass
class Finding:
    """What was seen of one node."""

    name: str
    base: dict[str, float]
    end: dict[str, float]
    memory_kib: tuple[float, float, float]
    """At first, behind the warm-up, in the end: medians of some looks."""
    slope: Slope | None
    block_s: float
    """The longest time for which its loop did one thing."""
    ping_s: float
    seconds: float
    """For how long it was looked at behind the warm-up."""

    @property
    def is_long(self) -> bool:
        """Whether its slope says anything."""
        return self.seconds >= LEAST_FOR_SLOPE_S

    @property
    def most_a_hour_kib(self) -> float:
        """How fast memory may grow."""
        return MOST_A_HOUR_KIB + (0.0 if self.seconds >= FULL_S else SETTLING_KIB * 3600 / self.seconds)

    @property
    def left(self) -> dict[str, tuple[float, float]]:
        """What has not come back to where it was: before and after."""
        return {name: (base, self.end[name]) for name, base in self.base.items() if self.end[name] > base}

    def wrong(self) -> list[str]:
        """What is not as promised, a sentence each."""
        found = [f"{name} was {base:.0f} and is {end:.0f}" for name, (base, end) in self.left.items()]
        if self.slope is not None and self.is_long and self.slope.least * 3600 > self.most_a_hour_kib:
            bound = f"{self.most_a_hour_kib / 1024:.1f} MiB/h"
            found.append(
                f"memory grows by {slope_text(self.slope)}; what a run of this length can show begins at {bound}"
            )
        if not self.is_long and self.memory_kib[2] - self.memory_kib[1] > MOST_STEP_KIB:
            found.append(f"memory grew by {(self.memory_kib[2] - self.memory_kib[1]) / 1024:.1f} MiB")
        if self.block_s > MOST_BLOCK_S:
            found.append(f"its loop did one thing for {self.block_s * 1000:.0f} ms")
        return [f"{self.name}: {what}" for what in found]


@dataclass
class Report:
    """What came of a soak."""

    done: dict[str, int]
    wrong: list[str]
    nodes: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> list[str]:
        """All that is not as promised."""
        return self.wrong + [what for finding in self.nodes for what in finding.wrong()]


def slope_text(slope: Slope) -> str:
    """A slope of KiB a second for people."""
    middle, least, most = (one * 3600 / 1024 for one in slope)
    return f"{middle:+.2f} MiB/h (95 %: {least:+.2f} to {most:+.2f})"


async def soak(mesh: Mesh, plan: Plan, progress: Progress) -> Report:
    """Load the nodes of ``mesh``, watch them meanwhile and afterwards."""
    watches = [Watch(node) for node in mesh]
    try:
        return await _soak(mesh, plan, watches, progress)
    finally:
        for watch in watches:
            watch.close()


async def _soak(mesh: Mesh, plan: Plan, watches: list[Watch], progress: Progress) -> Report:
    places: list[Place] = [(node.host, node.port) for node in mesh]
    # A little of it first: what is made once, such as links both ways, is no growth.
    await Load(places, 20, 50).run(time.monotonic() + 1.0)
    base = [await _settled(watch) for watch in watches]
    if plan.has_to_fill:
        await fill(places, [int(node.machine_id, 16) for node in mesh])
    load = Load(places, plan.opens_a_second, plan.calls_a_second)
    begin_at = time.monotonic()
    running = asyncio.create_task(load.run(begin_at + plan.seconds))
    every_s = max(plan.seconds / LOOKS, 0.5)
    for watch in watches:
        watch.looks.clear()
    while not running.done():
        for watch in watches:
            await watch.look()
        progress(min((time.monotonic() - begin_at) / plan.seconds, 1.0))
        await asyncio.wait([running], timeout=every_s)
    await running
    ended_at = begin_at + plan.seconds
    loaded = [[look for look in watch.looks if look.at <= ended_at] for watch in watches]
    warm_at = begin_at + plan.seconds * WARM_UP
    nodes = [
        _finding(watch, first, looks, await _settled(watch, first), warm_at)
        for watch, first, looks in zip(watches, base, loaded, strict=True)
    ]
    return Report(dict(load.done), load.wrong[:20], nodes)


async def _settled(watch: Watch, base: Look | None = None) -> Look:
    """Look until all is given back: as little as in ``base``, or, without one, as nothing is under way."""
    ends_at = time.monotonic() + HOME_S
    while True:
        look = await watch.look()
        least = (
            base.counts if base is not None else {"lambdas": 0, "calls_in_flight": 0, "websockets": 0, "connections": 1}
        )
        if all(look.counts[name] <= value for name, value in least.items()) or time.monotonic() > ends_at:
            return look
        await asyncio.sleep(LOOK_S)


def _finding(watch: Watch, base: Look, looks: list[Look], end: Look, warm_at: float) -> Finding:
    warm = [look for look in looks if look.at >= warm_at]
    few = max(len(warm) // 10, 1)
    return Finding(
        name=str(watch.node.settings["host_name"]),
        base=base.counts,
        end=end.counts,
        memory_kib=(
            base.memory_kib,
            median(look.memory_kib for look in warm[:few]),
            median(look.memory_kib for look in warm[-few:]),
        ),
        slope=slope_of([(look.at, look.memory_kib) for look in warm]),
        block_s=max(look.gauges[BLOCK] for look in warm),
        ping_s=max(look.ping_s for look in warm),
        seconds=warm[-1].at - warm[0].at,
    )
