"""Whether the other side is still there: pings, and what silence means."""

from __future__ import annotations

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.links.pulse import Pulse

LIMITS = Limits()
LATE_S = 0.05
"""How late a tick may be."""


class Watch:
    """A pulse that is looked at once a second, as a connection does."""

    def __init__(self, *, is_busy: bool = True) -> None:
        self.pulse = Pulse(LIMITS)
        self.is_busy = is_busy
        self.now = 1000.0
        self.pings: list[float] = []
        self.dead_at: float | None = None

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
        if self.pulse.is_silent(self.now):
            self.dead_at = self.dead_at or self.now
        elif self.pulse.is_due(self.now, self.is_busy):
            self.pings.append(self.now)

    def answer(self, after_s: float = 0.01) -> None:
        self.pulse.heard = True
        self.pulse.answered(self.pulse.number, self.now + after_s)


@pytest.mark.parametrize("tick_s", [1.0, 1.0 + LATE_S, 0.9])
def test_it_pings_at_each_tick_while_something_is_in_flight(tick_s: float) -> None:
    watch = Watch()
    for _ in range(20):
        watch.tick(tick_s)
        watch.answer()
    assert len(watch.pings) == 20
    assert watch.dead_at is None
    assert watch.pulse.latency_s == pytest.approx(0.01)


def test_it_pings_seldom_while_nothing_is() -> None:
    watch = Watch(is_busy=False)
    for _ in range(61):
        watch.tick()
        watch.answer()
    assert [round(later - before) for before, later in zip(watch.pings, watch.pings[1:], strict=False)] == [10] * 6


@pytest.mark.parametrize("is_busy", [True, False])
@pytest.mark.parametrize("tick_s", [1.0, 1.0 + LATE_S, 0.5])
@pytest.mark.parametrize("answered", [0, 1, 7])
def test_it_is_dead_within_5_s_of_the_first_ping_that_is_not_answered(
    is_busy: bool, tick_s: float, answered: int
) -> None:
    watch = Watch(is_busy=is_busy)
    while len(watch.pings) < answered:
        watch.tick(tick_s)
        watch.answer()
    while watch.dead_at is None:
        watch.tick(tick_s)
    unanswered_at = watch.pings[answered]
    assert LIMITS.link_silence_s <= watch.dead_at - unanswered_at <= 5.0


def test_it_never_dies_while_anything_is_heard() -> None:
    """A link that is full of a large body brings its pongs late."""
    watch = Watch()
    for _ in range(100):
        watch.tick()
        watch.pulse.heard = True
    assert watch.dead_at is None
    assert len(watch.pings) == 100


def test_what_was_heard_before_the_ping_is_no_sign_of_life() -> None:
    watch = Watch()
    watch.pulse.heard = True
    while watch.dead_at is None:
        watch.tick()
    assert watch.dead_at - watch.pings[0] <= 5.0


def test_an_idle_link_that_is_used_again_is_watched_closely() -> None:
    watch = Watch(is_busy=False)
    watch.tick()
    watch.answer()
    watch.tick()
    assert len(watch.pings) == 1
    watch.is_busy = True
    watch.tick()
    assert len(watch.pings) == 2


def test_no_second_ping_hides_that_the_first_was_not_answered() -> None:
    watch = Watch()
    for _ in range(4):
        watch.tick()
    assert len(watch.pings) == 1


def test_a_pong_of_an_earlier_ping_says_nothing_of_this_one() -> None:
    watch = Watch()
    watch.tick()
    watch.answer()
    watch.tick()
    watch.pulse.answered(1, watch.now + 0.5)
    assert watch.pulse.latency_s == pytest.approx(0.01)
    watch.pulse.answered(2, watch.now + 0.5)
    watch.pulse.answered(2, watch.now + 0.9)
    assert watch.pulse.latency_s == pytest.approx(0.5)


def test_a_node_that_stood_still_itself_gives_others_time_to_be_heard() -> None:
    watch = Watch()
    watch.tick()
    watch.tick(30.0)
    assert watch.dead_at is None
    watch.tick()
    assert watch.dead_at == watch.now


def test_ticks_that_are_far_apart_are_no_standstill() -> None:
    pulse = Pulse(Limits(link_ping_s=6.0))
    assert pulse.is_due(1000.0, True)
    assert not pulse.is_silent(1001.0)
    assert pulse.is_silent(1007.0)
