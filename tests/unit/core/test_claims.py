"""What a node does to get lambdas of other homes: it asks, and is told or not, in time or late."""

from __future__ import annotations

import pytest

from lambdamesh.core.reopening import Claim, Grant
from lambdamesh.core.words import (
    ANY_EPOCH,
    ClaimWords,
    GrantWords,
    LeftWords,
    PlacedWords,
    TakeWords,
)
from lambdamesh.errors import Forbidden, LambdaLost, MeshError, PeerUnreachable
from tests.unit.core.meshed import AFAR, C, D, FakeLink, Node, Outcome, sent
from tests.unit.fakes import TEXT, FakeSeat, Told

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


# -- claim -------------------------------------------------------------------------------------------------------


def test_a_claim_is_for_the_home_to_decide() -> None:
    node = Node()
    claim = node.claim(AFAR)
    assert node.links.to[C].words("ask", "claim", ClaimWords) == [ClaimWords(NAME, "right", "local")]
    node.links.to[C].answers(GrantWords("key", [1, 2]))
    assert claim.one == Grant(b"key", (1, 2))


@pytest.mark.parametrize("error", [Forbidden("not the key"), UNREACHABLE])
def test_a_claim_that_its_home_refuses_is_refused(error: MeshError) -> None:
    node = Node()
    claim = node.claim(AFAR)
    node.links.to[C].refuses(error)
    assert claim.one is error


def test_a_claim_fails_that_its_home_does_not_answer_in_time() -> None:
    node = Node()
    claim = node.claim(AFAR)
    node.pass_time(node.limits.ask_timeout_s + 0.1)
    assert isinstance(claim.one, PeerUnreachable)
    assert node.links.to[C].cancelled == [1]
    node.links.refusals[C] = UNREACHABLE
    assert node.claim(AFAR).one is UNREACHABLE


def test_an_answer_that_cannot_be_read_is_no_answer() -> None:
    node = Node()
    claim = node.claim(AFAR)
    node.links.to[C].answers({"resume_key": 5})
    assert isinstance(claim.one, PeerUnreachable)


def test_what_has_its_home_here_is_decided_here() -> None:
    node = Node()
    seat = node.open()
    assert node.granted().resume_key == TEXT + b" for local"
    _, taken = node.take()
    assert taken.one is None
    assert seat.closed == [4409]
    assert [sent(link) for link in node.links.to.values()] == [[], [], []]


def test_what_is_no_id_is_decided_here() -> None:
    node = Node()
    assert node.claim(b"nonsense").one.code == "bad_request"


# -- take --------------------------------------------------------------------------------------------------------


def test_a_socket_has_the_lambda_once_its_home_says_so() -> None:
    node = Node()
    seat, taken = node.take(AFAR, keep=(3,))
    [words] = node.links.to[C].words("ask", "take", TakeWords)
    assert words == TakeWords(NAME, "right", "local", [3], words.turn)
    assert not taken.told and AFAR not in node.registry.live
    node.links.to[C].answers(PlacedWords(5, 41))
    assert taken.one is None
    assert node.registry.live[AFAR].seat is seat
    node.call(Told(), text=AFAR)
    assert seat.provider.calls == [(42, b'"test"', b"1")]
    assert node.registry.live[AFAR].epoch == 5


def test_calls_that_come_before_the_grant_are_its_to_answer() -> None:
    node = Node()
    seat, _ = node.take(AFAR, keep=(3,))
    kept, stranger = node.adopts(C, 3, AFAR), node.adopts(D, 3, AFAR)
    assert isinstance(stranger.error, LambdaLost)
    node.links.to[C].answers(PlacedWords(5, 41))
    seat.provider.answer(3, b'"kept"')
    assert kept.raw == b'"kept"'


def test_a_call_is_for_the_socket_that_keeps_it() -> None:
    """The one before it may have given up, while its calls were on their way."""
    node = Node()
    first, first_taken = node.take(AFAR, keep=(3,))
    second, _ = node.take(AFAR, keep=(4,))
    node.links.to[C].refuses(UNREACHABLE, 0)
    assert first_taken.one is UNREACHABLE
    lost, kept = node.adopts(C, 3, AFAR), node.adopts(C, 4, AFAR)
    assert isinstance(lost.error, LambdaLost)
    assert not first.provider.pending
    assert list(second.provider.pending) == [4]
    assert kept.is_open


