"""When a worker that has died is started again."""

from __future__ import annotations

from lambdamesh.workers.crew import CRASHES_MOST, Crashes


def test_one_that_has_lived_is_started_again_at_once() -> None:
    crashes = Crashes()
    assert [crashes.crashed(0, 600.0, 1_000.0 * n) for n in range(20)] == [0.0] * 20


def test_one_that_dies_of_its_start_has_to_wait_longer_each_time() -> None:
    crashes = Crashes()
    assert [crashes.crashed(0, 0.3, 30.0 * n) for n in range(8)] == [0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_long_life_is_forgiven_and_others_are_not_blamed() -> None:
    crashes = Crashes()
    assert [crashes.crashed(0, 0.3, 30.0 * n) for n in range(3)] == [0.0, 0.2, 0.4]
    assert crashes.crashed(1, 0.3, 90.0) == 0.0
    assert crashes.crashed(0, 10.0, 120.0) == 0.0
    assert [crashes.crashed(0, 0.3, 150.0 + 30.0 * n) for n in range(2)] == [0.0, 0.2]


def test_five_within_a_minute_are_the_end_whoever_they_were() -> None:
    crashes = Crashes()
    assert None not in [crashes.crashed(worker, 60.0, float(worker)) for worker in range(CRASHES_MOST - 1)]
    assert crashes.crashed(9, 3_600.0, 59.0) is None


def test_a_minute_is_a_minute() -> None:
    crashes = Crashes()
    assert None not in [crashes.crashed(0, 15.0, 15.1 * n) for n in range(50)]
    crashes = Crashes()
    assert [crashes.crashed(0, 15.0, 15.0 * n) for n in range(CRASHES_MOST)][-1] is None
