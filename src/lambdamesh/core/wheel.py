"""One coarse timer for everything that expires: a wheel of slots that one sweep turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Expiring(Protocol):
    """Something that wants to be told when a time has come."""

    def expire(self, now: float) -> None:
        """The time given at ``Wheel.add`` has passed; ``now`` is monotonic seconds."""


Slot = dict[Expiring, None]
"""The things that expire together; remove one with ``slot.pop(thing, None)``."""


class Wheel:
    """Keeps things by the tick in which they expire: never before their time, at most one tick and one sweep late."""

    __slots__ = ("_next_tick", "_per_second", "_slots", "on_bug")

    def __init__(self, tick_s: float, now: float) -> None:
        self._per_second = 1.0 / tick_s
        self._slots: dict[int, Slot] = {}
        self._next_tick = int(now * self._per_second)
        self.on_bug: Callable[[], None] = lambda: None
        """Told, from inside of the handler, of an exception that a thing has raised: the others expire all the same."""

    def add(self, thing: Expiring, at: float) -> Slot:
        """Have ``thing.expire`` called once ``at`` (monotonic seconds) has passed."""
        tick = int(at * self._per_second) + 1
        if tick < self._next_tick:
            tick = self._next_tick
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = slot = {}
        slot[thing] = None
        return slot

    def sweep(self, now: float) -> None:
        """Expire everything whose time has passed."""
        reached = int(now * self._per_second)
        while self._next_tick <= reached:
            if not self._slots:
                self._next_tick = reached + 1
                return
            slot = self._slots.pop(self._next_tick, None)
            self._next_tick += 1
            while slot:
                try:
                    slot.popitem()[0].expire(now)
                except Exception:
                    self.on_bug()
