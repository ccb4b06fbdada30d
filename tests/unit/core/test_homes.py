"""The home of a lambda: who gets it, and what becomes of its calls meanwhile."""

from __future__ import annotations

import pytest

from lambdamesh.core.homes import RELEASE_S
from lambdamesh.core.words import (
    PlacedWords,
    ReleasedWords,
    ReleaseWords,
)
from lambdamesh.errors import Forbidden, LambdaGone, LambdaLost, PeerUnreachable
from tests.unit.core.meshed import C, D, E, Node, epoch, evicted, holder, is_gone, sent
from tests.unit.fakes import NOW_MS, TEXT, FakeProvider, FakeSeat, Told, an_id

NAME = TEXT.decode()
UNREACHABLE = PeerUnreachable("nobody answers there")

# -- from here to another node -----------------------------------------------------------------------------------


def test_what_is_held_here_moves_to_another_node_with_the_calls_that_it_keeps() -> None:
    node = Node()
    seat = node.open(seat=FakeSeat(FakeProvider(keeps=True)), grace_s=15.0)
    kept, lost = Told(), Told()
    node.call(kept)
    node.call(lost)
    placed = node.take_from(D, keep=(1,)).words(PlacedWords)
    assert (placed.number, holder(node), epoch(node)) == (2, D, placed.epoch)
    assert TEXT not in node.registry.live
    assert seat.closed == [4409]
    assert isinstance(lost.error, LambdaLost) and lost.error.delivered == "unknown"
    link = node.links.to[D]
    assert link.said == [("adopt", NAME, b"1")]
    link.answers("late")
    assert kept.raw == b'"late"'
    assert node.events[-1] == (TEXT, "close", "moved")
    assert node.counters.lambdas_moved == 1


def test_calls_that_wait_here_for_a_socket_go_where_it_opens() -> None:
    node = Node()
    node.leave(node.open(grace_s=15.0))
    first, second = Told(), Told()
    node.call(first, body=b'"first"')
    node.call(second, body=b'"second"')
    node.take_from(D)
    link = node.links.to[D]
    assert [call.body for call in link.passed] == [b'"first"', b'"second"']
    assert [(call.passages, call.at_holder) for call in link.passed] == [(0, False)] * 2
    assert node.relay.budget.used_bytes == 0
    link.answers(1, 0)
    link.answers(2, 1)
    assert (first.raw, second.raw) == (b"1", b"2")


def test_what_is_nowhere_opens_on_another_node_and_its_numbers_go_on() -> None:
    node = Node()
    seat = node.open()
    for _ in range(3):
        node.call(Told())
    node.leave(seat)
    placed = node.held_by(D)
    assert placed.number == 3
    assert not is_gone(node)


def test_numbers_of_a_life_that_is_not_remembered_begin_behind_it() -> None:
    node = Node()
    text = an_id(at_ms=NOW_MS - 5_000)
    placed = node.held_by(D, text)
    assert placed.number == 5_000_000, "it had fewer calls than microseconds"


def test_a_call_that_begins_because_of_the_move_waits_for_it() -> None:
    node = Node()
    again = Told()
    node.open()
    node.call(Told(lambda: node.call(again, body=b'"again"')))
    node.take_from(D)
    assert [call.body for call in node.links.to[D].passed] == [b'"again"']
    assert again.outcomes == 0
    assert node.relay.budget.used_bytes == 0


def test_a_lambda_that_is_deleted_because_of_the_move_is_deleted() -> None:
    node = Node()
    node.open()
    waiting = Told()

    def delete() -> None:
        node.call(waiting)
        node.claims.delete(TEXT, lambda _outcome: None)

    node.call(Told(delete))
    answer = node.take_from(D)
    assert isinstance(answer.error, LambdaGone)
    assert isinstance(waiting.error, LambdaGone)
    assert is_gone(node)
    assert TEXT not in node.registry.away
    assert node.relay.budget.used_bytes == 0


def test_a_wrong_key_gets_nothing() -> None:
    node = Node()
    seat = node.open()
    answer = node.take_from(D, key="wrong")
    assert isinstance(answer.error, Forbidden)
    assert not seat.closed and TEXT in node.registry.live


