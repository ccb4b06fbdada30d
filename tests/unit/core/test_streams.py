"""A call whose caller takes items: its deadline is the longest silence, and its credit is bounded."""

from __future__ import annotations

import pytest

from lambdamesh.core.flight import Flight, StreamFlight
from lambdamesh.core.limits import Limits
from lambdamesh.errors import CallTimeout, LambdaLost, Overloaded
from tests.unit.fakes import TEXT, FakeSeat, Told, World


class Stream:
    """One stream of the lambda of a world."""

    def __init__(
        self, *, timeout_s: float = 10.0, credit: int = 16, told: Told | None = None, stall_s: float = 3600.0
    ) -> None:
        self.world = World(Limits(stream_credit_max=256, stream_stall_s=stall_s))
        self.seat: FakeSeat = self.world.open(grace_s=60.0)
        self.told = told or Told()
        flight = self.world.call(self.told, timeout_s=timeout_s, credit=credit)
        assert isinstance(flight, StreamFlight)
        self.flight: Flight = flight

    def item(self, times: int = 1) -> None:
        for _ in range(times):
            self.seat.provider.pending[1].item(b"1")


# -- the longest silence ----------------------------------------------------------------------------------------


def test_a_stream_that_never_begins_has_the_deadline_of_any_call() -> None:
    stream = Stream(timeout_s=1.5)
    stream.world.pass_time(1.5)
    assert stream.told.outcomes == 0
    stream.world.pass_time(0.05)
    assert isinstance(stream.told.error, CallTimeout)
    assert stream.told.error.delivered == "unknown"
    assert stream.seat.provider.cancelled == [1]
    assert stream.world.counters.calls_timed_out == 1


def test_each_item_begins_the_silence_anew() -> None:
    stream = Stream(timeout_s=1.0)
    for _ in range(10):
        stream.world.pass_time(0.95)
        stream.item()
    assert stream.told.outcomes == 0
    stream.world.pass_time(1.0)
    assert stream.told.outcomes == 0
    stream.world.pass_time(0.1)
    assert isinstance(stream.told.error, CallTimeout)
    assert len(stream.told.items) == 10


def test_a_stream_that_is_not_silent_goes_on_however_long_it_takes() -> None:
    stream = Stream(timeout_s=1.0)
    for _ in range(1000):
        stream.world.pass_time(0.9)
        stream.item()
        stream.flight.credit(1)
    stream.seat.provider.answer(1, b"null")
    assert stream.told.raw == b"null"
    assert len(stream.told.items) == 1000
    assert stream.world.counters.stream_items == 1000
    stream.world.pass_time(10.0)
    assert stream.told.outcomes == 1


def test_no_deadline_passes_while_nothing_may_come() -> None:
    stream = Stream(timeout_s=1.0, credit=2)
    stream.item(2)
    stream.world.pass_time(3600.0)
    assert stream.told.outcomes == 0
    stream.flight.credit(1)
    stream.world.pass_time(0.95)
    assert stream.told.outcomes == 0
    stream.world.pass_time(1.2)
    assert isinstance(stream.told.error, CallTimeout)


@pytest.mark.parametrize("silent_s", [0.05, 0.5, 0.95, 1.0, 1.05, 1.5, 7.3])
def test_the_silence_after_more_credit_is_whole(silent_s: float) -> None:
    stream = Stream(timeout_s=1.0, credit=1)
    stream.item()
    stream.world.pass_time(silent_s)
    stream.flight.credit(1)
    stream.world.pass_time(1.0)
    assert stream.told.outcomes == 0
    stream.world.pass_time(0.1)
    assert stream.told.outcomes == 1


# -- credit -----------------------------------------------------------------------------------------------------


def test_credit_is_passed_on() -> None:
    stream = Stream()
    stream.flight.credit(8)
    stream.flight.credit(1)
    assert stream.seat.provider.credits == [(1, 8), (1, 1)]


@pytest.mark.parametrize(
    ("adds", "passed"),
    [([300], [240]), ([240], [240]), ([240, 1], [240]), ([239, 5], [239, 1]), ([10**30], [240]), ([0, -5], [])],
)
def test_no_more_than_so_many_items_may_come_at_once(adds: list[int], passed: list[int]) -> None:
    stream = Stream(credit=16)
    for add in adds:
        stream.flight.credit(add)
    assert stream.seat.provider.credits == [(1, add) for add in passed]


def test_what_has_come_makes_room_for_more() -> None:
    stream = Stream(credit=16)
    stream.flight.credit(240)
    stream.item(10)
    stream.flight.credit(16)
    assert stream.seat.provider.credits == [(1, 240), (1, 10)]


def test_a_call_that_wants_no_items_has_no_credit() -> None:
    world = World()
    seat = world.open()
    flight = world.call(Told())
    assert flight is not None
    flight.credit(8)
    assert not seat.provider.credits


def test_a_plain_flight_has_no_items() -> None:
    world, told = World(), Told()
    seat = world.open()
    world.call(told)
    seat.provider.pending[1].item(b"1")
    assert not told.items


