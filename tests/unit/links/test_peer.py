"""What is known of the way to one other node: which of its links is used, and what becomes of those who wait."""

from __future__ import annotations

from typing import Any

import pytest

from lambdamesh.errors import PeerUnreachable
from lambdamesh.links.peer import Peer, State, pause_s
from lambdamesh.protocol.call import Call
from tests.unit.core.meshed import AFAR, C, FakeLink
from tests.unit.fakes import FakeDirectory, Told


class Link(FakeLink):
    has_parted = False


class Connected:
    """A connection that has said hello."""

    def __init__(self, dialler: int = 1, up_at: float = 0.0, heard_at: float = 100.0) -> None:
        self.link = Link(C)
        self.dialler = dialler
        self.up_at = up_at
        self.heard_at = heard_at


def up(peer: Peer, connection: Any) -> Any:
    peer.up(connection)
    return connection


def gone(peer: Peer, connection: Any, why: str = "it died") -> None:
    connection.link.is_up = False
    peer.gone(connection, why)


def waiting(peer: Peer) -> Told:
    told = Told()
    peer.waits().call(Call(AFAR, b'"test"', b"1", 60.0), told)
    return told


def test_nothing_is_known_of_a_node_at_first() -> None:
    peer = Peer(C)
    assert (peer.state, peer.is_up(), peer.name) == (State.IDLE, False, "0000000c")


def test_a_link_that_comes_up_takes_those_who_wait() -> None:
    peer = Peer(C)
    peer.state = State.CONNECTING
    told = waiting(peer)
    connection = up(peer, Connected())
    assert (peer.state, peer.best) == (State.UP, connection)
    assert len(connection.link.passed) == 1
    assert peer.line is None
    assert told.outcomes == 0


def test_a_link_that_was_left_before_it_came_up_leaves_them_waiting() -> None:
    """Somebody else's dial is still on its way: nobody is forgotten."""
    peer = Peer(C)
    peer.state = State.CONNECTING
    told = waiting(peer)
    parted: Any = Connected()
    parted.link.has_parted = True
    up(peer, parted)
    assert peer.state is State.CONNECTING and not peer.is_up()
    connection = up(peer, Connected())
    assert len(connection.link.passed) == 1
    assert told.outcomes == 0
    other = Peer(C)
    other.state = State.CONNECTING
    told = waiting(other)
    up(other, parted)
    other.fail("it does not answer")
    assert told.outcomes == 1


@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        ((2, 1.0, 9.0), (1, 2.0, 9.0), 1),
        ((1, 1.0, 9.0), (2, 5.0, 9.0), 0),
        ((1, 2.0, 9.0), (1, 1.0, 9.0), 0),
        ((1, 1.0, 1.5), (2, 2.0, 9.0), 1),
    ],
    ids=["the smaller machine's", "however old", "of the same side the newer", "but none that is mute since"],
)
def test_of_two_links_both_sides_choose_the_same(
    first: tuple[int, float, float], second: tuple[int, float, float], best: int
) -> None:
    for order in (1, -1):
        peer = Peer(C)
        connections: list[Any] = [Connected(*first), Connected(*second)]
        for connection in connections[::order]:
            peer.up(connection)
        assert peer.best is connections[best]


def test_the_other_link_takes_over() -> None:
    peer = Peer(C)
    first, second = up(peer, Connected(1)), up(peer, Connected(2))
    gone(peer, first)
    assert (peer.best, peer.state) == (second, State.UP)
    gone(peer, second)
    assert peer.state is State.DOWN


def test_a_link_that_is_lost_makes_calls_fail_at_once_and_says_why() -> None:
    peer = Peer(C)
    connection = up(peer, Connected())
    gone(peer, connection, "it said nothing for 4.0 s")
    assert peer.state is State.DOWN and not peer.connections
    assert isinstance(peer.refusal, PeerUnreachable)
    assert "it said nothing for 4.0 s" in peer.refusal.message
    assert peer.failures == 1


def test_a_link_that_was_left_is_no_failure() -> None:
    peer = Peer(C)
    connection = up(peer, Connected())
    connection.link.has_parted = True
    peer.choose()
    assert (peer.state, peer.best) == (State.IDLE, None)
    gone(peer, connection)
    assert (peer.state, peer.failures) == (State.IDLE, 0)


def test_those_who_wait_are_told_that_it_cannot_be_reached() -> None:
    peer = Peer(C)
    peer.state = State.CONNECTING
    told = waiting(peer)
    peer.fail("it does not answer")
    assert told.error is peer.refusal
    assert told.error.delivered == "no"
    assert peer.line is None and peer.state is State.DOWN
    peer.rest()
    assert (peer.state, peer.failures) == (State.IDLE, 0)


def test_a_link_that_is_up_is_not_put_to_rest() -> None:
    peer = Peer(C)
    up(peer, Connected())
    peer.rest()
    assert peer.state is State.UP


def test_pauses_grow_to_a_bound_and_are_never_the_same_for_all() -> None:
    for failures, longest_s in [(0, 0.1), (1, 0.2), (3, 0.8), (10, 30.0), (1000, 30.0)]:
        pauses = [pause_s(failures, 30.0) for _ in range(50)]
        assert all(longest_s / 2 <= one <= longest_s for one in pauses)
        assert len(set(pauses)) > 1


def test_a_link_that_comes_up_ends_all_failures() -> None:
    peer = Peer(C)
    peer.fail("it does not answer")
    peer.fail("it does not answer")
    assert peer.failures == 2
    up(peer, Connected())
    assert (peer.failures, peer.state) == (0, State.UP)


def test_a_node_is_forgotten_that_nobody_knows_or_has_to_do_with() -> None:
    nobody, somebody = FakeDirectory(), FakeDirectory(C)
    directories: list[Any] = [nobody, somebody]
    peer = Peer(C)
    assert [peer.is_forgotten(directory) for directory in directories] == [True, False]
    peer.state = State.CONNECTING
    assert not peer.is_forgotten(directories[0])
    peer.state = State.DOWN
    waiting(peer)
    assert not peer.is_forgotten(directories[0])
    peer.fail("it does not answer")
    connection = up(peer, Connected())
    assert not peer.is_forgotten(directories[0])
    gone(peer, connection)
    assert peer.is_forgotten(directories[0])