def test_of_two_that_keep_a_call_the_last_to_answer_open_has_it() -> None:
    node = Node()
    first, _ = node.take(AFAR, keep=(3,))
    second, _ = node.take(AFAR, keep=(3,))
    first.provider.keeps = True
    kept = node.adopts(C, 3, AFAR)
    node.links.to[C].answers(PlacedWords(5, 41), 0)
    node.links.to[C].answers(PlacedWords(5), 1)
    assert first.closed == [4409]
    second.provider.answer(3, b'"kept"')
    assert kept.raw == b'"kept"'


def test_an_adopted_call_that_nobody_waits_for_is_cancelled_at_its_provider() -> None:
    node = Node()
    seat, _ = node.take(AFAR, keep=(3,))
    node.adopts(C, 3, AFAR).leave()
    assert seat.provider.cancelled == [3]


def test_a_takeover_at_the_holder_keeps_calls_and_numbers() -> None:
    node = Node()
    before = holding(node, 7)
    told, lost = Told(), Told()
    before.provider.keeps = True
    node.call(told, text=AFAR)
    node.call(lost, text=AFAR)
    seat, _ = node.take(AFAR, keep=(8,))
    node.links.to[C].answers(PlacedWords(5))
    assert before.closed == [4409]
    assert isinstance(lost.error, LambdaLost)
    seat.provider.answer(8, b"1")
    assert told.raw == b"1"
    node.call(Told(), text=AFAR)
    assert seat.provider.calls[0][0] == 10


def test_a_takeover_at_the_holder_of_what_has_closed_meanwhile_goes_on_with_its_numbers() -> None:
    node = Node()
    before = holding(node, 7)
    node.call(Told(), text=AFAR)
    seat, taken = node.take(AFAR)
    node.leave(before, final=True, text=AFAR)
    assert left(node.links.to[C]) == [], "whether it has left is decided by what becomes of the other socket"
    node.links.to[C].answers(PlacedWords(5))
    assert taken.one is None
    node.call(Told(), text=AFAR)
    assert seat.provider.calls[0][0] == 9


def test_what_closed_while_another_socket_asked_in_vain_has_left() -> None:
    node = Node()
    before = holding(node, 7)
    _, taken = node.take(AFAR)
    node.leave(before, final=True, text=AFAR)
    node.links.to[C].refuses(UNREACHABLE)
    assert taken.one is UNREACHABLE
    assert left(node.links.to[C]) == [(ANY_EPOCH, 0)]


def test_a_grant_that_nobody_heard_of_is_given_back() -> None:
    node = Node()
    _, taken = node.take(AFAR)
    node.pass_time(node.limits.ask_timeout_s + 0.1)
    assert isinstance(taken.one, PeerUnreachable)
    assert node.links.to[C].cancelled == [1]
    assert left(node.links.to[C]) == [(ANY_EPOCH, 0)]
    assert isinstance(node.adopts(C, 3, AFAR).error, LambdaLost)


def test_while_another_socket_asks_for_it_nothing_is_given_back() -> None:
    node = Node()
    holding(node)
    for _ in range(2):
        node.take(AFAR)
    node.links.to[C].refuses(UNREACHABLE, -1)
    assert left(node.links.to[C]) == []
    node.links.to[C].refuses(UNREACHABLE, -2)
    (words,) = node.links.to[C].words("tell", "left", LeftWords)
    assert (words.epoch, words.held) == (ANY_EPOCH, 5), "what it has it still has"
    other = Node()
    _, first = other.take(AFAR)
    _, second = other.take(AFAR)
    other.links.to[C].refuses(UNREACHABLE, 0)
    assert first.one is UNREACHABLE and not second.told
    assert left(other.links.to[C]) == []


def test_a_new_lambda_asks_nobody() -> None:
    node, outcome = Node(), Outcome()
    node.claims.take(Claim(TEXT, True), FakeSeat(), (), outcome)
    assert outcome.one is None
    assert TEXT in node.registry.live
