"""Bodies of requests in pieces, and what bounds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lambdamesh.core.admission import Admission
from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.door.head import Head
from lambdamesh.errors import MeshError, Overloaded, TooLarge

READ_BYTES = 16 * 1024
"""Of short frames or requests so much is read at once, which is tens of milliseconds of work at most."""

LARGE_BYTES = 256 * 1024
"""From this size on a buffer counts against the budget that all share."""


class Refused(Exception):
    """The request that is being read is refused, and nothing behind it is read."""

    def __init__(self, error: MeshError) -> None:
        super().__init__(error.message)
        self.error = error


class Shared:
    """What the readers of a door share."""

    __slots__ = ("admit", "budget", "counters", "limits", "no_head", "post_targets")

    def __init__(
        self, limits: Limits, budget: Budget, counters: Counters, admit: Callable[[Mapping[bytes, bytes]], Admission]
    ) -> None:
        self.limits = limits
        self.budget = budget
        self.counters = counters
        self.admit = admit
        """Judges a head by its fields."""
        self.no_head = Head([], 0, limits)
        """The head of a request of which nothing is known yet."""
        self.post_targets: dict[bytes, bytes] = {}
        """Targets by request line, of POSTs that were legal."""


class Body:
    """A body in pieces, bounded on its own and together with all other large ones."""

    __slots__ = ("_pieces", "_reserved_bytes", "_shared", "size_bytes")

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._pieces: list[bytes] = []
        self._reserved_bytes = 0
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            Refused: it is one too many.
        """
        self._pieces.append(piece)
        self.size_bytes += len(piece)
        limit_bytes = self._shared.limits.body_bytes
        if self.size_bytes > limit_bytes:
            raise Refused(TooLarge(f"a body is at most {limit_bytes} bytes"))
        if self.size_bytes <= LARGE_BYTES:
            return
        missing = self.size_bytes - self._reserved_bytes
        if not self._shared.budget.reserve(missing):
            self._shared.counters.overloaded_buffers += 1
            raise Refused(Overloaded("this node buffers as many large bodies as it may: try again later"))
        self._reserved_bytes = self.size_bytes

    def take(self) -> bytes:
        """Return the whole body and hold it no longer."""
        self.discard()
        return b"".join(self._pieces)

    def discard(self) -> None:
        """Give back what was reserved."""
        self._shared.budget.release(self._reserved_bytes)
        self._reserved_bytes = 0
