"""Whether the other side of a socket takes what is written to it: a state machine that is asked now and then."""

from __future__ import annotations

CHECK_S = 1.0
"""Time between two looks, while anything waits."""


class Uptake:
    """Counts what was written. ``check_at`` is when to look next (monotonic seconds), 0 while nothing waits."""

    __slots__ = ("_stalled_since", "_taken_bytes", "_written_bytes", "check_at")

    def __init__(self) -> None:
        self._written_bytes = self._taken_bytes = 0
        self._stalled_since = 0.0
        self.check_at = 0.0

    def wrote(self, size_bytes: int, now: float) -> bool:
        """Count bytes; ``True`` where a look is due from now on that was not before."""
        self._written_bytes += size_bytes
        if self.check_at:
            return False
        self.check_at = self._stalled_since = now + CHECK_S
        return True

    def look(self, now: float, waiting_bytes: int, deadline_s: float) -> bool:
        """Whether what was written is being taken; ``False`` where nothing was for ``deadline_s``."""
        if waiting_bytes == 0:
            self.check_at = 0.0
            return True
        taken_bytes = self._written_bytes - waiting_bytes
        if taken_bytes > self._taken_bytes:
            self._taken_bytes = taken_bytes
            self._stalled_since = now
        self.check_at = now + CHECK_S
        return now - self._stalled_since < deadline_s
