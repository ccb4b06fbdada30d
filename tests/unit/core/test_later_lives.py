"""An id that was closed and is opened again: no call of its new life has a number of the old one."""

from __future__ import annotations

from lambdamesh.core.limits import Limits
from tests.unit.fakes import NOW_MS, TEXT, Told, World, an_id


def lived(world: World, calls: int) -> None:
    """Open a lambda, call it so often, and have it close."""
    seat = world.open()
    for _ in range(calls):
        world.call(Told())
    world.leave(seat, final=True)


def test_numbers_go_on_where_they_ended() -> None:
    world = World()
    lived(world, 3)
    seat = world.reopen()
    world.call(Told())
    assert list(seat.provider.pending) == [4]


def test_numbers_go_on_from_life_to_life() -> None:
    world = World()
    lived(world, 2)
    world.leave(world.reopen(), final=True)
    seat = world.reopen()
    world.call(Told())
    assert list(seat.provider.pending) == [3]


def test_numbers_go_on_after_a_grace_that_passed() -> None:
    world = World()
    seat = world.open(grace_s=5.0)
    world.call(Told())
    world.leave(seat)
    world.pass_time(6.0)
    seat = world.reopen()
    world.call(Told())
    assert list(seat.provider.pending) == [2]


def test_a_life_that_nobody_remembers_had_fewer_calls_than_microseconds() -> None:
    world = World(Limits(gone_ids=1))
    old = an_id(7, at_ms=NOW_MS - 5_000)
    seat = world.reopen(text=old)
    world.call(Told(), text=old)
    assert list(seat.provider.pending) == [5_000_001]


def test_a_new_lambda_counts_from_one() -> None:
    world = World()
    seat = world.open()
    world.call(Told())
    assert list(seat.provider.pending) == [1]
    assert TEXT in world.registry.live
