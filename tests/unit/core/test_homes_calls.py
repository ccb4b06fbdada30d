"""Calls for a lambda that is on its way from one node to another, and what becomes of them if it never arrives."""

from __future__ import annotations

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.core.words import (
    ReleasedWords,
)
from lambdamesh.errors import LambdaGone, LambdaLost, Overloaded
from tests.unit.core.meshed import C, D, E, Node, epoch, evicted, is_gone
from tests.unit.fakes import TEXT, Told

NAME = TEXT.decode()

# -- calls during a move -----------------------------------------------------------------------------------------


def test_no_more_calls_wait_for_a_move_than_may() -> None:
    node = Node(Limits(waiting_calls=2))
    node.held_by(C)
    node.take_from(D)
    tolds = [Told() for _ in range(3)]
    for told in tolds:
        node.call(told)
    assert isinstance(tolds[2].error, Overloaded)
    assert [told.outcomes for told in tolds] == [0, 0, 1]


def test_a_call_that_waits_for_a_move_has_its_deadline() -> None:
    node = Node()
    node.held_by(C)
    node.take_from(D)
    told = Told()
    node.call(told, timeout_s=1.0)
    node.pass_time(1.1)
    assert (told.error.code, told.error.delivered) == ("timeout", "no")
    assert node.registry.away[TEXT].waiting == []
    assert node.relay.budget.used_bytes == 0


def test_a_call_that_waits_for_a_move_may_be_cancelled() -> None:
    node = Node()
    node.held_by(C)
    node.take_from(D)
    told = Told()
    flight = node.call(told)
    assert flight is not None
    flight.cancel()
    node.links.to[C].answers(ReleasedWords(1))
    assert node.links.to[D].passed == []
    assert node.relay.budget.used_bytes == 0


def test_a_caller_that_cancels_another_while_they_are_sent_on_skips_nobody() -> None:
    node = Node()
    node.leave(node.open(grace_s=15.0))
    flights: list[Flight] = []
    for told, body in [(Told(lambda: flights[1].cancel()), b'"first"'), (Told(), b'"second"')]:
        flight = node.call(told, body=body)
        assert flight is not None
        flights.append(flight)
    last = Told()
    node.call(last, body=b'"third"')
    node.links.to[D].has_ended = True
    node.take_from(D)
    assert [call.body for call in node.links.to[D].passed] == [b'"first"', b'"third"']
    assert last.outcomes == 1
    assert node.relay.budget.used_bytes == 0


def test_what_is_let_go_of_by_somebody_else_is_lost() -> None:
    node = Node()
    node.held_by(C)
    for machine in (C, D):
        assert isinstance(node.adopts(machine, 1).error, LambdaLost)
    node.take_from(D, keep=(1,))
    assert isinstance(node.adopts(E, 1).error, LambdaLost)
    assert node.adopts(C, 1).is_open


# -- deleted -----------------------------------------------------------------------------------------------------


def test_to_delete_what_another_node_holds_evicts_it_there() -> None:
    node = Node()
    node.held_by(C)
    before = epoch(node)
    outcomes: list[object] = []
    node.claims.delete(TEXT, outcomes.append)
    assert outcomes == [b"{}"]
    assert evicted(node.links.to[C]) == [(NAME, before, 4410)]
    assert is_gone(node)
    assert isinstance(node.take_from(D).error, LambdaGone)


def test_to_delete_it_during_a_move_refuses_everybody_once() -> None:
    node = Node()
    node.held_by(C)
    first, second = node.take_from(D), node.take_from(E)
    seat, taken = node.take()
    waiting = Told()
    node.call(waiting)
    node.claims.delete(TEXT, lambda _outcome: None)
    for answer in (first, second):
        assert isinstance(answer.error, LambdaGone)
    assert isinstance(taken.one, LambdaGone)
    assert isinstance(waiting.error, LambdaGone)
    node.links.to[C].answers(ReleasedWords(7))
    assert (first.outcomes, len(taken.told), seat.closed) == (1, 1, [])
    assert isinstance(node.adopts(C, 1).error, LambdaLost)
    assert TEXT not in node.registry.away and TEXT not in node.registry.live
    assert node.relay.budget.used_bytes == 0
    node.holding(C, (TEXT, 5))
    assert evicted(node.links.to[C])[-1] == (NAME, 5, 4410)