@pytest.mark.parametrize("is_held_here", [True, False])
def test_without_a_key_only_what_nobody_holds_is_opened(is_held_here: bool) -> None:
    node = Node()
    if is_held_here:
        node.open()
    else:
        node.held_by(D)
    assert isinstance(node.take_from(C, key="").error, Forbidden)
    assert node.take_from(C, an_id(2), key="").words(PlacedWords).epoch > 0


# -- from one node to another, or back ---------------------------------------------------------------------------


def test_a_lambda_moves_from_node_to_node() -> None:
    node = Node()
    before = node.held_by(C).epoch
    answer = node.take_from(D, keep=(4, 5))
    assert node.links.to[C].words("ask", "release", ReleaseWords) == [ReleaseWords(NAME, [4, 5], D)]
    assert answer.is_open
    kept = node.adopts(C, 4)
    assert node.links.to[D].said == [("adopt", NAME, b"4")]
    waiting = Told()
    node.call(waiting, body=b'"waits"')
    assert sent(node.links.to[C]) == ["release"]
    node.links.to[C].answers(ReleasedWords(7))
    placed = answer.words(PlacedWords)
    assert (placed.number, holder(node)) == (7, D)
    assert placed.epoch == epoch(node) > before
    link = node.links.to[D]
    assert sent(link) == ["adopt", "call"]
    assert node.relay.budget.used_bytes == 0
    link.answers("kept", 0)
    link.answers("waited", 1)
    assert (kept.raw, waiting.raw) == (b'"kept"', b'"waited"')


def test_a_lambda_comes_home() -> None:
    node = Node()
    node.held_by(C)
    seat, taken = node.take(keep=(4,))
    kept = node.adopts(C, 4)
    waiting = Told()
    node.call(waiting, body=b'"waits"')
    assert not taken.told
    node.links.to[C].answers(ReleasedWords(7))
    assert taken.one is None
    assert node.registry.live[TEXT].seat is seat
    assert TEXT not in node.registry.away
    assert seat.provider.calls == [(8, b'"test"', b'"waits"')]
    seat.provider.answer(4, b'"kept"')
    seat.provider.answer(8, b'"waited"')
    assert (kept.raw, waiting.raw) == (b'"kept"', b'"waited"')
    assert node.relay.budget.used_bytes == 0


def test_whoever_holds_it_may_take_it_anew_and_numbers_are_its_own() -> None:
    node = Node()
    before = node.held_by(D)
    again = node.held_by(D)
    assert (again.number, again.epoch) == (None, before.epoch)
    assert sent(node.links.to[D]) == []


def test_a_call_in_flight_is_cancelled_wherever_it_went() -> None:
    node = Node()
    node.held_by(C)
    node.take_from(D, keep=(4,))
    kept = node.adopts(C, 4)
    kept.leave()
    assert node.links.to[D].cancelled == [1]


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_holder_that_cannot_be_reached_loses_the_lambda(is_slow: bool) -> None:
    node = Node()
    text = an_id(at_ms=NOW_MS - 9_000)
    before = node.held_by(C, text)
    if is_slow:
        answer = node.take_from(D, text)
        node.pass_time(RELEASE_S - 0.1)
        assert answer.is_open
        node.pass_time(0.2)
        assert node.links.to[C].cancelled == [1]
        assert evicted(node.links.to[C]) == [(text.decode(), before.epoch, 4409)]
    else:
        node.links.refusals[C] = UNREACHABLE
        answer = node.take_from(D, text)
    placed = answer.words(PlacedWords)
    assert placed.number is not None and placed.number >= 9_000_000
    assert placed.epoch > before.epoch
    node.links.refusals.clear()
    node.holding(C, (text, before.epoch))
    assert evicted(node.links.to[C])[-1] == (text.decode(), before.epoch, 4409)


def test_a_holder_that_has_it_no_more_lets_it_go_all_the_same() -> None:
    node = Node()
    node.held_by(C)
    answer = node.take_from(D)
    node.links.to[C].answers(ReleasedWords(None))
    assert answer.words(PlacedWords).number is not None
    assert holder(node) == D


