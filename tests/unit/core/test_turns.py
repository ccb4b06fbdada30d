"""Words of a holder that come late, over the other of two links: they say nothing of what it asked for since."""

from __future__ import annotations

import msgspec
import pytest

from lambdamesh.core.reopening import Claim, Key
from lambdamesh.core.words import ANY_EPOCH, HoldingWords, LeftWords, PlacedWords, ReleasedWords, TakeWords, Turn
from lambdamesh.errors import PeerUnreachable, Recovering
from tests.unit.core.meshed import AFAR, RIGHT, C, D, Node, Outcome, epoch, holder, is_gone
from tests.unit.fakes import TEXT, FakeSeat

NAME = TEXT.decode()
RUN = 7
BEFORE, THEN, SINCE, AGAIN = (RUN, 1), (RUN, 2), (RUN, 3), (RUN + 1, 0)
"""Where C stood before it asked, when it did, later, and after it has been started again."""


def placed() -> Node:
    """A home whose lambda C has asked for and got."""
    node = Node()
    node.asked(C, "take", TakeWords(NAME, RIGHT, "local", turn=THEN)).words(PlacedWords)
    return node


@pytest.mark.parametrize(("turn", "stays"), [(BEFORE, True), (THEN, False), (SINCE, False), (AGAIN, False)])
@pytest.mark.parametrize("topic", ["holding", "left", "left any"])
def test_what_was_said_before_it_asked_is_not_about_that(topic: str, turn: Turn, stays: bool) -> None:
    node = placed()
    if topic == "holding":
        node.told(C, "holding", HoldingWords(turn=turn))
        if turn == AGAIN:
            node.pass_time(node.limits.recovering_s + 0.1)
    else:
        counted = epoch(node) if topic == "left" else ANY_EPOCH
        node.told(C, "left", LeftWords(NAME, counted, 0, turn=turn))
    assert (holder(node) == C) if stays else is_gone(node, TEXT)


def test_a_holder_that_has_died_has_not_closed_what_it_held() -> None:
    """Its providers are about to come back: whoever calls meanwhile is not told that the lambda is gone for good."""
    node = placed()
    node.told(C, "holding", HoldingWords(turn=AGAIN))
    assert TEXT not in node.registry.away
    absence = node.registry.absence(TEXT, node.now)
    assert isinstance(absence, Recovering)
    node.pass_time(node.limits.recovering_s + 0.1)
    assert is_gone(node, TEXT), "they did not come back"


def test_nor_has_one_that_told_itself_what_it_held() -> None:
    node = Node()
    node.told(C, "holding", HoldingWords([(NAME, 77, "")], turn=SINCE))
    assert holder(node) == C
    node.told(C, "holding", HoldingWords(turn=AGAIN))
    assert isinstance(node.registry.absence(TEXT, node.now), Recovering)


def test_what_is_back_from_a_holder_that_died_may_close_as_ever() -> None:
    node = placed()
    node.told(C, "holding", HoldingWords(turn=AGAIN))
    seat, _ = node.take(TEXT, key=Key.RIGHT)
    node.leave(seat, final=True)
    assert is_gone(node, TEXT)


def test_what_was_deleted_is_gone_whoever_dies() -> None:
    node = placed()
    node.told(C, "holding", HoldingWords(turn=AGAIN))
    node.registry.closed.bury(TEXT, node.now_ms)
    assert is_gone(node, TEXT)


@pytest.mark.parametrize(("turn", "stays"), [(BEFORE, True), (THEN, False), (AGAIN, False)])
def test_a_link_that_comes_up_beside_another_takes_no_place_in_a_line(turn: Turn, stays: bool) -> None:
    node = Node()
    node.held_by(D)
    moving = node.asked(C, "take", TakeWords(NAME, RIGHT, "local", turn=THEN))
    behind = node.asked(C, "take", TakeWords(NAME, RIGHT, "local", turn=THEN))
    node.told(C, "holding", HoldingWords(turn=turn))
    node.links.to[D].answers(ReleasedWords(1))
    if stays:
        assert moving.words(PlacedWords).epoch == behind.words(PlacedWords).epoch == epoch(node)
        assert holder(node) == C
    else:
        assert isinstance(moving.error, PeerUnreachable)
        assert isinstance(behind.error, PeerUnreachable)
        assert is_gone(node, TEXT)


@pytest.mark.parametrize(("turn", "stays"), [(BEFORE, True), (THEN, False), (SINCE, False)])
def test_who_has_given_up_meanwhile_gets_nothing(turn: Turn, stays: bool) -> None:
    node = Node()
    node.held_by(D)
    node.asked(C, "take", TakeWords(NAME, RIGHT, "local", turn=THEN))
    node.told(C, "left", LeftWords(NAME, ANY_EPOCH, 0, ANY_EPOCH, turn=turn))
    node.links.to[D].answers(ReleasedWords(1))
    assert (holder(node) == C) if stays else is_gone(node, TEXT)


@pytest.mark.parametrize(("turn", "stays"), [(BEFORE, True), (SINCE, False)])
def test_what_it_said_it_had_before_it_asked_is_no_loss(turn: Turn, stays: bool) -> None:
    node = placed()
    node.told(C, "holding", HoldingWords([(NAME, epoch(node) - 1, "")], turn=turn))
    assert (holder(node) == C) if stays else is_gone(node, TEXT)


def test_who_takes_it_anew_stands_where_it_asked_last() -> None:
    node = placed()
    node.asked(C, "take", TakeWords(NAME, RIGHT, "local", turn=SINCE))
    node.told(C, "left", LeftWords(NAME, epoch(node), 0, turn=THEN))
    assert holder(node) == C


def test_a_version_that_says_no_turn_is_believed() -> None:
    node = Node()
    node.held_by(C)
    node.told(C, "left", LeftWords(NAME, epoch(node), 0))
    assert is_gone(node, TEXT)


def test_a_holder_says_where_it_stands() -> None:
    node = Node()
    link = node.links.to[C]
    before = msgspec.json.decode(node.claims.holding(C)[1], type=HoldingWords).turn
    seat = FakeSeat()
    node.claims.take(Claim(AFAR, False, Key.RIGHT), seat, (), Outcome())
    [asked] = link.words("ask", "take", TakeWords)
    assert asked.turn == (before[0], before[1] + 1)
    link.answers(PlacedWords(5, 0))
    assert msgspec.json.decode(node.claims.holding(C)[1], type=HoldingWords).turn == asked.turn
    node.leave(seat, text=AFAR, final=True)
    [left] = link.words("tell", "left", LeftWords)
    assert left.turn == asked.turn
