"""Long frames that come in pieces: put together, refused, forgotten; and the room that they take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdamesh.core.budget import Budget
from lambdamesh.protocol.link_arrivals import Arrivals
from lambdamesh.protocol.link_frames import BadFrame, Kind, frame

MOST_BYTES = 1000
ROOM_BYTES = 1500


class Reader:
    """What arrives, and what was refused: kind, number, whether it was too long."""

    def __init__(self, most: int = 4) -> None:
        self.budget = Budget(ROOM_BYTES)
        self.refused: list[tuple[int, int, bool]] = []
        self.arrivals = Arrivals(MOST_BYTES, most, self.budget.reserve, self.budget.release, self._refused)

    def _refused(self, kind: int, number: int, is_long: bool) -> None:
        self.refused.append((kind, number, is_long))

    def read(self, transfer: int, text: bytes, piece_bytes: int = 100) -> list[bytes | None]:
        return [self.arrivals.piece(transfer, len(text), piece) for piece in cut(text, piece_bytes)]


def cut(text: bytes, piece_bytes: int = 100) -> Iterator[bytes]:
    return (text[at : at + piece_bytes] for at in range(0, len(text), piece_bytes))


def a_frame(number: int = 1, size_bytes: int = 400, kind: Kind = Kind.CALL) -> bytes:
    return frame(kind, number, bytes(range(256))[: size_bytes % 256] + b"y" * (size_bytes - size_bytes % 256 - 9))


@pytest.mark.parametrize("piece_bytes", [9, 10, 100, 399, 400, 5000])
def test_pieces_are_put_together(piece_bytes: int) -> None:
    reader, text = Reader(), a_frame()
    *before, last = reader.read(7, text, piece_bytes)
    assert before == [None] * len(before)
    assert last == text
    assert len(reader.arrivals) == 0
    assert reader.budget.used_bytes == 0


def test_frames_come_side_by_side() -> None:
    reader, one, other = Reader(), a_frame(1), a_frame(2, 500)
    outcome: dict[int, bytes] = {}
    turns = {1: (one, cut(one)), 2: (other, cut(other))}
    for transfer in (1, 2, 1, 2, 1, 2, 1, 2, 2):
        text, pieces = turns[transfer]
        whole = reader.arrivals.piece(transfer, len(text), next(pieces))
        if whole is not None:
            outcome[transfer] = whole
    assert outcome == {1: one, 2: other}


def test_room_is_taken_with_the_first_piece_and_given_back_with_the_last() -> None:
    reader, text = Reader(), a_frame()
    pieces = cut(text)
    for _ in range(3):
        reader.arrivals.piece(1, 400, next(pieces))
        assert reader.budget.used_bytes == 400
    reader.arrivals.piece(1, 400, next(pieces))
    assert reader.budget.used_bytes == 0


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.RESULT])
def test_what_finds_no_room_is_thrown_away_and_the_rest_goes_on(kind: Kind) -> None:
    reader = Reader()
    first, second = a_frame(1, 800), a_frame(2, 800, kind)
    reader.arrivals.piece(1, 800, first[:500])
    assert reader.read(2, second) == [None] * 8
    assert reader.refused == [(kind, 2, False)]
    assert reader.arrivals.piece(1, 800, first[500:]) == first
    assert reader.budget.used_bytes == 0
    assert reader.read(3, second)[-1] == second


def test_a_word_finds_room_always() -> None:
    reader = Reader()
    reader.budget.reserve(ROOM_BYTES)
    word = a_frame(0, 900, Kind.TELL)
    assert reader.read(1, word)[-1] == word
    assert reader.refused == []
    assert reader.budget.used_bytes == ROOM_BYTES
    reader.read(2, word[:500] + word[500:], 500)
    reader.arrivals.piece(3, 900, word[:500])
    reader.arrivals.clear()
    assert reader.budget.used_bytes == ROOM_BYTES


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.TELL])
def test_what_is_too_long_is_thrown_away(kind: Kind) -> None:
    reader = Reader()
    assert reader.read(1, a_frame(5, MOST_BYTES + 1, kind)) == [None] * 11
    assert reader.refused == [(kind, 5, True)]
    assert (len(reader.arrivals), reader.budget.used_bytes) == (0, 0)
    assert reader.read(1, a_frame(5, MOST_BYTES, kind))[-1] is not None


def test_what_is_dropped_is_forgotten() -> None:
    reader, text = Reader(), a_frame()
    reader.arrivals.piece(1, 400, text[:100])
    assert reader.arrivals.piece(1, 0, b"") is None
    assert reader.arrivals.piece(2, 0, b"") is None
    assert (len(reader.arrivals), reader.budget.used_bytes) == (0, 0)
    assert reader.read(1, text)[-1] == text


def test_what_was_refused_can_be_dropped_too() -> None:
    reader = Reader()
    reader.arrivals.piece(1, 5000, a_frame(1, 5000)[:100])
    reader.arrivals.piece(1, 0, b"")
    assert (len(reader.arrivals), reader.budget.used_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("total_bytes", "piece"),
    [(401, b"x"), (399, b"x"), (400, b"x" * 301)],
    ids=["longer than it said", "shorter than it said", "more than it said"],
)
def test_a_piece_that_does_not_fit_is_an_end(total_bytes: int, piece: bytes) -> None:
    reader = Reader()
    reader.arrivals.piece(1, 400, a_frame()[:100])
    with pytest.raises(BadFrame, match="fit"):
        reader.arrivals.piece(1, total_bytes, piece)


@pytest.mark.parametrize("piece", [b"", b"12345678"])
def test_a_first_piece_without_a_head_is_an_end(piece: bytes) -> None:
    with pytest.raises(BadFrame, match="head"):
        Reader().arrivals.piece(1, 400, piece)


def test_no_more_come_side_by_side_than_may() -> None:
    reader = Reader(most=2)
    for transfer in (1, 2):
        reader.arrivals.piece(transfer, 400, a_frame()[:100])
    with pytest.raises(BadFrame, match="too many"):
        reader.arrivals.piece(3, 400, a_frame()[:100])


def test_what_is_over_holds_nothing() -> None:
    reader = Reader()
    for transfer in (1, 2, 3):
        reader.arrivals.piece(transfer, 600, a_frame(transfer, 600)[:100])
    assert reader.budget.used_bytes == 1200
    reader.arrivals.clear()
    assert (len(reader.arrivals), reader.budget.used_bytes) == (0, 0)
