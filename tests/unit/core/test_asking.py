"""Questions from node to node: one answer or one reason why there is none, in time."""

from __future__ import annotations

import pytest

from lambdamesh.core.asking import Question, read
from lambdamesh.core.words import IdWords, PendingWords
from lambdamesh.errors import Forbidden, LambdaLost, MeshError, PeerUnreachable
from tests.unit.core.meshed import C, FakeLink, Node, Outcome

WORDS = IdWords("abc")
UNREACHABLE = PeerUnreachable("nobody answers there")


def asked(node: Node, within_s: float | None = 2.0) -> tuple[Question, Outcome, FakeLink]:
    outcome = Outcome()
    return node.asking.ask(C, "show", WORDS, outcome, within_s), outcome, node.links.to[C]


def test_it_is_told_the_answer() -> None:
    node = Node()
    question, outcome, link = asked(node)
    assert link.said == [("ask", "show", b'{"id":"abc","at_holder":false}')]
    assert question.is_open
    link.answers([1])
    assert outcome.one == b"[1]"
    assert not question.is_open
    node.pass_time(10.0)
    assert (len(outcome.told), link.cancelled) == (1, [])


@pytest.mark.parametrize(
    ("error", "told"),
    [(Forbidden("no"), Forbidden), (UNREACHABLE, PeerUnreachable), (LambdaLost("x"), PeerUnreachable)],
)
def test_it_is_told_why_there_is_none(error: MeshError, told: type[MeshError]) -> None:
    """A question is no call that may have run: that its link ended says only that nobody was reached."""
    node = Node()
    _, outcome, link = asked(node)
    link.refuses(error)
    assert type(outcome.one) is told
    node.pass_time(10.0)
    assert len(outcome.told) == 1


def test_it_is_told_at_once_that_nobody_can_be_reached() -> None:
    node = Node()
    node.links.refusals[C] = UNREACHABLE
    question, outcome, _ = asked(node)
    assert outcome.one is UNREACHABLE
    assert not question.is_open
    node.pass_time(10.0)
    assert len(outcome.told) == 1


def test_a_link_that_has_just_ended_answers_at_once() -> None:
    node = Node()
    node.links.to[C].has_ended = True
    question, outcome, _ = asked(node)
    assert outcome.one.code == "internal_error"
    question.cancel()
    node.pass_time(10.0)
    assert len(outcome.told) == 1


def test_it_does_not_wait_for_ever_and_says_so_to_the_other_node() -> None:
    node = Node()
    question, outcome, link = asked(node)
    node.pass_time(1.9)
    assert not outcome.told
    node.pass_time(0.2)
    assert isinstance(outcome.one, PeerUnreachable)
    assert "0000000c" in outcome.one.message
    assert link.cancelled == [1]
    question.result(b"late")
    question.fault(UNREACHABLE)
    assert len(outcome.told) == 1


def test_it_waits_for_ever_where_it_is_to() -> None:
    node = Node()
    _, outcome, link = asked(node, None)
    node.pass_time(10_000.0)
    assert not outcome.told
    link.answers(1)
    assert outcome.one == b"1"


def test_nobody_is_told_who_does_not_want_to_know() -> None:
    node = Node()
    question, outcome, link = asked(node)
    question.cancel()
    question.cancel()
    assert link.cancelled == [1]
    question.result(b"late")
    question.item(b"late")
    node.pass_time(10.0)
    assert not outcome.told


def test_what_waited_for_a_link_is_cancelled_on_the_link() -> None:
    node = Node()
    question, _, link = asked(node)
    other = FakeLink(C)
    other.pending[7] = link.pending.pop(1)
    question.moved(other, 7)
    question.cancel()
    assert (link.cancelled, other.cancelled) == ([], [7])


def test_it_is_told_bit_by_bit() -> None:
    node, outcome, items = Node(), Outcome(), Outcome()
    question = node.asking.follow(C, "events", WORDS, (outcome, items), None)
    link = node.links.to[C]
    link.pending[1].item(b"1")
    link.pending[1].item(b"2")
    assert items.told == [b"1", b"2"]
    link.refuses(UNREACHABLE)
    assert outcome.one is UNREACHABLE
    question.item(b"3")
    assert len(items.told) == 2


def test_items_of_a_question_that_wants_none_are_dropped() -> None:
    node = Node()
    _, outcome, link = asked(node)
    link.pending[1].item(b"1")
    assert not outcome.told


def test_an_answer_is_read_as_what_it_should_be() -> None:
    assert read(b'{"pending":[1]}', PendingWords) == PendingWords([1])
    assert read(UNREACHABLE, PendingWords) is UNREACHABLE
    for raw in (b'{"pending":5}', b"nonsense", b""):
        error = read(raw, PendingWords)
        assert isinstance(error, PeerUnreachable) and "release" in error.message
