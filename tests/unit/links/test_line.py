"""Calls and questions that wait for a link: all are sent in order, or all are told why not."""

from __future__ import annotations

import pytest

from lambdamesh.core.flight import Flight
from lambdamesh.errors import LambdaLost, Overloaded, PeerUnreachable
from lambdamesh.links.line import MOST, Line
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from tests.unit.core.meshed import AFAR, C, FakeLink
from tests.unit.fakes import Told, World

UNREACHABLE = PeerUnreachable("nobody answers there")


def a_call(body: bytes = b"1", credit: int = 0) -> Call:
    return Call(AFAR, b'"test"', body, 60.0, credit=credit)


def test_everything_is_sent_when_the_link_is_up_words_first() -> None:
    line, link = Line(), FakeLink(C)
    tolds = [Told() for _ in range(4)]
    numbers = [
        line.call(a_call(b"1"), tolds[0]),
        line.pass_on(a_call(b"2"), tolds[1]),
        line.ask("show", b"3", tolds[2]),
        line.adopt(a_call(b""), 4, tolds[3]),
    ]
    line.tell("left", b"5")
    assert numbers == [1, 2, 3, 4]
    line.flow(link)
    assert [(how, rest) for how, _, rest in link.said] == [
        ("tell", b"5"), ("call", b"1"), ("notify", b"2"), ("ask", b"3"), ("adopt", b"4"),
    ]  # fmt: skip
    assert [told.providers for told in tolds] == [[link]] * 4
    assert list(link.pending.values()) == tolds
    assert not line.pending
    line.flow(link)
    line.end(UNREACHABLE)
    assert len(link.said) == 5
    assert [told.outcomes for told in tolds] == [0] * 4


def test_everybody_is_told_that_the_node_cannot_be_reached() -> None:
    line, call, question, adopted = Line(), Told(), Told(), Told()
    line.call(a_call(), call)
    line.ask("show", b"", question)
    line.adopt(a_call(b""), 4, adopted)
    line.tell("left", b"5")
    line.end(UNREACHABLE)
    assert call.error is UNREACHABLE and question.error is UNREACHABLE
    assert isinstance(adopted.error, LambdaLost)
    assert adopted.error.delivered == "unknown", "its provider has it from before"
    link = FakeLink(C)
    line.flow(link)
    assert link.said == []


def test_what_is_cancelled_is_not_sent() -> None:
    line, link, told = Line(), FakeLink(C), Told()
    number = line.call(a_call(), told)
    line.cancel(number)
    line.cancel(number)
    line.credit(number, 3)
    line.flow(link)
    line.end(UNREACHABLE)
    assert (link.said, told.outcomes) == ([], 0)


def test_credit_that_comes_early_goes_with_the_call() -> None:
    line, link = Line(), FakeLink(C)
    number = line.call(a_call(credit=2), Told())
    line.credit(number, 3)
    line.flow(link)
    assert link.passed[0].credit == 5


def test_whoever_is_told_may_cancel_another_or_come_again() -> None:
    line, last = Line(), Told()
    again = Told()

    def then() -> None:
        line.cancel(2)
        line.call(a_call(b"again"), again)

    cancelled = Told()
    line.call(a_call(), Told(then))
    line.call(a_call(), cancelled)
    line.call(a_call(), last)
    line.end(UNREACHABLE)
    assert (cancelled.outcomes, last.outcomes, again.outcomes) == (0, 1, 0)
    line.end(UNREACHABLE)
    assert again.error is UNREACHABLE


def test_a_link_that_ends_while_all_are_sent_answers_each_once() -> None:
    line, link = Line(), FakeLink(C)
    tolds = [Told() for _ in range(3)]
    for told in tolds:
        line.call(a_call(), told)
    link.has_ended = True
    line.flow(link)
    assert [told.outcomes for told in tolds] == [1, 1, 1]
    assert not line.pending


def test_no_more_wait_than_may() -> None:
    line = Line()
    for _ in range(MOST):
        assert not line.congested
        line.call(a_call(), Told())
        line.tell("left", b"")
    assert line.congested
    line.tell("left", b"one too many")
    link = FakeLink(C)
    line.flow(link)
    assert sum(how == "tell" for how, _, _ in link.said) == MOST


def test_it_is_a_provider_that_was_sent_nothing() -> None:
    line, told = Line(), Told()
    line.call(a_call(), told)
    line.notify(a_call())
    line.suspend(UNREACHABLE)
    assert (line.is_up, line.provider, line.keepable()) == (False, line, ())
    assert told.outcomes == 0
    link = FakeLink(C)
    line.flow(link)
    assert len(link.said) == 1


@pytest.mark.parametrize("how", ["flows", "ends", "expires"])
def test_a_call_gives_its_room_back_whatever_becomes_of_it(how: str) -> None:
    world, line, told = World(), Line(), Told()
    call = a_call(b"12345")
    flight = Flight(world.relay, told, line)
    assert world.relay.budget.reserve(5)
    flight.slot = world.wheel.add(flight, world.now + 60.0)
    flight.hold(call)
    flight.number = line.call(call, flight)
    if how == "flows":
        line.flow(FakeLink(C))
    elif how == "ends":
        line.end(UNREACHABLE)
    else:
        world.pass_time(60.1)
    assert world.relay.budget.used_bytes == 0
    assert not line.pending
    assert told.outcomes == (how != "flows")


def test_a_call_that_has_waited_has_less_time_left() -> None:
    now = [100.0]
    line, link, told, call = Line(lambda: now[0]), FakeLink(C), Told(), a_call()
    line.call(call, told)
    now[0] = 102.5
    line.flow(link)
    assert told.providers == [link]
    assert call.timeout_s == 57.5


class Starved(FakeLink):
    """A link that has no memory for a call with this body."""

    def call(self, call: Call, answer: Pending) -> int:
        if call.body == b"large":
            raise MemoryError
        return super().call(call, answer)


def test_a_call_that_there_is_no_memory_for_does_not_keep_back_those_behind_it() -> None:
    line, link = Line(), Starved(C)
    starved, behind = Told(), Told()
    line.call(a_call(b"large"), starved)
    line.call(a_call(b"1"), behind)
    line.flow(link)
    assert (type(starved.error), starved.error.delivered) == (Overloaded, "no")
    assert list(link.pending.values()) == [behind]
