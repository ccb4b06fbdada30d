"""A call is answered exactly once, by whatever comes first, and the caller learns whether it was delivered."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.errors import (
    BadRequest,
    CallTimeout,
    Draining,
    LambdaError,
    LambdaGone,
    LambdaLost,
    LambdaNotFound,
    MeshError,
    Overloaded,
    PeerUnreachable,
)
from lambdamesh.protocol.call import Call
from tests.unit.fakes import TEXT, FakeDirectory, FakeSeat, Told, World, an_id


def flying(world: World, told: Told, **how: float) -> Flight:
    flight = world.call(told, timeout_s=how.get("timeout_s", 60.0))
    assert flight is not None
    return flight


def notify(world: World, text: bytes = TEXT) -> MeshError | None:
    told = Told()
    assert world.relay.notify(Call(text, b'"seen"', b"42", 60.0), told, world.now) is None
    if told.results:
        assert told.raw == b"{}"
        return None
    return told.error


# -- one call ---------------------------------------------------------------------------------------------------


def test_a_call_reaches_its_lambda_and_comes_back() -> None:
    world = World()
    seat, told = world.open(), Told()
    assert world.call(told, body=b'{"a":1}', credit=1) is not None
    assert seat.provider.calls == [(1, b'"test"', b'{"a":1}')]
    seat.provider.pending[1].item(b"1")
    seat.provider.answer(1, b"5")
    assert (told.items, told.raw) == ([b"1"], b"5")
    assert (world.counters.calls, world.counters.calls_answered) == (1, 1)


def test_an_error_of_the_provider_comes_back_as_it_is() -> None:
    world = World()
    seat, told, boom = world.open(), Told(), LambdaError("boom")
    world.call(told)
    seat.provider.pending.pop(1).fault(boom)
    assert told.error is boom
    assert (world.counters.calls_answered, world.counters.calls_lost) == (1, 0)


@pytest.mark.parametrize(
    ("text", "directory", "kind"),
    [
        (TEXT, FakeDirectory(), LambdaNotFound),
        (b"nonsense", FakeDirectory(), BadRequest),
        (an_id(machine=7), FakeDirectory(), LambdaNotFound),
        (an_id(machine=7), FakeDirectory(7), PeerUnreachable),
        (an_id(machine=7), FakeDirectory(is_complete=False), PeerUnreachable),
    ],
)
def test_a_call_for_nobody_is_refused_undelivered(text: bytes, directory: FakeDirectory, kind: type[MeshError]) -> None:
    world, told = World(directory=directory), Told()
    assert world.call(told, text=text) is None
    assert type(told.error) is kind
    assert told.error.delivered == "no"
    assert (world.counters.calls, world.counters.calls_unknown) == (0, 1)


def test_a_call_for_a_closed_lambda_is_gone() -> None:
    world, told = World(), Told()
    world.leave(world.open())
    world.call(told)
    assert isinstance(told.error, LambdaGone)


# -- deadlines --------------------------------------------------------------------------------------------------


def test_the_deadline_is_never_early_and_at_most_50_ms_late() -> None:
    world, told = World(), Told()
    world.open()
    flying(world, told, timeout_s=1.5)
    world.pass_time(1.5)
    assert told.outcomes == 0
    world.pass_time(0.05)
    assert isinstance(told.error, CallTimeout)
    assert told.error.delivered == "unknown"
    assert world.counters.calls_timed_out == 1


def test_a_deadline_cancels_the_call_at_the_provider() -> None:
    world, told = World(), Told()
    seat = world.open()
    flying(world, told, timeout_s=1)
    world.pass_time(2)
    seat.provider.answer(1)
    assert seat.provider.cancelled == [1]
    assert told.outcomes == 1


def test_an_answer_in_time_beats_the_deadline() -> None:
    world, told = World(), Told()
    seat = world.open()
    flying(world, told, timeout_s=1)
    seat.provider.answer(1)
    world.pass_time(2)
    assert told.raw == b'"answered"'
    assert world.counters.calls_timed_out == 0


# -- exactly once -----------------------------------------------------------------------------------------------


def delete(world: World) -> None:
    """Delete the lambda if it is there."""
    if TEXT in world.registry.live:
        world.registry.delete(TEXT, world.now, world.now_ms)


ENDINGS: dict[str, Callable[[World, FakeSeat, Flight], object]] = {
    "result": lambda _world, seat, _flight: seat.provider.answer(1),
    "deadline": lambda world, _seat, _flight: world.pass_time(61),
    "lost": lambda world, seat, _flight: world.leave(seat),
    "takeover": lambda world, _seat, _flight: TEXT in world.registry.live and world.reopen(),
    "delete": lambda world, _seat, _flight: delete(world),
}
DELIVERED = {"result": "yes", "deadline": "unknown", "lost": "unknown", "takeover": "unknown", "delete": "unknown"}


@pytest.mark.parametrize("order", list(itertools.permutations(ENDINGS, 3)), ids=" then ".join)
@pytest.mark.parametrize("grace_s", [0.0, 15.0])
def test_the_first_ending_counts_and_no_other(order: tuple[str, ...], grace_s: float) -> None:
    world, told = World(), Told()
    seat = world.open(grace_s=grace_s)
    flight = flying(world, told)
    for ending in order:
        ENDINGS[ending](world, seat, flight)
    assert told.outcomes == 1
    assert ("yes" if told.results else told.error.delivered) == DELIVERED[order[0]]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cancelled_call_is_told_nothing(ending: str) -> None:
    world, told = World(), Told()
    seat = world.open(grace_s=15)
    flight = flying(world, told)
    flight.cancel()
    ENDINGS[ending](world, seat, flight)
    assert told.outcomes == 0
    assert seat.provider.cancelled == [1]
    assert world.counters.calls_cancelled == 1


@pytest.mark.parametrize("ending", ["lost", "takeover", "delete"])
@pytest.mark.parametrize("is_waiting", [False, True], ids=["sent", "waiting"])
def test_a_caller_may_go_while_the_calls_before_its_own_are_ended(ending: str, is_waiting: bool) -> None:
    world = World()
    seat = world.open(grace_s=15)
    if is_waiting:
        world.leave(seat)
    flights: list[Flight] = []
    first = Told(then=lambda: flights[1].cancel())
    second = Told()
    flights += [flying(world, first), flying(world, second)]
    if is_waiting and ending != "takeover":
        world.registry.close(world.registry.live[TEXT], ending, world.now)
    elif is_waiting:
        world.reopen().provider.answer(1)
    else:
        ENDINGS[ending](world, seat, flights[0])
    assert (first.outcomes, second.outcomes) == (1, 0)
    assert world.counters.calls_cancelled == 1
    assert world.counters.calls_lost <= 1


def test_a_caller_may_call_again_as_soon_as_it_is_told_of_the_loss() -> None:
    world, again = World(), Told()
    seat = world.open()
    told = Told(then=lambda: world.call(again))
    world.call(told)
    world.leave(seat)
    assert isinstance(told.error, LambdaLost)
    assert isinstance(again.error, LambdaGone)
    assert again.error.delivered == "no"


# -- caps -------------------------------------------------------------------------------------------------------


def test_a_lambda_has_so_many_calls_in_flight() -> None:
    world = World(Limits(lambda_calls=2))
    seat, over = world.open(), Told()
    flying(world, Told())
    flying(world, Told())
    assert world.call(over) is None
    assert isinstance(over.error, Overloaded)
    assert over.error.delivered == "no"
    assert world.counters.overloaded_lambda == 1
    seat.provider.answer(1)
    flying(world, Told())
    assert len(seat.provider.calls) == 3


def test_a_cancelled_call_frees_its_place() -> None:
    world = World(Limits(lambda_calls=1))
    world.open()
    flying(world, Told()).cancel()
    flying(world, Told(), timeout_s=1)
    world.pass_time(2)
    flying(world, Told())


def test_a_full_queue_takes_no_more() -> None:
    world, told = World(), Told()
    seat = world.open()
    seat.congested = True
    assert world.call(told) is None
    assert isinstance(told.error, Overloaded)
    assert isinstance(notify(world), Overloaded)
    assert world.counters.overloaded_queue == 2
    assert not seat.provider.calls
    assert not seat.provider.notifications


# -- waiting ----------------------------------------------------------------------------------------------------


def waiting_world(limits: Limits | None = None) -> World:
    world = World(limits)
    world.leave(world.open(grace_s=15))
    return world


def test_calls_wait_for_the_lambda_and_are_sent_in_order() -> None:
    world = waiting_world()
    tolds = [Told(), Told()]
    for number, told in enumerate(tolds):
        world.call(told, body=b"%d" % number)
    seat = world.reopen()
    assert seat.provider.calls == [(1, b'"test"', b"0"), (2, b'"test"', b"1")]
    seat.provider.answer(2, b"b")
    seat.provider.answer(1, b"a")
    assert [told.raw for told in tolds] == [b"a", b"b"]


def test_only_so_many_may_wait() -> None:
    world, over = waiting_world(Limits(waiting_calls=2)), Told()
    flights = [flying(world, Told()) for _ in range(2)]
    assert world.call(over) is None
    assert isinstance(over.error, Overloaded)
    assert over.error.delivered == "no"
    assert world.counters.overloaded_waiting == 1
    flights[0].cancel()
    flying(world, Told())


def test_the_deadline_of_a_call_that_waits_says_that_nothing_was_run() -> None:
    world, told = waiting_world(), Told()
    flying(world, told, timeout_s=1)
    world.pass_time(1.1)
    assert told.error.delivered == "no"
    assert isinstance(told.error, CallTimeout)
    assert not world.reopen().provider.calls


def test_a_call_that_waited_keeps_its_deadline() -> None:
    world, told = waiting_world(), Told()
    flying(world, told, timeout_s=10)
    world.pass_time(8)
    seat = world.reopen()
    world.pass_time(2.1)
    assert isinstance(told.error, CallTimeout)
    assert told.error.delivered == "unknown"
    assert seat.provider.cancelled == [1]


@pytest.mark.parametrize("how", ["expires", "deleted"])
def test_a_call_that_waited_in_vain_was_not_delivered(how: str) -> None:
    world, told = waiting_world(), Told()
    flying(world, told)
    if how == "expires":
        world.pass_time(16)
    else:
        world.registry.delete(TEXT, world.now, world.now_ms)
    world.pass_time(100)
    assert isinstance(told.error, LambdaGone)
    assert told.error.delivered == "no"


def test_a_call_that_was_cancelled_while_waiting_is_never_sent() -> None:
    world, told = waiting_world(), Told()
    flying(world, told).cancel()
    seat = world.reopen()
    world.pass_time(100)
    assert not seat.provider.calls
    assert told.outcomes == 0


def test_calls_that_waited_count_in_the_cap() -> None:
    world, over = waiting_world(Limits(lambda_calls=2)), Told()
    flying(world, Told())
    flying(world, Told())
    world.reopen()
    world.call(over)
    assert isinstance(over.error, Overloaded)


# -- notifications and drain ------------------------------------------------------------------------------------


def test_a_notification_is_sent_and_forgotten() -> None:
    world = World()
    seat = world.open()
    assert notify(world) is None
    assert seat.provider.notifications == [(b'"seen"', b"42")]
    assert not seat.provider.pending
    assert (world.counters.notifications, world.counters.calls) == (1, 0)


def test_a_notification_for_nobody_is_refused() -> None:
    assert isinstance(notify(World()), LambdaNotFound)
    assert isinstance(notify(waiting_world()), Overloaded)


def test_a_drain_lets_calls_finish_and_takes_no_new_ones() -> None:
    world, running, late = World(), Told(), Told()
    seat = world.open()
    flying(world, running)
    world.relay.draining = True
    assert world.call(late) is None
    assert isinstance(late.error, Draining)
    assert late.error.delivered == "no"
    assert isinstance(notify(world), Draining)
    seat.provider.answer(1)
    assert running.raw == b'"answered"'
