"""Lambdas of other homes that are held here: let go of, evicted, told of, shown and deleted."""

from __future__ import annotations

import msgspec
import pytest

from lambdamesh.core.reopening import Claim, Key
from lambdamesh.core.words import (
    EvictWords,
    HoldingWords,
    IdWords,
    LeftWords,
    PendingWords,
    PlacedWords,
    ReleasedWords,
    ReleaseWords,
)
from lambdamesh.errors import LambdaGone, LambdaLost, PeerUnreachable, Recovering
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.core.meshed import AFAR, C, D, FakeLink, Node, Outcome, sent
from tests.unit.fakes import TEXT, FakeSeat, Told, an_id

NAME = AFAR.decode()
UNREACHABLE = PeerUnreachable("nobody answers there")


def left(link: FakeLink) -> list[tuple[int, int]]:
    return [(words.epoch, words.number) for words in link.words("tell", "left", LeftWords)]


def holding(node: Node, number: int = 0, epoch: int = 5, grace_s: float = 0.0) -> FakeSeat:
    """Have a socket of the node hold a lambda of another home."""
    seat, taken = node.take(AFAR, grace_s=grace_s)
    node.links.to[C].answers(PlacedWords(epoch, number))
    assert taken.one is None
    return seat


def release(node: Node, keep: tuple[int, ...] = (), machine: int = C) -> int | None:
    return node.asked(machine, "release", ReleaseWords(NAME, list(keep))).words(ReleasedWords).number


# -- release and evict -------------------------------------------------------------------------------------------


def test_a_lambda_is_let_go_of_at_the_word_of_its_home() -> None:
    node = Node()
    seat = holding(node, 7)
    seat.provider.keeps = True
    kept, lost = Told(), Told()
    node.call(kept, text=AFAR)
    node.call(lost, text=AFAR)
    assert release(node, (8, 99)) == 9
    assert seat.closed == [4409]
    assert isinstance(lost.error, LambdaLost)
    link = node.links.to[C]
    assert link.said[-1] == ("adopt", NAME, b"8")
    assert left(link) == [], "its home knows"
    link.answers("moved")
    assert kept.raw == b'"moved"'
    assert AFAR not in node.registry.live


def test_nobody_but_its_home_has_a_lambda_let_go_of() -> None:
    node = Node()
    seat = holding(node)
    own = node.open()
    assert release(node, machine=D) is None
    assert node.asked(C, "release", ReleaseWords(TEXT.decode())).words(ReleasedWords).number is None
    assert seat.closed == [] and own.closed == []


def test_what_is_not_here_cannot_be_let_go_of() -> None:
    assert release(Node()) is None


def test_calls_that_wait_here_go_back_to_the_home_once_it_knows() -> None:
    node = Node()
    node.leave(holding(node, grace_s=15.0), text=AFAR)
    waiting = Told()
    node.call(waiting, text=AFAR, body=b'"waits"')
    calls_then: list[int] = []
    link = node.links.to[C]
    answer = node.asked(C, "release", ReleaseWords(NAME), lambda: calls_then.append(len(link.passed)))
    assert answer.outcomes == 1
    assert calls_then == [0], "first the number, then the calls"
    assert [(call.body, call.passages, call.at_holder) for call in link.passed] == [(b'"waits"', 0, False)]
    assert node.relay.budget.used_bytes == 0
    link.answers("late")
    assert waiting.raw == b'"late"'


def test_streams_end_with_the_move() -> None:
    node = Node()
    seat = FakeSeat()
    calls = LambdaCalls(lambda _message: None, SessionCounters(), Bounds(1 << 20, 1024), AFAR)
    calls.has_meta = True
    seat.provider = calls  # type: ignore[assignment]
    outcome = Outcome()
    node.claims.take(Claim(AFAR, False, Key.RIGHT), seat, (), outcome)
    node.links.to[C].answers(PlacedWords(5, 0))
    stream, plain = Told(), Told()
    node.call(stream, text=AFAR, credit=4)
    node.call(plain, text=AFAR)
    pending = node.asked(C, "unanswered", IdWords(NAME)).words(PendingWords)
    assert pending.pending == [2]
    assert release(node, (1, 2)) == 2
    assert isinstance(stream.error, LambdaLost)
    assert plain.outcomes == 0
    assert sent(node.links.to[C])[-1] == "adopt"


@pytest.mark.parametrize(("epoch", "is_evicted"), [(4, False), (5, True), (6, True)])
@pytest.mark.parametrize(("code", "reason"), [(4409, "moved on"), (4410, "deleted")])
def test_it_is_evicted_as_far_as_its_home_has_counted(epoch: int, is_evicted: bool, code: int, reason: str) -> None:
    node = Node()
    seat = holding(node, epoch=5)
    told = Told()
    node.call(told, text=AFAR)
    node.told(D, "evict", EvictWords(NAME, 9, code))
    assert seat.closed == []
    node.told(C, "evict", EvictWords(NAME, epoch, code))
    assert seat.closed == [code] * is_evicted
    assert (AFAR in node.registry.live) is not is_evicted
    assert [reason in fault.message for fault in told.faults] == [True] * is_evicted
    node.told(C, "evict", EvictWords("nonsense", 9, code))


