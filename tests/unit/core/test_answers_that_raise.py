"""A bug on the side of one caller stays there: the provider and the other callers notice nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lambdamesh.core.relay import Relay
from lambdamesh.errors import LambdaError, LambdaLost, MeshError, Overloaded
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.core.meshed import AFAR, Asked as Exchange, C, FakeLink, Node
from tests.unit.fakes import TEXT, FakeProvider, FakeSeat, Told, World


class Boom(Exception):
    """What a caller's side may raise."""


class Raising(Told):
    """An ``Answer`` with a bug."""

    def __init__(self) -> None:
        super().__init__(self._boom)

    def _boom(self) -> None:
        raise Boom


class Buggy:
    """A world with one lambda, two callers of which the first has a bug, and what was told of it."""

    def __init__(self, seat: FakeSeat | None = None, *, grace_s: float = 0.0) -> None:
        self.world = World()
        self.bugs = 0
        self.world.relay.on_bug = self._count
        self.seat = self.world.open(seat=seat, grace_s=grace_s)
        self.raising, self.told = Raising(), Told()

    def _count(self) -> None:
        self.bugs += 1

    def call(self) -> None:
        self.world.call(self.raising, timeout_s=5.0)
        self.world.call(self.told, timeout_s=5.0)

    def check(self, kind: type[MeshError] | None) -> None:
        """Each was told once how its call ended."""
        assert self.bugs == 1
        assert self.raising.outcomes == self.told.outcomes == 1
        assert kind is None or type(self.told.error) is kind
        assert not self.seat.provider.pending


def test_an_answer() -> None:
    buggy = Buggy()
    buggy.call()
    buggy.seat.provider.answer(1)
    buggy.seat.provider.answer(2)
    buggy.check(None)
    assert buggy.world.counters.calls_answered == 2


def test_an_error_of_the_provider() -> None:
    buggy = Buggy()
    buggy.call()
    for number in (1, 2):
        buggy.seat.provider.pending.pop(number).fault(LambdaError("boom"))
    buggy.check(LambdaError)


def test_the_end_of_the_provider() -> None:
    buggy = Buggy()
    buggy.call()
    buggy.world.leave(buggy.seat)
    buggy.check(LambdaLost)
    assert TEXT not in buggy.world.registry.live


def test_a_deletion() -> None:
    buggy = Buggy()
    buggy.call()
    buggy.world.registry.delete(TEXT, buggy.world.now, buggy.world.now_ms)
    buggy.check(LambdaLost)
    assert buggy.seat.closed == [4410]


def test_a_takeover() -> None:
    buggy = Buggy()
    buggy.call()
    again = buggy.world.reopen()
    buggy.check(LambdaLost)
    assert buggy.seat.closed == [4409]
    assert buggy.world.registry.live[TEXT].seat is again


@pytest.mark.parametrize("is_waiting", [False, True])
def test_deadlines(is_waiting: bool) -> None:
    buggy = Buggy(grace_s=60.0)
    if is_waiting:
        buggy.world.leave(buggy.seat)
    buggy.call()
    buggy.world.pass_time(6.0)
    buggy.check(None)
    assert buggy.world.counters.calls_timed_out == 2


@pytest.mark.parametrize("how", ["expired", "drained", "deleted"])
def test_the_end_of_a_lambda_that_waits(how: str) -> None:
    buggy = Buggy(grace_s=3.0)
    buggy.world.leave(buggy.seat)
    buggy.call()
    if how == "expired":
        buggy.world.pass_time(3.1)
    elif how == "drained":
        buggy.world.registry.drain(buggy.world.now)
    else:
        buggy.world.registry.delete(TEXT, buggy.world.now, buggy.world.now_ms)
    buggy.check(None)
    assert TEXT not in buggy.world.registry.live


def test_a_session_reads_on() -> None:
    """Answers in one message, of which the first finds a bug."""
    buggy = Buggy()
    session = Session(lambda _message: None, lambda: None, SessionCounters(), Bounds(1000, 100))
    session.receive(b'{"id":0,"result":"ok"}', True)
    buggy.seat.provider = session  # type: ignore[assignment]
    buggy.call()
    session.receive(b'{"id":1,"result":1}{"id":2,"result":2}', True)
    buggy.check(None)
    assert buggy.told.raw == b"2"


class Starved(FakeProvider):
    """A provider whose message there is no memory for."""

    def call(self, call: Call, answer: Pending) -> int:
        raise MemoryError

    def notify(self, call: Call) -> None:
        raise MemoryError


def test_a_call_that_there_was_no_memory_for_is_answered_by_whoever_hears_of_it_and_nobody_else() -> None:
    world, told = World(), Told()
    world.open(seat=FakeSeat(Starved()))
    with pytest.raises(MemoryError):
        world.call(told, timeout_s=1.0)
    world.pass_time(2.0)
    assert told.outcomes == 0, "its deadline is not told: the door has answered"


class StarvedLink(FakeLink):
    """A link that has no memory for one more call."""

    def call(self, call: Call, answer: Pending) -> int:
        raise MemoryError

    def pass_on(self, call: Call, answer: Pending) -> int:
        raise MemoryError


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("take", [Relay.call, Relay.notify])
def test_nor_is_one_told_of_twice_that_was_to_go_on_to_another_node(
    take: Callable[[Relay, Call, Told, float], object], is_up: bool
) -> None:
    node, told = Node(), Told()
    node.links.to[C] = link = StarvedLink(C)
    link.is_up = is_up
    with pytest.raises(MemoryError):
        take(node.relay, Call(AFAR, b'"test"', b"12345", 1.0), told, node.now)
    node.pass_time(2.0)
    assert told.outcomes == 0
    assert node.relay.budget.used_bytes == 0, "what it was to hold while it waited is free again"


@pytest.mark.parametrize("how", ["called", "notified"])
def test_another_node_is_told_that_there_was_no_memory(how: str) -> None:
    """The link goes on: it carries the calls of others."""
    node, answer = Node(), Exchange()
    node.open(seat=FakeSeat(Starved()))
    take: Any = getattr(node.reception, how)
    take(node.links.to[C], Call(TEXT, b'"test"', b"1", 60.0), answer)
    assert isinstance(answer.error, Overloaded)
    assert answer.error.delivered == "no"
    assert node.counters.overloaded_buffers == 1
