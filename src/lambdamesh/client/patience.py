"""Refusals that pass: whether a call that was refused is asked again, when, and which calls wait for that.

A node that goes down, is away or has just come back refuses a call before anybody was given it (contract: calls). Such
a call has certainly not run, so that asking again cannot run it twice. Pure: times are arguments, chance is drawn by
whoever calls.
"""

from __future__ import annotations

from lambdamesh.errors import Draining, MeshError, PeerUnreachable, Recovering

PATIENCE_S = 15.0
"""As long as a node that has started says ``recovering``."""
RESTING_CALLS = 1024
"""Calls of one client that may wait to be asked again; more are told their refusal at once."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
LONGEST_RETRY_AFTER_S = 2
"""A node that names a longer pause does not expect to be asked again by who waits."""

_PASSING = (Draining, Recovering, PeerUnreachable)


def is_passing(error: MeshError) -> bool:
    """Whether ``error`` says that the call has not run, and will be taken once a node is back."""
    return error.delivered == "no" and isinstance(error, _PASSING)


class Patience:
    """What one call has left of it. ``ends_at`` is in monotonic seconds, counted from its first refusal."""

    __slots__ = ("_refusals", "ends_at")

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self._refusals = 0

    def pause_s(self, error: MeshError, now: float, deadline_at: float, chance: float) -> float | None:
        """Return how long to wait until the call is asked again; ``None`` where ``error`` is what became of it.

        Full jitter below a bound that doubles from 0.1 s to 1 s, on top of what the node asks for. ``chance`` is drawn
        from 0 to 1. The last try is at the end of the patience; none is made at the deadline, which leaves no time.
        """
        least_s = float(error.retry_after_s or 0)
        left_s = self.ends_at - now
        if least_s > LONGEST_RETRY_AFTER_S or left_s <= least_s:
            return None
        bound_s: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._refusals, 16))
        self._refusals += 1
        pause_s = min(least_s + chance * bound_s, left_s)
        return pause_s if now + pause_s < deadline_at else None
