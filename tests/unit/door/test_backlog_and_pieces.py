"""What piles up for one socket, and messages in several frames: both have bounds."""

from __future__ import annotations

from lambdamesh.core.backlog import Backlog
from lambdamesh.core.budget import Budget
from lambdamesh.core.limits import Limits
from lambdamesh.door.pieces import Pieces


def test_what_waits_counts_until_it_has_been_taken() -> None:
    budget = Budget(1000)
    backlog = Backlog(budget)
    assert backlog.hold(600)
    assert backlog.hold(400)  # it has counted as 600 already
    assert budget.used_bytes == 600
    assert backlog.hold(1000)
    assert budget.used_bytes == 1000
    backlog.release()
    backlog.release()
    assert budget.used_bytes == 0


def test_there_is_no_more_room_than_all_may_hold() -> None:
    budget = Budget(1000)
    assert budget.reserve(500)
    backlog = Backlog(budget)
    assert not backlog.hold(501)
    assert budget.used_bytes == 500
    assert backlog.hold(500)


def test_pieces_are_one_message() -> None:
    pieces = Pieces(is_text=True)
    for payload in (b"a", b"", b"bc"):
        pieces.add(payload)
    assert (pieces.whole(), pieces.size_bytes, pieces.is_text) == (b"abc", 3, True)


def test_pieces_have_a_limit_of_bytes_and_one_of_frames() -> None:
    limits = Limits(body_bytes=3, fragments=2)
    pieces = Pieces(is_text=False)
    pieces.add(b"ab")
    assert pieces.excess(limits) == ""
    pieces.add(b"c")
    assert pieces.excess(limits) == ""
    pieces.add(b"")
    assert pieces.excess(limits) == "a message is at most 2 frames"
    pieces.add(b"d")
    assert pieces.excess(limits) == "a message is at most 3 bytes"
