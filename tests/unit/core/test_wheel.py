"""The one timer: never early, at most a tick and a sweep late."""

from __future__ import annotations

import pytest

from lambdamesh.core.wheel import Wheel

TICK_S = 0.05


class Bell:
    """Keeps when it rang; ``then`` is something else that it does."""

    def __init__(self) -> None:
        self.rang: list[float] = []

    def expire(self, now: float) -> None:
        self.rang.append(now)


class Again(Bell):
    """Winds itself up again."""

    def __init__(self, wheel: Wheel, after_s: float) -> None:
        super().__init__()
        self._wheel = wheel
        self._after_s = after_s

    def expire(self, now: float) -> None:
        super().expire(now)
        self._wheel.add(self, now + self._after_s)


class Stopping(Bell):
    """Stops another bell."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: list[tuple[dict[object, None], Bell]] = []

    def expire(self, now: float) -> None:
        super().expire(now)
        for slot, bell in self.stop:
            slot.pop(bell, None)


@pytest.mark.parametrize("start", [0.0, 1000.0, 12345.678])
@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.05, 0.0499999, 0.1, 7.77])
def test_never_early_and_hardly_late(start: float, after_s: float) -> None:
    wheel, bell = Wheel(TICK_S, start), Bell()
    at = start + after_s
    wheel.add(bell, at)
    for sweep in range(2000):
        wheel.sweep(start + sweep * 0.01)
    (rang,) = bell.rang
    assert at < rang <= at + TICK_S + 0.01 + 1e-9


def test_a_sweep_at_the_very_time_is_too_early() -> None:
    wheel, bell = Wheel(TICK_S, 0.0), Bell()
    wheel.add(bell, 1.0)
    wheel.sweep(1.0)
    assert not bell.rang


def test_a_sweep_after_a_long_pause_rings_everything_once_in_order() -> None:
    wheel = Wheel(TICK_S, 0.0)
    order: list[int] = []
    for number, at in enumerate((3.0, 1.0, 2.0)):
        bell = Bell()
        bell.expire = lambda _now, number=number: order.append(number)  # type: ignore[method-assign, misc]
        wheel.add(bell, at)
    wheel.sweep(1000.0)
    wheel.sweep(2000.0)
    assert order == [1, 2, 0]


def test_a_time_that_has_passed_rings_at_the_next_tick() -> None:
    wheel, bell = Wheel(TICK_S, 100.0), Bell()
    wheel.sweep(100.0)
    wheel.add(bell, 5.0)
    wheel.sweep(100.2)
    assert bell.rang == [100.2]


def test_what_is_taken_out_of_its_slot_does_not_ring() -> None:
    wheel, bell = Wheel(TICK_S, 0.0), Bell()
    wheel.add(bell, 1.0).pop(bell, None)
    wheel.sweep(10.0)
    assert not bell.rang


def test_one_bell_can_stop_another_of_the_same_tick() -> None:
    wheel = Wheel(TICK_S, 0.0)
    first, second = Stopping(), Stopping()
    slots = [wheel.add(bell, 1.0) for bell in (first, second)]
    first.stop.append((slots[1], second))  # type: ignore[arg-type]
    second.stop.append((slots[0], first))  # type: ignore[arg-type]
    wheel.sweep(2.0)
    assert len(first.rang) + len(second.rang) == 1


@pytest.mark.parametrize("after_s", [0.0, 0.05, 1.0])
def test_one_that_winds_itself_up_rings_once_a_sweep_at_most(after_s: float) -> None:
    wheel = Wheel(TICK_S, 0.0)
    bell = Again(wheel, after_s)
    wheel.add(bell, 0.0)
    for sweep in range(1, 4):
        wheel.sweep(sweep * 5.0)
        assert bell.rang == [5.0 * done for done in range(1, sweep + 1)]


def test_a_wheel_that_was_empty_for_long_still_turns() -> None:
    wheel, bell = Wheel(TICK_S, 0.0), Bell()
    wheel.sweep(10_000.0)
    wheel.add(bell, 10_001.0)
    wheel.sweep(10_001.0)
    assert not bell.rang
    wheel.sweep(10_001.1)
    assert bell.rang == [10_001.1]


class Breaking(Bell):
    """Breaks when it rings."""

    def expire(self, now: float) -> None:
        super().expire(now)
        raise ZeroDivisionError


@pytest.mark.parametrize("broken_at", [0, 1, 2])
def test_one_that_breaks_does_not_stop_the_others(broken_at: int) -> None:
    wheel = Wheel(TICK_S, 0.0)
    bugs: list[float] = []
    wheel.on_bug = lambda: bugs.append(1.0)
    bells = [Breaking() if number == broken_at else Bell() for number in range(3)]
    later = Bell()
    for bell in bells:
        wheel.add(bell, 1.0)
    wheel.add(later, 2.0)
    wheel.sweep(3.0)
    assert [bell.rang for bell in (*bells, later)] == [[3.0]] * 4
    assert bugs == [1.0]
    again = Bell()
    wheel.add(again, 4.0)
    wheel.sweep(5.0)
    assert again.rang == [5.0]