# -- moves during a move -----------------------------------------------------------------------------------------


def test_whoever_comes_during_a_move_gets_it_next() -> None:
    node = Node()
    node.held_by(C)
    first, second = node.take_from(D), node.take_from(E)
    seat, taken = node.take()
    assert sent(node.links.to[C]) == ["release"]
    node.links.to[C].answers(ReleasedWords(1))
    assert first.words(PlacedWords).number == 1
    assert sent(node.links.to[D]) == ["release"]
    node.links.to[D].answers(ReleasedWords(2))
    assert second.words(PlacedWords).number == 2
    assert sent(node.links.to[E]) == ["release"]
    assert not taken.told
    node.links.to[E].answers(ReleasedWords(3))
    assert taken.one is None
    assert seat.provider.number == 3
    assert first.words(PlacedWords).epoch < second.words(PlacedWords).epoch < node.registry.live[TEXT].epoch


def test_sockets_of_this_node_that_come_during_a_move_follow_one_another() -> None:
    node = Node()
    node.held_by(C)
    (first, first_taken), (second, second_taken) = node.take(), node.take()
    last = node.take_from(D)
    node.links.to[C].answers(ReleasedWords(5))
    assert first_taken.one is None and second_taken.one is None
    assert (first.closed, second.closed) == ([4409], [4409])
    assert last.words(PlacedWords).number == 5
    assert holder(node) == D


def test_whoever_does_not_wait_any_more_gets_nothing() -> None:
    """A lambda that was given to nobody would be held by nobody, and its home would not know."""
    node = Node()
    node.held_by(C)
    first, second, third = node.take_from(D), node.take_from(E), node.take_from(C)
    second.leave()
    node.links.to[C].answers(ReleasedWords(1))
    assert first.outcomes == 1
    assert sent(node.links.to[D]) == ["release"]
    node.links.to[D].answers(ReleasedWords(1))
    assert third.words(PlacedWords).number == 1
    assert holder(node) == C
    assert sent(node.links.to[E]) == []


def test_a_taker_that_goes_during_the_move_leaves_nothing_behind() -> None:
    node = Node()
    node.held_by(C)
    answer = node.take_from(D)
    waiting = Told()
    node.call(waiting)
    answer.leave()
    node.links.to[C].answers(ReleasedWords(7))
    assert isinstance(waiting.error, LambdaGone) and waiting.error.delivered == "no"
    assert is_gone(node)
    assert node.relay.budget.used_bytes == 0
    assert node.held_by(E).number == 7


def test_a_taker_that_goes_makes_way_for_the_next() -> None:
    node = Node()
    node.held_by(C)
    answer, behind = node.take_from(D), node.take_from(E)
    answer.leave()
    node.links.to[C].answers(ReleasedWords(7))
    assert behind.words(PlacedWords).number == 7
    assert holder(node) == E


def test_a_node_whose_link_comes_up_anew_has_asked_nothing() -> None:
    """The answer would go by the link before, and the home would believe what the node never heard."""
    node = Node()
    node.held_by(C)
    first, second, third = node.take_from(D), node.take_from(D), node.take_from(E)
    node.holding(D)
    assert isinstance(first.error, PeerUnreachable)
    assert isinstance(second.error, PeerUnreachable)
    node.links.to[C].answers(ReleasedWords(1))
    assert third.words(PlacedWords).number == 1
    assert holder(node) == E


def test_a_queue_goes_on_behind_a_holder_out_of_reach() -> None:
    node = Node()
    node.held_by(C)
    first = node.take_from(D)
    rest = [node.take_from(E) for _ in range(3)]
    node.links.refusals[D] = UNREACHABLE
    node.links.to[C].refuses(UNREACHABLE)
    assert first.outcomes == 1
    assert [one.outcomes for one in rest] == [1, 1, 1]
    assert rest[0].words(PlacedWords).number is not None
    assert [one.words(PlacedWords).number for one in rest[1:]] == [None, None]
