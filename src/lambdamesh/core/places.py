"""Where things are: a place is one worker of one node, and every id has one as its home.

A place is written as a number: the machine id, and the number of the worker above its 32 bits. So the first worker of a
node, the only one of most, is at the machine's own number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from lambdamesh.ids import TEXT_LENGTH, machine_id_text, parse_lambda_id

NOWHERE = 0
"""The home of what is no id."""
WORKERS_MOST = 64
"""How many workers a node may have."""
_MACHINE_BITS = 32
_MACHINE_MASK = (1 << _MACHINE_BITS) - 1


def place_of(machine: int, worker: int) -> int:
    """Return the place of a worker."""
    return worker << _MACHINE_BITS | machine


def machine_of(place: int) -> int:
    """Return the machine of a place."""
    return place & _MACHINE_MASK


def worker_of(place: int) -> int:
    """Return which worker of its machine a place is."""
    return place >> _MACHINE_BITS


def place_text(place: int) -> str:
    """Write a place for people: the machine id, with the worker behind a slash unless it is the first."""
    worker = worker_of(place)
    return machine_id_text(machine_of(place)) + (f"/{worker}" if worker else "")


@lru_cache(maxsize=4_096)
def _minted_by(text: bytes) -> tuple[int, int]:
    """Return machine and worker field in an id; machine 0, which is none, where ``text`` is no id."""
    try:
        lambda_id = parse_lambda_id(text)
    except ValueError:
        return NOWHERE, 0
    return lambda_id.machine, lambda_id.worker


class Atlas:
    """Knows where ids have their home, as seen from worker ``worker`` of ``machine``, which has ``workers`` of them.

    ``workers_of`` says how many another machine has, as far as it is known here: 1 where it is not.
    """

    __slots__ = ("_machine", "here", "workers", "workers_of")

    def __init__(self, machine: int, worker: int = 0, workers: int = 1) -> None:
        self._machine = machine
        self.workers = workers
        self.here = place_of(machine, worker)
        self.workers_of: Callable[[int], int] = lambda _machine: 1

    def home_of(self, text: bytes) -> int:
        """Return the place in an id; ``NOWHERE`` where ``text`` is none."""
        # What is no id is not remembered: it may be long, and there is no end of it.
        machine, field = _minted_by(text) if len(text) == TEXT_LENGTH else (NOWHERE, 0)
        if machine == NOWHERE:
            return NOWHERE
        workers = self.workers if machine == self._machine else self.workers_of(machine)
        return machine if workers == 1 else place_of(machine, field % workers)

    def is_own(self, place: int) -> bool:
        """Whether ``place`` is of this machine, this worker or another."""
        return machine_of(place) == self._machine

    @property
    def own_places(self) -> tuple[int, ...]:
        """The places of this machine."""
        return tuple(place_of(self._machine, worker) for worker in range(self.workers))

    @property
    def siblings(self) -> tuple[int, ...]:
        """The places of the other workers of this machine."""
        return tuple(place for place in self.own_places if place != self.here)

    def places_of(self, machine: int) -> tuple[int, ...]:
        """Return the places of another machine, as far as it is known how many it has."""
        return tuple(place_of(machine, worker) for worker in range(self.workers_of(machine)))
