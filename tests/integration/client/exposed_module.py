"""A module whose one public function is exposed."""

from __future__ import annotations

from math import floor

__all__ = ["double"]

PUBLIC = floor(1.5)


def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


def _hidden() -> None: ...
