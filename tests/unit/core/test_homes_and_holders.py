"""What a home believes of those who hold its lambdas, and what it says to whoever wants one."""

from __future__ import annotations

import pytest

from lambdamesh.core.homes import RELEASE_S, Homes
from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.core.words import (
    ANY_EPOCH,
    ClaimWords,
    GrantWords,
    HoldingWords,
    LeftWords,
    PendingWords,
    PlacedWords,
    ReleasedWords,
)
from lambdamesh.errors import Forbidden, MeshError, PeerUnreachable
from tests.unit.core.meshed import AFAR, RIGHT, C, D, E, Node, epoch, evicted, holder, is_gone
from tests.unit.fakes import TEXT, FakeProvider, FakeSeat, Told, World, an_id

NAME = TEXT.decode()
UNREACHABLE = PeerUnreachable("nobody answers there")

# -- what holders say --------------------------------------------------------------------------------------------


def test_what_has_closed_at_its_holder_is_gone_and_its_numbers_go_on() -> None:
    node = Node()
    node.held_by(C)
    node.told(C, "left", LeftWords(NAME, epoch(node), 12))
    assert is_gone(node)
    assert node.held_by(D).number == 12


def test_what_its_holder_had_by_another_grant_has_not_closed() -> None:
    node = Node()
    node.held_by(C)
    node.told(C, "left", LeftWords(NAME, epoch(node) - 1, 12))
    node.told(D, "left", LeftWords(NAME, epoch(node), 12))
    node.told(D, "left", LeftWords(NAME, ANY_EPOCH, 0))
    node.told(C, "left", LeftWords(an_id(5).decode(), epoch(node), 12))
    assert holder(node) == C


def test_what_a_taker_never_heard_of_is_gone() -> None:
    node = Node()
    node.held_by(C)
    node.told(C, "left", LeftWords(NAME, ANY_EPOCH, 0))
    assert is_gone(node)


@pytest.mark.parametrize("which", [ANY_EPOCH, 0])
def test_what_closes_during_its_move_goes_on_where_it_moves(which: int) -> None:
    node = Node()
    node.held_by(C)
    answer = node.take_from(D)
    node.told(C, "left", LeftWords(NAME, which or epoch(node), 12))
    node.links.to[C].answers(ReleasedWords(None))
    assert answer.words(PlacedWords).number is not None
    assert holder(node) == D


def test_what_a_node_holds_that_drains_waits_at_home() -> None:
    node = Node()
    node.held_by(C)
    node.told(C, "left", LeftWords(NAME, epoch(node), 12, grace_s=15.0, code="json-rpc-2.0"))
    told = Told()
    node.call(told)
    assert node.registry.live[TEXT].state == "waiting"
    seat, taken = node.take()
    assert taken.one is None
    assert seat.provider.calls == [(13, b'"test"', b"1")]
    assert told.outcomes == 0


def test_a_holder_tells_what_it_holds_when_its_link_comes_up() -> None:
    """A home that has started anew knows nothing else."""
    node = Node()
    node.holding(C, (TEXT, 77))
    assert (holder(node), epoch(node)) == (C, 77)
    assert node.registry.next_epoch(0) > 77
    told = Told()
    node.call(told)
    assert node.links.to[C].passed[0].at_holder


def test_what_a_holder_does_not_tell_of_it_has_not() -> None:
    node = Node()
    other = an_id(2)
    node.held_by(C)
    node.held_by(C, other)
    node.held_by(D, an_id(3))
    node.holding(C, (TEXT, epoch(node)))
    assert holder(node) == C
    assert is_gone(node, other)
    assert node.registry.away.keys() == {TEXT, an_id(3)}


def moved_to_and_back(node: Node) -> int:
    """Have C get a lambda a second time; return the epoch of the first."""
    node.held_by(C)
    before = epoch(node)
    node.take_from(D)
    node.links.to[C].answers(ReleasedWords(1))
    node.take_from(C)
    node.links.to[D].answers(ReleasedWords(9_999_999_999))
    assert epoch(node) > before
    return before


@pytest.mark.parametrize("is_told_by", ["holding", "left"])
def test_a_holder_that_never_heard_of_its_grant_has_what_was_overtaken(is_told_by: str) -> None:
    """Others have answered calls since: their numbers are not used again."""
    node = Node()
    before = moved_to_and_back(node)
    if is_told_by == "holding":
        node.holding(C, (TEXT, before))
    else:
        node.told(C, "left", LeftWords(NAME, ANY_EPOCH, 0, held=before))
    assert evicted(node.links.to[C])[-1] == (NAME, before, 4409)
    assert is_gone(node)
    assert node.held_by(E).number == 9_999_999_999


@pytest.mark.parametrize("is_told_by", ["holding", "left"])
def test_a_holder_that_has_what_it_was_given_keeps_it(is_told_by: str) -> None:
    node = Node()
    moved_to_and_back(node)
    if is_told_by == "holding":
        node.holding(C, (TEXT, epoch(node)))
    else:
        node.told(C, "left", LeftWords(NAME, ANY_EPOCH, 0, held=epoch(node)))
    assert holder(node) == C
    assert evicted(node.links.to[C]) == []


def test_a_holder_that_takes_it_anew_has_lost_nothing() -> None:
    """The answer is on its way, by a link that is left and still heard."""
    node = Node()
    before = moved_to_and_back(node)
    node.told(C, "holding", HoldingWords([(NAME, before, "")], [NAME]))
    assert holder(node) == C
    assert evicted(node.links.to[C]) == []
    node.told(C, "holding", HoldingWords([], [NAME]))
    assert holder(node) == C


