"""What a node measures of itself, read when somebody asks for its metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lambdamesh.core.counters import COUNTERS
from lambdamesh.core.registry import Registry
from lambdamesh.core.words import MeasuresWords
from lambdamesh.door.door import Core, Door
from lambdamesh.links.links import Links
from lambdamesh.part import Part
from lambdamesh.protocol.session import SESSION_COUNTERS
from lambdamesh.telemetry.metrics import MESH_GAUGES

if TYPE_CHECKING:
    from lambdamesh.membership import Membership

_WINDOW_S = 60.0


class Counting:
    """Writes down what one worker counts, where all workers of its node do (``Part.tally``)."""

    def __init__(self, core: Core, part: Part) -> None:
        self._core = core
        self._part = part

    def note(self) -> None:
        """Write it down as it is now."""
        counted = {name: getattr(self._core.counters, name) for name, _ in COUNTERS}
        counted |= {name: getattr(self._core.sessions, name) for name, _ in SESSION_COUNTERS}
        self._part.tally.write(self._part.worker, counted)

    def totals(self) -> dict[str, int]:
        """Return the value of each counter of the node by name: as it is here, and as others have written it down."""
        self.note()
        return self._part.tally.totals()


def gauges(core: Core, door: Door, connections: int) -> dict[str, float]:
    """Return the value of each gauge of a worker by name. ``connections`` are those of all doors for clients."""
    live = core.registry.live.values()
    return {
        "lambdas": len(live),
        "waiting_lambdas": sum(held.seat is None for held in live),
        "calls_in_flight": calls_in_flight(core.registry),
        "connections": connections,
        "websockets": len(door.sockets),
        "buffered_bytes": core.budget.used_bytes,
        "workers": 1,
        "ready": int(door.is_ready),
    }


def mesh_gauges(membership: Membership | None, links: Links | None) -> dict[str, float]:
    """Return those that have to do with other places."""
    values: dict[str, float] = dict.fromkeys(MESH_GAUGES, 0)
    if links is not None:
        values |= links.gauges()
    if membership is not None:
        values["nodes"] = len(membership.directory.nodes())
        values["nodes_alive"] = len(membership.machines())
        values["mesh_degraded"] = int(membership.trouble() is not None)
    return values


def measures(counting: Counting, values: dict[str, float]) -> MeasuresWords:
    """Write down what a worker counts, and return what it tells another that asks: the ``values`` of its gauges."""
    counting.note()
    return MeasuresWords(os.getpid(), values)


class Load:
    """How long the event loop was kept from its timer by whatever else it did.

    Told in seconds of this process's own time, so that other processes, which a machine has as well, do not count.
    """

    def __init__(self) -> None:
        self._cpu_s = 0.0
        self._longest_s = self._before_s = 0.0
        self._turns_over_at = 0.0

    def turn(self, now: float, cpu_s: float) -> None:
        """It is the timer's turn; ``cpu_s`` is what the process has used so far."""
        used_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        if now >= self._turns_over_at:
            is_first = not self._turns_over_at
            self._turns_over_at = now + _WINDOW_S
            self._before_s, self._longest_s = self._longest_s, 0.0
            if is_first:
                # What it took to start is not the loop's.
                return
        self._longest_s = max(self._longest_s, used_s)

    @property
    def longest_s(self) -> float:
        """The longest time without a turn, of the last minute to two."""
        return max(self._longest_s, self._before_s)


def calls_in_flight(registry: Registry) -> int:
    """Count the calls of the lambdas that are held here, sent or waiting."""
    live = registry.live.values()
    sent = sum(len(held.provider.pending) for held in live if held.provider is not None)
    return sent + sum(len(held.waiting or ()) for held in live)
