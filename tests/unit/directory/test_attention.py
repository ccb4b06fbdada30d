"""The clock of the time in which others could be heard."""

from __future__ import annotations

from lambdamesh.directory.attention import Attention


class Hand:
    """A clock moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_stands_still_until_somebody_can_be_heard() -> None:
    clock = Hand()
    attention = Attention(clock, longest_s=15)
    clock.now += 500
    assert attention.ticks == 0
    attention.beat()
    clock.now += 10
    assert attention.ticks == 10


def test_it_goes_on_while_signs_of_life_come() -> None:
    clock = Hand()
    attention = Attention(clock, longest_s=15)
    for _ in range(20):
        attention.beat()
        clock.now += 5
    assert attention.ticks == 100


def test_it_stands_still_soon_after_the_last_sign_of_life() -> None:
    clock = Hand()
    attention = Attention(clock, longest_s=15)
    attention.beat()
    clock.now += 3600
    assert attention.ticks == 15
    attention.beat()
    assert attention.ticks == 15
    clock.now += 1
    assert attention.ticks == 16


def test_time_cut_off_does_not_count() -> None:
    clock = Hand()
    attention = Attention(clock, longest_s=15)
    attention.beat()
    clock.now += 4
    attention.stop()
    clock.now += 3600
    assert attention.ticks == 4
    attention.beat()
    clock.now += 1
    assert attention.ticks == 5
