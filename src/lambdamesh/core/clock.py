"""The time that everything on the path of a call may read without asking the system."""

from __future__ import annotations


class Clock:
    """A coarse clock, moved by whoever turns the wheel. Never ahead, at most one sweep behind."""

    __slots__ = ("now", "unix_ms")

    def __init__(self, now: float, unix_ms: int) -> None:
        self.now = now
        """Monotonic seconds."""
        self.unix_ms = unix_ms
        """Wall clock, Unix milliseconds."""
