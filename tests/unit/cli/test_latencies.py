"""Percentiles and bars of many times in little room."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from lambdamesh.cli.latencies import Latencies, Row, bars, time_text


def latencies_of(*seconds: float) -> Latencies:
    latencies = Latencies()
    for one in seconds:
        latencies.add(one)
    return latencies


@given(st.lists(st.floats(1e-6, 3600), min_size=1, max_size=200), st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_exact_to_two_percent(seconds: list[float], percent: int) -> None:
    exact = sorted(seconds)[max(-(-len(seconds) * percent // 100) - 1, 0)]
    assert latencies_of(*seconds).percentile_s(percent) == pytest.approx(exact, rel=0.021)


@given(st.lists(st.floats(0, 1e6), max_size=100))
def test_the_bars_count_every_call_once(seconds: list[float]) -> None:
    rows = latencies_of(*seconds).rows()
    assert sum(row.count for row in rows) == len(seconds)
    assert [row.bound_s for row in rows] == sorted({row.bound_s for row in rows})
    assert not rows or (rows[0].count and rows[-1].count)


def test_without_calls_there_is_nothing() -> None:
    assert latencies_of().percentile_s(99) == 0.0
    assert latencies_of().rows() == []
    assert bars([]) == []


def test_bounds_are_round_and_empty_rows_between_stay() -> None:
    assert latencies_of(0.00095, 0.0026, 0.0027).rows() == [Row(0.001, 1), Row(0.0015, 0), Row(0.002, 0), Row(0.003, 2)]


def test_the_longest_bar_is_the_most_frequent_time() -> None:
    first, second = bars([Row(0.001, 30), Row(0.0015, 10)])
    assert "up to    1 ms" in first
    assert "75.0%" in first
    assert first.count("█") == 40
    assert second.endswith(" █████████████▍"), "13 and 3 eighths, rounded up"
    assert [line.count("#") for line in bars([Row(0.001, 30), Row(0.0015, 10)], is_plain=True)] == [40, 14]


def test_of_whatever_is_not_nothing_some_is_seen() -> None:
    *_, least, nothing = bars([Row(0.001, 1_000_000), Row(0.0015, 1), Row(0.002, 0)])
    assert least.endswith("▏")
    assert nothing.endswith("0.0%")


def test_the_mean() -> None:
    assert latencies_of(0.1, 0.3).mean_s == pytest.approx(0.2)
    assert latencies_of().mean_s == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0000123, "12.3 us"), (0.0123, "12.3 ms"), (0.5, "500 ms"), (1.5, "1.5 s"), (3600, "3600 s"), (0, "0 us")],
)
def test_times_have_a_unit_that_suits_them(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
