"""How long calls took: counted in narrow buckets, so that any number of them takes the same room."""

from __future__ import annotations

import math

import msgspec

_GROWTH = 1.02
"""Each bucket is 2 % wider than the one before: a percentile is that exact."""
_LEAST_S = 1e-6
_BUCKETS = 1200
_STEPS = (1, 1.5, 2, 3, 5, 7)
_BAR_COLUMNS = 40
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


class Latencies:
    """Counts times in seconds, from 1 us to some hours."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.longest_s = 0.0
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        place = int(math.log(max(seconds, _LEAST_S) / _LEAST_S) / _LOG_GROWTH)
        self._counts[min(place, _BUCKETS - 1)] += 1
        self.count += 1
        self._sum_s += seconds
        self.longest_s = max(self.longest_s, seconds)

    @property
    def mean_s(self) -> float:
        """The mean of all; 0 where there were none."""
        return self._sum_s / self.count if self.count else 0.0

    def percentile_s(self, percent: float) -> float:
        """The time that ``percent`` of all calls took at most; 0 where there were none."""
        wanted, seen = self.count * percent / 100, 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and seen:
                return min(_end_s(place), self.longest_s)
        return 0.0

    def rows(self) -> list[Row]:
        """The histogram from the first bar that is not empty to the last; its bounds are 1, 1.5, 2, 3, 5, 7, 10..."""
        counts: dict[float, int] = {}
        for place, count in enumerate(self._counts):
            if count:
                bound_s = _round_up_s(min(_end_s(place), self.longest_s))
                counts[bound_s] = counts.get(bound_s, 0) + count
        if not counts:
            return []
        bounds_s = [bound_s for bound_s in _BOUNDS_S if min(counts) <= bound_s <= max(counts)]
        return [Row(bound_s, counts.get(bound_s, 0)) for bound_s in bounds_s]


class Row(msgspec.Struct, frozen=True):
    """``count`` calls took up to ``bound_s`` seconds, and longer than the bound of the row before."""

    bound_s: float
    count: int


def _end_s(place: int) -> float:
    return float(_LEAST_S * _GROWTH ** (place + 1))


def _round_up_s(seconds: float) -> float:
    return next((bound_s for bound_s in _BOUNDS_S if seconds <= bound_s), _BOUNDS_S[-1])


def time_text(seconds: float) -> str:
    """A time with the unit that suits it and three digits: ``12.3 ms``."""
    for unit, length_s in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length_s:
            return f"{seconds / length_s:.3g} {unit}" if seconds < 1000 * length_s else f"{seconds:.0f} s"
    return f"{seconds * 1e6:.3g} us"


def bars(rows: list[Row], *, is_plain: bool = False) -> list[str]:
    """The histogram as lines: bound, count, share, bar; ``is_plain`` where the terminal has no blocks to draw with."""
    total, most = sum(row.count for row in rows), max((row.count for row in rows), default=0)
    lines = []
    for row in rows:
        bar = _bar(_BAR_COLUMNS * row.count / most, is_plain)
        lines.append(f"  up to {time_text(row.bound_s):>7} {row.count:>9,} {row.count / total:>6.1%} {bar}".rstrip())
    return lines


def _bar(columns: float, is_plain: bool) -> str:
    """A bar so many columns long, to an eighth of one; of whatever is not nothing some of it can be seen."""
    if is_plain:
        return "#" * math.ceil(columns)
    whole, eighths = divmod(math.ceil(columns * 8), 8)
    return "█" * whole + _EIGHTHS[eighths]


_LOG_GROWTH = math.log(_GROWTH)
_BOUNDS_S = [float(f"{step}e{exponent}") for exponent in range(-6, 5) for step in _STEPS]
