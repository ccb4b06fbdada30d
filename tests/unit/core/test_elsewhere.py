"""Calls whose lambda is not here: over which link they go, what they wait for, and how each of them ends once."""

from __future__ import annotations

import pytest

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.core.relay import Relay
from lambdamesh.core.words import PlacedWords, ReleaseWords
from lambdamesh.errors import (
    Draining,
    LambdaGone,
    LambdaLost,
    LambdaNotFound,
    Loop,
    MeshError,
    Overloaded,
    PeerUnreachable,
    Recovering,
)
from lambdamesh.protocol.call import Call
from tests.unit.core.meshed import AFAR, C, D, FakeLink, Node
from tests.unit.fakes import TEXT, Told, World

UNREACHABLE = PeerUnreachable("nobody answers there")


def passing(
    node: World, told: Told, text: bytes = AFAR, *, passages: int = 0, at_holder: bool = False
) -> Flight | None:
    call = Call(text, b'"test"', b"12345", 60.0, passages=passages, at_holder=at_holder)
    return node.relay.call(call, told, node.now)


def waiting_for_a_link(node: Node) -> FakeLink:
    """Have the link to C be one that is not up yet."""
    link = node.links.to[C]
    link.is_up = False
    return link


# -- passed on ---------------------------------------------------------------------------------------------------


def test_a_call_goes_to_the_home_in_its_id() -> None:
    node, told = Node(), Told()
    flight = passing(node, told)
    link = node.links.to[C]
    assert flight is not None and flight.number == 1
    (call,) = link.passed
    assert (call.lambda_id, call.body, call.passages, call.at_holder) == (AFAR, b"12345", 1, False)
    assert node.counters.calls_passed == 1
    link.answers("there")
    assert told.raw == b'"there"'
    assert node.relay.budget.used_bytes == 0


def test_a_home_sends_it_to_the_holder_and_says_so() -> None:
    node = Node()
    node.held_by(D)
    passing(node, Told(), TEXT, passages=1)
    (call,) = node.links.to[D].passed
    assert (call.passages, call.at_holder) == (2, True)


def test_what_is_here_goes_nowhere_whoever_sends_it() -> None:
    node = Node()
    seat, _ = node.take(AFAR)
    node.links.to[C].answers(PlacedWords(5, 0))
    passing(node, Told(), passages=3, at_holder=True)
    assert len(seat.provider.calls) == 1
    assert node.links.to[C].passed == []


def test_after_three_passages_it_is_refused() -> None:
    node, told = Node(), Told()
    assert passing(node, told, passages=3) is None
    assert isinstance(told.error, Loop) and told.error.delivered == "no"
    assert node.counters.calls_looped == 1
    assert node.links.to[C].passed == []


@pytest.mark.parametrize(("is_gone", "kind"), [(True, LambdaGone), (False, Recovering)])
def test_a_holder_that_has_it_no_more_says_what_it_knows(is_gone: bool, kind: type[MeshError]) -> None:
    node, told = Node(), Told()
    seat, _ = node.take(AFAR)
    node.links.to[C].answers(PlacedWords(5, 0))
    if is_gone:
        node.leave(seat, final=True, text=AFAR)
    else:
        node.asked(C, "release", ReleaseWords(AFAR.decode()))
    passing(node, told, at_holder=True)
    assert type(told.error) is kind
    assert told.error.delivered == "no"
    assert node.links.to[C].passed == []


def test_who_is_out_of_reach_is_said_to_be() -> None:
    node, told = Node(), Told()
    node.links.refusals[C] = UNREACHABLE
    assert passing(node, told) is None
    assert told.error is UNREACHABLE and told.error.delivered == "no"


def test_a_node_in_no_mesh_knows_its_own() -> None:
    told = Told()
    passing(World(), told)
    assert isinstance(told.error, LambdaNotFound)


def test_a_link_that_is_full_refuses_more() -> None:
    node, told, notified = Node(), Told(), Told()
    node.links.to[C].congested = True
    assert passing(node, told) is None
    assert isinstance(told.error, Overloaded) and told.error.delivered == "no"
    node.relay.notify(Call(AFAR, b'"seen"', b"1", 1.0), notified, node.now)
    assert isinstance(notified.error, Overloaded)
    assert node.counters.overloaded_link == 2


def test_a_node_that_drains_begins_nothing() -> None:
    node, told, notified = Node(), Told(), Told()
    node.relay.draining = True
    passing(node, told)
    node.relay.notify(Call(AFAR, b'"seen"', b"1", 1.0), notified, node.now)
    assert isinstance(told.error, Draining)
    assert isinstance(notified.error, Draining)


def test_a_link_that_has_just_ended_has_answered_already() -> None:
    """Whoever is given no flight cannot cancel what has ended."""
    node, told, notified = Node(), Told(), Told()
    node.links.to[C].has_ended = True
    assert passing(node, told) is None
    assert node.relay.notify(Call(AFAR, b'"seen"', b"1", 1.0), notified, node.now) is None
    assert (told.outcomes, notified.outcomes) == (1, 1)
    node.pass_time(100.0)
    assert (told.outcomes, node.counters.calls_timed_out, node.counters.calls_cancelled) == (1, 0, 0)


