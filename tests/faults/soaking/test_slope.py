"""The slope of what is known."""

from __future__ import annotations

import random

import pytest

from tests.faults.soaking.slope import slope_of

CHANCE = random.Random(7)


@pytest.mark.parametrize("a_second", [0.0, 3.0, -2.0])
def test_a_straight_line(a_second: float) -> None:
    found = slope_of([(at, 100 + a_second * at) for at in range(200)])
    assert found is not None
    assert found == pytest.approx((a_second, a_second, a_second))


def test_noise_is_no_growth() -> None:
    found = slope_of([(at, 100 + CHANCE.gauss(0, 5)) for at in range(300)])
    assert found is not None
    assert found.least < 0 < found.most


def test_growth_under_noise_is_seen() -> None:
    found = slope_of([(at, 100 + at * 0.5 + CHANCE.gauss(0, 5)) for at in range(300)])
    assert found is not None
    assert found.least > 0 and found.least < 0.5 < found.most


def test_one_step_is_no_growth() -> None:
    """A node that once took some memory more does not leak."""
    found = slope_of([(at, 100.0 if at < 150 else 103.0) for at in range(300)])
    assert found is not None
    assert found.least <= 0


def test_single_peaks_do_not_count() -> None:
    found = slope_of([(at, 1000.0 if at % 50 == 49 else 100.0) for at in range(300)])
    assert found is not None
    assert found.least == found.most == 0


@pytest.mark.parametrize("samples", [[], [(1.0, 2.0)], [(1.0, 2.0)] * 9, [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]])
def test_too_few_say_nothing(samples: list[tuple[float, float]]) -> None:
    assert slope_of(samples) is None