def test_a_holder_that_shows_no_proof_holds_nothing() -> None:
    node = Node()
    node.told(C, "holding", HoldingWords([(NAME, 77, "made up")]))
    assert evicted(node.links.to[C]) == [(NAME, 77, 4409)]
    assert not node.registry.away


@pytest.mark.parametrize("older", [0, 1])
def test_what_was_overtaken_is_evicted(older: int) -> None:
    node = Node()
    node.held_by(C)
    known = epoch(node)
    node.holding(D, (TEXT, known - older))
    assert holder(node) == C
    assert evicted(node.links.to[D]) == [(NAME, known - older, 4409)]


def test_what_is_held_here_overtakes_what_is_older() -> None:
    node = Node()
    node.reopen()
    held = node.registry.live[TEXT]
    node.holding(D, (TEXT, held.epoch))
    assert held.seat is not None
    assert evicted(node.links.to[D]) == [(NAME, held.epoch, 4409)]


def test_the_newest_wins_whoever_tells_of_it() -> None:
    node = Node()
    node.holding(C, (TEXT, 77))
    node.holding(D, (TEXT, 78))
    assert (holder(node), epoch(node)) == (D, 78)
    assert evicted(node.links.to[C]) == [(NAME, 77, 4409)]


def test_the_newest_wins_over_a_socket_here() -> None:
    node = Node()
    seat = node.reopen()
    newer = node.registry.live[TEXT].epoch + 1
    node.holding(D, (TEXT, newer))
    assert seat.closed == [4409]
    assert (holder(node), epoch(node)) == (D, newer)
    assert not is_gone(node)


def test_what_was_deleted_is_evicted_for_good() -> None:
    node = Node()
    node.open()
    node.registry.delete(TEXT, node.now, node.now_ms)
    node.holding(C, (TEXT, 77))
    assert evicted(node.links.to[C]) == [(NAME, 77, 4410)]
    assert TEXT not in node.registry.away


def test_during_a_move_nobody_else_has_it() -> None:
    node = Node()
    node.held_by(C)
    answer = node.take_from(D)
    node.holding(E, (TEXT, epoch(node) + 1))
    assert evicted(node.links.to[E]) == [(NAME, epoch(node) + 1, 4409)]
    node.links.to[C].answers(ReleasedWords(1))
    assert answer.outcomes == 1


def test_nobody_speaks_of_the_lambdas_of_another_home() -> None:
    node = Node()
    _, taken = node.take(AFAR)
    node.links.to[C].answers(PlacedWords(5, 0))
    assert taken.one is None
    node.holding(D, (AFAR, 999), (b"nonsense", 1))
    assert node.registry.live[AFAR].seat is not None
    assert not node.registry.away
    assert evicted(node.links.to[D]) == []


def test_a_holder_that_stays_away_is_forgotten_after_as_long_as_ids_are_remembered() -> None:
    node = Node(Limits(gone_ttl_s=100.0))
    node.held_by(C)
    node.held_by(D, an_id(2))
    lost = {C}
    node.homes.forget_lost(lost.__contains__, node.now)
    node.pass_time(99.0)
    node.homes.forget_lost(lost.__contains__, node.now)
    assert TEXT in node.registry.away
    node.pass_time(2.0)
    node.homes.forget_lost(lost.__contains__, node.now)
    assert node.registry.away.keys() == {an_id(2)}
    node.held_by(C)
    for _ in range(5):
        lost ^= {C}
        node.homes.forget_lost(lost.__contains__, node.now)
        node.pass_time(60.0)
    assert TEXT in node.registry.away, "it comes back again and again"


# -- claims ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "pending"),
    [(PendingWords([3, 4]), [3, 4]), (PendingWords(), []), (UNREACHABLE, []), ("nonsense", [])],
)
def test_a_claim_is_told_what_the_holder_could_still_have_answered(outcome: object, pending: list[int]) -> None:
    node = Node()
    node.held_by(C)
    answer = node.asked(D, "claim", ClaimWords(NAME, RIGHT, "local"))
    if isinstance(outcome, MeshError):
        node.links.to[C].refuses(outcome)
    else:
        node.links.to[C].answers(outcome)
    assert answer.words(GrantWords) == GrantWords(f"{NAME} for local", pending)


def test_a_claim_does_not_wait_long_for_the_holder() -> None:
    node = Node()
    node.held_by(C)
    claim = node.claim()
    node.pass_time(RELEASE_S + 0.1)
    assert claim.one.pending == ()


@pytest.mark.parametrize("is_keeping", [True, False])
def test_a_claim_of_what_is_here_is_told_at_once(is_keeping: bool) -> None:
    """A provider with the codec of 1.0 keeps nothing."""
    node = Node()
    node.open(seat=FakeSeat(FakeProvider(keeps=is_keeping)))
    node.call(Told())
    answer = node.asked(D, "claim", ClaimWords(NAME, RIGHT, "local"))
    assert answer.words(GrantWords).pending == [1] * is_keeping


@pytest.mark.parametrize(
    ("key", "kind"), [("wrong", Forbidden), ("", Forbidden)], ids=["wrong", "none, and it is held"]
)
def test_a_claim_that_is_not_right_is_refused(key: str, kind: type[MeshError]) -> None:
    node = Node()
    node.held_by(C)
    assert isinstance(node.asked(D, "claim", ClaimWords(NAME, key, "local")).error, kind)
    assert node.links.to[C].said == []


def test_a_node_in_no_mesh_decides_alone() -> None:
    world, node = World(), Node()
    homes = Homes(world.registry, world.relay, None, node.clock, lambda _text, _door: b"key")
    world.open()
    heard: list[object] = []
    homes.claim(Claim(TEXT, False, Key.RIGHT), heard.append)
    assert heard == [Grant(b"key", ())]
    assert not homes.delete(TEXT)
