"""Pings: who answers none is gone, unless it says something else or has bytes before it."""

from __future__ import annotations

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.door.pulse import Pulse

LIMITS = Limits(ping_interval_s=10.0, ping_misses=2, body_rate_bytes=1024)


def beats(pulse: Pulse, count: int, waiting_bytes: int = 0) -> list[bool]:
    return [pulse.beat(pulse.at, LIMITS, waiting_bytes) for _ in range(count)]


def test_who_answers_is_pinged_for_ever() -> None:
    pulse = Pulse()
    for _ in range(5):
        assert pulse.beat(pulse.at, LIMITS, 0)
        pulse.heard = True


def test_two_misses_are_the_end() -> None:
    assert beats(Pulse(), 3) == [True, True, False]


def test_an_answer_in_between_begins_the_count_anew() -> None:
    pulse = Pulse()
    assert beats(pulse, 2) == [True, True]
    pulse.heard = True
    assert beats(pulse, 3) == [True, True, False]


def test_who_has_bytes_before_it_is_not_blamed() -> None:
    assert beats(Pulse(), 5, waiting_bytes=1) == [True] * 5


@pytest.mark.parametrize(("size", "is_alive"), [(10 * 1024, True), (10 * 1024 - 1, False)])
def test_a_long_frame_counts_if_it_keeps_pace(size: int, is_alive: bool) -> None:
    pulse = Pulse()
    assert beats(pulse, 2) == [True, True]
    pulse.heard_bytes = size
    assert beats(pulse, 1) == [is_alive]


def test_the_next_ping_is_an_interval_away() -> None:
    pulse = Pulse()
    pulse.beat(100.0, LIMITS, 0)
    assert pulse.at == 110.0