# -- how it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LambdaGone("gone"), LambdaLost("lost"), Overloaded("full", delivered="no")])
def test_the_error_of_the_other_node_is_the_callers(error: MeshError) -> None:
    node, told = Node(), Told()
    passing(node, told)
    node.links.to[C].refuses(error)
    assert told.error is error
    node.pass_time(100.0)
    assert told.outcomes == 1


def test_its_deadline_is_kept_here_and_cancels_it_there() -> None:
    node, told = Node(), Told()
    passing(node, told)
    node.pass_time(60.1)
    assert (told.error.code, told.error.delivered) == ("timeout", "unknown")
    assert node.links.to[C].cancelled == [1]


def test_a_caller_that_goes_cancels_it_there() -> None:
    node, told = Node(), Told()
    flight = passing(node, told)
    assert flight is not None
    flight.cancel()
    assert node.links.to[C].cancelled == [1]
    assert told.outcomes == 0


def test_a_stream_has_items_and_credit() -> None:
    node, told = Node(), Told()
    call = Call(AFAR, b'"count"', b"1", 5.0, credit=2)
    flight = node.relay.call(call, told, node.now)
    link = node.links.to[C]
    assert flight is not None and link.passed[0].credit == 2
    link.pending[1].item(b"1")
    flight.credit(3)
    assert link.credits == [(1, 3)]
    node.pass_time(4.0)
    link.pending[1].item(b"2")
    node.pass_time(4.0)
    link.answers(3)
    assert (told.items, told.raw) == ([b"1", b"2"], b"3")


# -- while there is no link yet ----------------------------------------------------------------------------------


def test_what_waits_for_a_link_holds_room_until_it_is_sent() -> None:
    node, told = Node(), Told()
    link = waiting_for_a_link(node)
    flight = passing(node, told)
    assert node.relay.budget.used_bytes == 5
    up = FakeLink(C)
    up.pending[9] = link.pending.pop(1)
    assert flight is not None
    flight.moved(up, 9)
    assert node.relay.budget.used_bytes == 0
    flight.cancel()
    assert (link.cancelled, up.cancelled) == ([], [9])


@pytest.mark.parametrize("how", ["fails", "expires", "is cancelled"])
def test_what_waits_for_a_link_in_vain_gives_its_room_back(how: str) -> None:
    node, told = Node(), Told()
    link = waiting_for_a_link(node)
    flight = passing(node, told)
    assert flight is not None
    if how == "fails":
        link.refuses(UNREACHABLE)
        assert told.error is UNREACHABLE
    elif how == "expires":
        node.pass_time(60.1)
        assert (told.error.code, told.error.delivered) == ("timeout", "no")
        assert link.cancelled == [1]
    else:
        flight.cancel()
        assert link.cancelled == [1]
    assert node.relay.budget.used_bytes == 0
    assert not link.pending


def test_no_more_waits_for_links_than_there_is_room_for() -> None:
    node = Node(Limits(buffered_bytes=12))
    waiting_for_a_link(node)
    tolds = [Told() for _ in range(3)]
    for told in tolds:
        passing(node, told)
    assert [told.outcomes for told in tolds] == [0, 0, 1]
    assert isinstance(tolds[2].error, Overloaded) and tolds[2].error.delivered == "no"
    assert node.relay.budget.used_bytes == 10


def test_what_goes_at_once_needs_no_room() -> None:
    node = Node(Limits(buffered_bytes=4))
    passing(node, Told())
    assert len(node.links.to[C].passed) == 1


# -- notifications -----------------------------------------------------------------------------------------------


def test_a_notification_is_answered_once_it_was_given_there() -> None:
    node = Node()
    told, flight = node.notify(AFAR)
    link = node.links.to[C]
    assert flight is not None
    assert [(how, body) for how, _, body in link.said] == [("notify", b"1")]
    assert told.outcomes == 0
    link.answers({})
    assert told.raw == b"{}"


def test_a_notification_that_waits_for_a_link_gives_its_room_back() -> None:
    node = Node()
    link = waiting_for_a_link(node)
    told, _ = node.notify(AFAR)
    assert node.relay.budget.used_bytes == 1
    link.refuses(UNREACHABLE)
    assert told.error is UNREACHABLE
    assert node.relay.budget.used_bytes == 0


def test_a_notification_waits_for_no_move() -> None:
    node = Node()
    node.held_by(C)
    node.take_from(D)
    told, flight = node.notify()
    assert flight is None
    assert isinstance(told.error, Overloaded)


# -- back and forth ----------------------------------------------------------------------------------------------


def test_a_call_that_waited_has_the_time_that_is_left() -> None:
    node, told = Node(), Told()
    node.leave(node.open(grace_s=15.0))
    node.call(told, timeout_s=10.0)
    node.pass_time(4.0)
    node.take_from(D)
    (call,) = node.links.to[D].passed
    assert call.timeout_s == pytest.approx(6.0)
    assert (call.passages, call.at_holder) == (0, False)
    node.pass_time(6.1)
    assert (told.error.code, told.error.delivered) == ("timeout", "unknown")
    assert node.links.to[D].cancelled == [1]


def test_a_call_is_adopted_by_whoever_owes_it_now() -> None:
    node, told = Node(), Told()
    link = node.links.to[D]
    relay: Relay = node.relay
    flight = relay.adopt(Call(AFAR, b"", b"", 9.0), told, link, node.now)
    flight.number = 4
    assert node.counters.calls_adopted == 1
    node.pass_time(9.1)
    assert told.error.delivered == "unknown"
