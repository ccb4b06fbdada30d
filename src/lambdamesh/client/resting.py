"""The calls of one client that were refused and wait to be asked again. Sans I/O: times are arguments."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from lambdamesh.client.faults import copy_of
from lambdamesh.client.patience import RESTING_CALLS, Patience, is_passing
from lambdamesh.client.requests import Request
from lambdamesh.errors import Draining, MeshError

GOING_DOWN = "the node that this client is connected to is going down: call again, or by another node"


class Resting:
    """Calls that rest until their time, and calls that wait until their node has gone down and another takes them.

    ``patience_s`` is for how long a call may, from its first refusal; 0: none does. ``chance`` draws from 0 to 1.
    """

    def __init__(self, patience_s: float, chance: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._chance = chance
        self._due_at: dict[Request, float] = {}
        self._parked: dict[Request, None] = {}

    def __len__(self) -> int:
        return len(self._due_at) + len(self._parked)

    @property
    def is_patient(self) -> bool:
        """Whether anything rests here ever."""
        return self._patience_s > 0

    @property
    def earliest_at(self) -> float:
        """When ``expire`` is wanted next."""
        parked_at = min(map(_parked_until, self._parked), default=inf)
        return min(parked_at, min(self._due_at.values(), default=inf))

    def rest(self, request: Request, error: MeshError, now: float) -> float | None:
        """Have ``request``, which was refused with ``error``, rest; return until when. ``None``: that is its end."""
        if not (self.is_patient and request.is_repeatable and is_passing(error)) or len(self) >= RESTING_CALLS:
            return None
        pause_s = self._patience_of(request, now).pause_s(error, now, request.deadline_at, self._chance())
        if pause_s is None:
            return None
        self._due_at[request] = due_at = now + pause_s
        return due_at

    def park(self, request: Request, now: float) -> float:
        """Have ``request`` wait for the next connection: on this one it would be refused. Return until when it may.

        Raises:
            Draining: it may not.
        """
        if len(self) >= RESTING_CALLS or self._patience_of(request, now).ends_at <= now:
            raise Draining(GOING_DOWN)
        self._parked[request] = None
        return _parked_until(request)

    def _patience_of(self, request: Request, now: float) -> Patience:
        if request.patience is None:
            request.patience = Patience(now + self._patience_s)
        return request.patience

    def discard(self, request: Request) -> None:
        """Nobody wants it any more."""
        self._due_at.pop(request, None)
        self._parked.pop(request, None)

    def due(self, now: float) -> list[Request]:
        """Take out those that are to be asked now."""
        due = [request for request, at in self._due_at.items() if at <= now]
        for request in due:
            del self._due_at[request]
        return due

    def expire(self, now: float) -> None:
        """End those that wait for their node no longer."""
        for request in [parked for parked in self._parked if _parked_until(parked) <= now]:
            del self._parked[request]
            request.fault(Draining(GOING_DOWN))

    def leave(self) -> list[Request]:
        """Take out those that waited for another connection."""
        parked, self._parked = list(self._parked), {}
        return parked

    def close(self, refusal: MeshError) -> None:
        """Nothing will be asked any more."""
        resting = [*self._due_at, *self._parked]
        self._due_at.clear()
        self._parked.clear()
        for request in resting:
            request.fault(copy_of(refusal))


def _parked_until(request: Request) -> float:
    assert request.patience is not None
    return min(request.patience.ends_at, request.deadline_at)