# -- waiting ----------------------------------------------------------------------------------------------------


def waiting_stream(told: Told, *, timeout_s: float = 10.0) -> tuple[World, Flight]:
    world = World()
    world.leave(world.open(grace_s=60.0))
    flight = world.call(told, timeout_s=timeout_s, credit=16)
    assert flight is not None
    return world, flight


def test_credit_that_is_given_while_the_stream_waits_goes_with_it() -> None:
    told = Told()
    world, flight = waiting_stream(told)
    flight.credit(8)
    flight.credit(1000)
    seat = world.reopen()
    assert seat.provider.first_credits == {1: 256}
    assert not seat.provider.credits
    flight.credit(5)
    assert not seat.provider.credits
    for _ in range(256):
        seat.provider.pending[1].item(b"1")
    flight.credit(5)
    assert seat.provider.credits == [(1, 5)]


def test_a_stream_that_waits_too_long_was_not_delivered() -> None:
    told = Told()
    world, _ = waiting_stream(told, timeout_s=5.0)
    world.pass_time(5.1)
    assert told.error.delivered == "no"
    assert world.relay.budget.used_bytes == 0


def test_a_stream_that_waited_has_its_silence_from_its_first_item() -> None:
    told = Told()
    world, _ = waiting_stream(told, timeout_s=5.0)
    world.pass_time(4.0)
    seat = world.reopen()
    assert seat.provider.timeouts_s == {1: pytest.approx(1.0)}
    world.pass_time(0.9)
    seat.provider.pending[1].item(b"1")
    world.pass_time(4.9)
    assert told.outcomes == 0
    world.pass_time(0.3)
    assert told.error.delivered == "unknown"


# -- ends -------------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_socket() -> None:
    stream = Stream()
    stream.item()
    stream.world.leave(stream.seat)
    assert isinstance(stream.told.error, LambdaLost)
    assert stream.world.registry.live[TEXT].state == "waiting"
    stream.world.pass_time(100.0)
    assert stream.told.outcomes == 1


def test_a_caller_that_goes_cancels_the_stream() -> None:
    stream = Stream()
    stream.item()
    stream.flight.cancel()
    assert stream.seat.provider.cancelled == [1]
    stream.world.pass_time(100.0)
    assert stream.told.outcomes == 0


class Broken(Told):
    """A caller's side with a bug."""

    def item(self, raw: bytes) -> None:
        super().item(raw)
        raise ZeroDivisionError


def test_a_bug_in_taking_an_item_is_not_the_provider_s() -> None:
    stream = Stream(told=Broken())
    bugs: list[int] = []
    stream.world.relay.on_bug = lambda: bugs.append(1)
    stream.item(2)
    stream.seat.provider.answer(1, b"5")
    assert (len(bugs), stream.told.items, stream.told.raw) == (2, [b"1", b"1"], b"5")


# -- a caller that takes nothing --------------------------------------------------------------------------------


def test_a_caller_that_takes_nothing_for_too_long_gives_its_place_up() -> None:
    stream = Stream(timeout_s=1.0, credit=1, stall_s=30.0)
    stream.item()
    stream.world.pass_time(29.9)
    assert stream.told.outcomes == 0
    stream.world.pass_time(0.2)
    assert isinstance(stream.told.error, CallTimeout)
    assert stream.seat.provider.cancelled == [1]


def full(limits: Limits) -> tuple[World, FakeSeat, list[Told]]:
    """A lambda whose places are all taken by streams that have no credit."""
    world = World(limits)
    seat, tolds = world.open(), [Told() for _ in range(limits.lambda_calls)]
    for number, told in enumerate(tolds, 1):
        world.call(told, timeout_s=5.0, credit=1)
        seat.provider.pending[number].item(b"1")
    return world, seat, tolds


def test_a_stream_that_is_stalled_gives_way_to_another_call() -> None:
    world, seat, tolds = full(Limits(lambda_calls=3))
    world.pass_time(5.1)
    assert not any(told.outcomes for told in tolds)
    other = Told()
    assert world.call(other) is not None
    assert isinstance(tolds[0].error, CallTimeout)
    assert seat.provider.cancelled == [1]
    assert not any(told.outcomes for told in tolds[1:])
    assert (world.counters.streams_gave_way, world.counters.calls_timed_out) == (1, 1)
    seat.provider.answer(4)
    assert other.raw == b'"answered"'


def test_a_stream_within_its_time_keeps_its_place() -> None:
    world, _seat, tolds = full(Limits(lambda_calls=3))
    world.pass_time(4.9)
    over = Told()
    assert world.call(over) is None
    assert isinstance(over.error, Overloaded)
    assert not any(told.outcomes for told in tolds)


def test_plain_calls_give_no_way() -> None:
    world = World(Limits(lambda_calls=1))
    world.open()
    world.call(Told(), timeout_s=60.0)
    world.pass_time(30.0)
    over = Told()
    assert world.call(over) is None
    assert isinstance(over.error, Overloaded)
