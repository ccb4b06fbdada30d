"""How fast something grows, from samples that jump: robust against single ones, and honest about what it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from statistics import median
from typing import NamedTuple

BLOCKS = 12
"""Medians of so many equal spans are compared: samples side by side say the same thing again."""
_NORMAL_95 = 1.96


class Slope(NamedTuple):
    """Growth a second, and between what it lies with 95 % confidence."""

    a_second: float
    least: float
    most: float


def slope_of(samples: Sequence[tuple[float, float]]) -> Slope | None:
    """The slope of samples (seconds, value) by the medians of their blocks (Theil and Sen).

    ``None`` where they are too few.
    """
    points = _blocks(samples)
    if len(points) < BLOCKS // 2:
        return None
    slopes = sorted((b - a) / (then - at) for (at, a), (then, b) in combinations(points, 2))
    count, pairs = len(points), len(slopes)
    spread = _NORMAL_95 * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(int((pairs - spread) / 2) - 1, 0)
    high = min(int((pairs + spread) / 2) + 1, pairs - 1)
    return Slope(median(slopes), slopes[low], slopes[high])


def _blocks(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if not samples:
        return []
    begin_at, length_s = samples[0][0], (samples[-1][0] - samples[0][0]) / BLOCKS
    if length_s <= 0:
        return []
    blocks: list[list[tuple[float, float]]] = [[] for _ in range(BLOCKS)]
    for at, value in samples:
        blocks[min(int((at - begin_at) / length_s), BLOCKS - 1)].append((at, value))
    return [(median(at for at, _ in block), median(value for _, value in block)) for block in blocks if block]
