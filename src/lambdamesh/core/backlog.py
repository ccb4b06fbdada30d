"""What piles up before a socket that is read too slowly counts against what all large buffers may hold together."""

from __future__ import annotations

from lambdamesh.core.budget import Budget


class Backlog:
    """The bytes of one socket that are reserved."""

    __slots__ = ("_budget", "_reserved_bytes")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._reserved_bytes = 0

    def hold(self, waiting_bytes: int) -> bool:
        """Have ``waiting_bytes`` count, as many as wait now; ``False`` where there is no room for them."""
        missing_bytes = waiting_bytes - self._reserved_bytes
        if missing_bytes > 0:
            if not self._budget.reserve(missing_bytes):
                return False
            self._reserved_bytes = waiting_bytes
        return True

    def release(self) -> None:
        """They have been taken, or never will be."""
        self._budget.release(self._reserved_bytes)
        self._reserved_bytes = 0
