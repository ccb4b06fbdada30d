"""Whether the other side of a link is still there: a state machine for its pings."""

from __future__ import annotations

from lambdamesh.core.limits import Limits


class Pulse:
    """Pings often while something is in flight, seldom while not. ``heard`` is set by whoever hears anything.

    ``latency_s`` is how long the last answered ping took, ``None`` before the first; ``number`` that of the last ping.
    Times are monotonic seconds.
    """

    __slots__ = ("_is_answered", "_limits", "_looked_at", "heard", "latency_s", "number", "pinged_at")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._is_answered = True
        self._looked_at = 0.0
        self.heard = False
        self.latency_s: float | None = None
        self.number = 0
        self.pinged_at = 0.0

    def is_silent(self, now: float) -> bool:
        """Whether nothing at all has come for too long since the last ping, as seen at ticks every ``link_ping_s``."""
        looked_at, self._looked_at = self._looked_at, now
        if now - looked_at >= max(self._limits.link_silence_s, 2 * self._limits.link_ping_s):
            # It is this node that stood still: what came meanwhile has not been read yet.
            return False
        return not (self._is_answered or self.heard) and now - self.pinged_at >= self._limits.link_silence_s

    @property
    def silent_at(self) -> float:
        """When the other side has been silent for too long, if nothing comes; 0 while nothing is expected."""
        return 0.0 if self._is_answered or self.heard else self.pinged_at + self._limits.link_silence_s

    def is_due(self, now: float, is_busy: bool) -> bool:
        """Whether to ping, at one of the ticks that come every ``link_ping_s``; if so, the ping counts as sent."""
        pause_s = self._limits.link_ping_s if is_busy else self._limits.ping_interval_s
        # Ticks come a little late: a pause is as long as so many of them.
        is_early = now - self.pinged_at < pause_s - self._limits.link_ping_s / 2
        if is_early or not (self._is_answered or self.heard):
            return False
        self._is_answered = self.heard = False
        self.pinged_at = now
        self.number += 1
        return True

    def answered(self, number: int, now: float) -> None:
        """A pong has come."""
        if number == self.number and not self._is_answered:
            self._is_answered = True
            self.latency_s = now - self.pinged_at
