"""A clock of the time in which others could be heard: what is not heard while nobody listens is no sign of death."""

from __future__ import annotations

from collections.abc import Callable


class Attention:
    """Counts seconds, but only those in which it is certain that words of others would have come.

    Each proof that they would is a ``beat``; ``longest_s`` after the last one it stands still until the next. So time
    counts neither while the node is cut off, nor while its process is stopped. ``clock`` is monotonic seconds.
    """

    __slots__ = ("_beat_at", "_clock", "_longest_s", "_ticks")

    def __init__(self, clock: Callable[[], float], longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._ticks = 0.0
        self._beat_at: float | None = None

    @property
    def ticks(self) -> float:
        """The seconds counted so far."""
        return self._ticks + self._since_beat()

    def beat(self) -> None:
        """Others can be heard now."""
        self._ticks += self._since_beat()
        self._beat_at = self._clock()

    def stop(self) -> None:
        """Others cannot be heard from now on, until the next beat."""
        self._ticks += self._since_beat()
        self._beat_at = None

    def _since_beat(self) -> float:
        if self._beat_at is None:
            return 0.0
        return min(self._clock() - self._beat_at, self._longest_s)