def test_calls_that_wait_for_a_lambda_that_has_moved_go_to_its_home() -> None:
    node = Node()
    node.leave(holding(node, epoch=5, grace_s=15.0), text=AFAR)
    waiting = Told()
    node.call(waiting, text=AFAR, body=b'"waits"')
    node.told(C, "evict", EvictWords(NAME, 5, 4409))
    link = node.links.to[C]
    assert [(call.body, call.passages, call.at_holder) for call in link.passed] == [(b'"waits"', 0, False)]
    link.answers("late")
    assert waiting.raw == b'"late"'


def test_what_has_moved_is_not_gone() -> None:
    node = Node()
    holding(node, epoch=5)
    node.told(C, "evict", EvictWords(NAME, 5, 4409))
    late = Told()
    node.relay.call(Call(AFAR, b'"m"', b"1", 60.0, at_holder=True), late, node.now)
    assert isinstance(late.error, Recovering)
    assert left(node.links.to[C]) == [], "its home knows"


# -- what a home is told -----------------------------------------------------------------------------------------


def test_a_home_is_told_which_of_its_lambdas_are_here() -> None:
    node = Node()
    holding(node, epoch=5)
    node.open()
    topic, body = node.claims.holding(C)
    assert (topic, msgspec.json.decode(body, type=HoldingWords).lambdas) == ("holding", [(NAME, 5, "")])
    assert msgspec.json.decode(node.claims.holding(D)[1], type=HoldingWords).lambdas == []
    assert list(node.claims.homes()) == [C]
    release(node)
    assert list(node.claims.homes()) == []


def test_a_home_is_told_when_its_lambda_closes_here() -> None:
    node = Node()
    seat = holding(node, 7, grace_s=15.0)
    node.leave(seat, text=AFAR)
    assert left(node.links.to[C]) == []
    node.pass_time(15.1)
    assert left(node.links.to[C]) == [(5, 7)]
    node.leave(node.open(), final=True)
    assert [len(link.said) for link in node.links.to.values()] == [2, 0, 0]


def test_a_home_is_told_what_waits_for_its_grace_when_this_node_drains() -> None:
    node = Node()
    node.leave(holding(node, 7, grace_s=15.0), text=AFAR)
    node.registry.drain(node.now)
    (words,) = node.links.to[C].words("tell", "left", LeftWords)
    assert (words.grace_s, words.code, words.number) == (15.0, "json-rpc", 7)


# -- show and delete ---------------------------------------------------------------------------------------------


def shown(node: Node, text: bytes) -> Outcome:
    outcome = Outcome()
    node.claims.show(text, outcome)
    return outcome


def test_what_is_here_is_shown_by_this_node_whatever_its_home() -> None:
    node = Node()
    holding(node)
    assert NAME.encode() in shown(node, AFAR).one


@pytest.mark.parametrize("topic", ["show", "delete"])
def test_what_is_elsewhere_is_asked_of_its_home(topic: str) -> None:
    node, outcome = Node(), Outcome()
    getattr(node.claims, topic)(AFAR, outcome)
    assert node.links.to[C].words("ask", topic, IdWords) == [IdWords(NAME, at_holder=False)]
    node.links.to[C].answers({})
    assert outcome.one == b"{}"


def test_a_home_asks_the_holder() -> None:
    node = Node()
    node.held_by(C)
    outcome = shown(node, TEXT)
    assert node.links.to[C].words("ask", "show", IdWords) == [IdWords(TEXT.decode(), at_holder=True)]
    node.links.to[C].refuses(Recovering("moving"))
    assert outcome.one.code == "recovering"


def test_a_holder_asks_nobody() -> None:
    node = Node()
    answer = node.asked(C, "show", IdWords(NAME, at_holder=True))
    assert isinstance(answer.error, Recovering)
    seat = holding(node)
    node.leave(seat, final=True, text=AFAR)
    assert isinstance(node.asked(C, "show", IdWords(NAME, at_holder=True)).error, LambdaGone)


@pytest.mark.parametrize("topic", ["show", "delete"])
@pytest.mark.parametrize(("text", "code"), [(b"nonsense", "bad_request"), (an_id(9), "lambda_not_found")])
def test_what_is_nowhere_is_not_found(topic: str, text: bytes, code: str) -> None:
    node, outcome = Node(), Outcome()
    getattr(node.claims, topic)(text, outcome)
    assert outcome.one.code == code


def test_what_is_here_is_deleted_at_the_word_of_another_node() -> None:
    node = Node()
    seat = node.open()
    assert node.asked(D, "delete", IdWords(TEXT.decode())).raw == b"{}"
    assert seat.closed == [4410]
    assert isinstance(node.asked(D, "delete", IdWords(TEXT.decode())).error, LambdaGone)


def test_a_home_out_of_reach_is_said_to_be() -> None:
    node = Node()
    node.links.refusals[C] = UNREACHABLE
    assert shown(node, AFAR).one is UNREACHABLE
