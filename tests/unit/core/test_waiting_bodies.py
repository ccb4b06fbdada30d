"""The bodies of calls that wait for their lambda are bounded together, and let go with the calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Key
from lambdamesh.errors import Draining, LambdaGone, Overloaded
from tests.unit.fakes import TEXT, Told, World, an_id

BODY = b'"' + b"x" * 398 + b'"'
OTHER = an_id(2)


def held_bytes(world: World) -> int:
    return world.relay.budget.used_bytes


def waiting_world(*texts: bytes) -> World:
    """A world whose lambdas have all lost their sockets, with room for two bodies and a half."""
    world = World(Limits(buffered_bytes=1000))
    for text in texts or (TEXT,):
        world.leave(world.open(text, grace_s=30.0), text=text)
    return world


def test_they_count_together_whatever_they_wait_for() -> None:
    world = waiting_world(TEXT, OTHER)
    first, second, third = Told(), Told(), Told()
    assert world.call(first, body=BODY) is not None
    assert world.call(second, body=BODY, text=OTHER) is not None
    assert held_bytes(world) == 800
    assert world.call(third, body=BODY) is None
    assert isinstance(third.error, Overloaded)
    assert third.error.delivered == "no"
    assert world.counters.overloaded_buffers == 1
    assert held_bytes(world) == 800
    assert world.call(Told(), body=b"1" * 200) is not None


def test_a_call_that_does_not_wait_counts_nothing() -> None:
    world = World(Limits(buffered_bytes=10))
    world.open()
    assert world.call(Told(), body=BODY) is not None
    assert held_bytes(world) == 0


def comes_back(world: World, _flight: Flight) -> None:
    seat = world.reopen()
    assert seat.provider.calls == [(1, b'"test"', BODY)]
    assert held_bytes(world) == 0
    seat.provider.answer(1)


def is_cancelled(_world: World, flight: Flight) -> None:
    flight.cancel()


def times_out(world: World, _flight: Flight) -> None:
    world.pass_time(6.0)


def expires(world: World, _flight: Flight) -> None:
    world.pass_time(31.0)


def is_deleted(world: World, _flight: Flight) -> None:
    world.registry.delete(TEXT, world.now, world.now_ms)


def drains(world: World, _flight: Flight) -> None:
    world.registry.drain(world.now)


def comes_back_and_leaves(world: World, _flight: Flight) -> None:
    world.leave(world.reopen(), final=True)


def comes_back_and_the_caller_goes(world: World, flight: Flight) -> None:
    world.reopen()
    flight.cancel()


@pytest.mark.parametrize(
    ("end", "timeout_s"),
    [
        (comes_back, 60.0),
        (is_cancelled, 60.0),
        (times_out, 5.0),
        (expires, 60.0),
        (is_deleted, 60.0),
        (drains, 60.0),
        (comes_back_and_leaves, 60.0),
        (comes_back_and_the_caller_goes, 60.0),
    ],
)
def test_they_are_let_go_once(end: Callable[[World, Flight], None], timeout_s: float) -> None:
    world = waiting_world()
    flight = world.call(Told(), body=BODY, timeout_s=timeout_s)
    assert flight is not None
    assert held_bytes(world) == 400
    end(world, flight)
    assert held_bytes(world) == 0
    world.pass_time(100.0)
    assert held_bytes(world) == 0


# -- a drain -----------------------------------------------------------------------------------------------------


def test_a_drain_refuses_the_calls_that_wait_at_once() -> None:
    world = waiting_world()
    told = Told()
    world.call(told)
    world.registry.drain(world.now)
    assert isinstance(told.error, Draining)
    assert told.error.delivered == "no"
    assert (TEXT, "close", "drained") in world.events
    assert isinstance(world.absence(), LambdaGone)
    # Nothing of it is left for the deadline and the grace that were set.
    world.pass_time(100.0)
    assert told.outcomes == 1
    assert world.events.count((TEXT, "close", "drained")) == 1
    assert world.counters.lambdas_closed == 1


def test_a_drain_gives_no_more_grace() -> None:
    world = World()
    seat = world.open(grace_s=30.0)
    told = Told()
    world.call(told)
    world.registry.drain(world.now)
    assert world.registry.live[TEXT].state == "open"
    assert told.outcomes == 0
    seat.provider.answer(1, b"1")
    assert told.raw == b"1"
    world.leave(seat)
    assert TEXT not in world.registry.live


def test_a_drain_ends_what_came_back_and_went_again() -> None:
    world = waiting_world()
    seat = world.reopen(Key.RIGHT, grace_s=30.0)
    world.registry.drain(world.now)
    world.leave(seat)
    assert world.events[-1] == (TEXT, "close", "lost")
