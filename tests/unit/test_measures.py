"""How long the event loop was kept from its timer."""

from __future__ import annotations

from lambdamesh.measures import Load


def turned(*turns: tuple[float, float]) -> float:
    """The longest time after turns of the timer, each at a time and with what the process had used so far."""
    load = Load()
    for now, cpu_s in turns:
        load.turn(now, cpu_s)
    return load.longest_s


def test_nothing_has_been_seen_yet() -> None:
    assert turned() == 0.0


def test_what_the_start_took_does_not_count() -> None:
    assert turned((100.0, 7.0)) == 0.0
    assert turned((100.0, 7.0), (100.02, 7.001)) < 0.01


def test_the_longest_counts() -> None:
    assert turned((1.0, 1.0), (1.1, 1.1), (2.0, 1.4), (2.1, 1.45)) == 1.4 - 1.1


def test_time_that_others_had_does_not_count() -> None:
    assert turned((1.0, 1.0), (30.0, 1.0)) == 0.0


def test_it_is_forgotten_after_two_minutes_and_not_before_one() -> None:
    long_ago = [(1.0, 1.0), (2.0, 1.5)]
    assert turned(*long_ago, (62.0, 1.5)) == 0.5
    assert turned(*long_ago, (62.0, 1.5), (121.0, 1.5)) == 0.5
    assert turned(*long_ago, (62.0, 1.5), (123.0, 1.5)) == 0.0


def test_a_turn_at_the_end_of_a_minute_counts_in_the_next() -> None:
    assert turned((1.0, 1.0), (62.0, 1.7), (123.0, 1.7)) == 1.7 - 1.0
