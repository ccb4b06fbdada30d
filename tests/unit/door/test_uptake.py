"""What is written and not taken: who takes a part of it now and then keeps its socket."""

from __future__ import annotations

from lambdamesh.door.uptake import CHECK_S, Uptake

DEADLINE_S = 10.0


def test_a_look_is_due_once_something_was_written() -> None:
    uptake = Uptake()
    assert uptake.check_at == 0.0
    assert uptake.wrote(100, 50.0)
    assert uptake.check_at == 50.0 + CHECK_S
    assert not uptake.wrote(100, 50.5)


def test_nothing_waits_so_nothing_is_due() -> None:
    uptake = Uptake()
    uptake.wrote(100, 50.0)
    assert uptake.look(51.0, 0, DEADLINE_S)
    assert uptake.check_at == 0.0


def test_who_takes_nothing_for_the_deadline_is_stuck() -> None:
    uptake = Uptake()
    uptake.wrote(100, 50.0)
    looks = [uptake.look(now, 100, DEADLINE_S) for now in (52.0, 55.0, 60.9, 61.0)]
    assert looks == [True, True, True, False]


def test_each_byte_that_is_taken_gives_it_another_deadline() -> None:
    uptake = Uptake()
    uptake.wrote(100, 50.0)
    assert all(uptake.look(50.0 + 9.0 * step, 100 - step, DEADLINE_S) for step in range(1, 50))


def test_what_is_written_behind_is_no_progress() -> None:
    uptake = Uptake()
    uptake.wrote(100, 50.0)
    assert uptake.look(55.0, 100, DEADLINE_S)
    uptake.wrote(100, 58.0)
    assert not uptake.look(61.0, 200, DEADLINE_S)
