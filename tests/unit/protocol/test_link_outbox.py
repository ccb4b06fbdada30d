"""What waits to be written to a link: in which order it goes, what is dropped, how much it is."""

from __future__ import annotations

import pytest

from lambdamesh.protocol.link_frames import FRAME_BYTES, HEAD_BYTES, PIECE_BYTES, Kind, frame
from lambdamesh.protocol.link_outbox import Outbox
from tests.unit.protocol.linked import MIB, ROOM_BYTES, frames

PART_HEAD_BYTES = HEAD_BYTES + 4


class Writer:
    """An outbox, and what was taken out of it."""

    def __init__(self) -> None:
        self.wakes = 0
        self.outbox = Outbox(self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def take(self, room_bytes: int = ROOM_BYTES) -> list[tuple[int, int, int]]:
        """Take once: kind, number and size of the payload of each frame."""
        return [(kind, number, len(payload)) for kind, number, payload in frames(self.outbox.take(room_bytes))]

    def take_all(self) -> list[tuple[int, int, bytes]]:
        text = b""
        while chunk := self.outbox.take(ROOM_BYTES):
            text += chunk
        return frames(text)

    def long(self, number: int, size_bytes: int = 3 * PIECE_BYTES, kind: Kind = Kind.CALL) -> bytes:
        """Add a long frame of an exchange of this side; return it."""
        text = frame(kind, number, b"x" * (size_bytes - HEAD_BYTES))
        self.outbox.put_of(True, number, text)
        return text


def whole(pieces: list[tuple[int, int, bytes]]) -> dict[int, bytes]:
    """Put the pieces of long frames together, by transfer."""
    texts: dict[int, bytes] = {}
    for kind, number, payload in pieces:
        if kind == Kind.PART:
            texts[number] = texts.get(number, b"") + payload[4:]
    return texts


def test_short_frames_go_together_and_in_order() -> None:
    writer = Writer()
    for number in range(5):
        writer.outbox.put_of(True, number, frame(Kind.RESULT, number, b"1"))
    assert writer.wakes == 1
    assert [number for _, number, _ in writer.take()] == [0, 1, 2, 3, 4]
    assert writer.outbox.size_bytes == 0
    assert writer.take() == []
    writer.outbox.put(frame(Kind.PING, 9))
    assert writer.wakes == 2


@pytest.mark.parametrize(
    ("size_bytes", "pieces"),
    [(FRAME_BYTES, 0), (FRAME_BYTES + 1, 2), (2 * PIECE_BYTES, 2), (2 * PIECE_BYTES + 1, 3), (10 * PIECE_BYTES, 10)],
)
def test_a_long_frame_is_cut_into_pieces_of_64_kib(size_bytes: int, pieces: int) -> None:
    writer = Writer()
    text = writer.long(1, size_bytes)
    assert writer.outbox.size_bytes == size_bytes
    taken = writer.take_all()
    if not pieces:
        assert [(kind, number) for kind, number, _ in taken] == [(Kind.CALL, 1)]
        return
    assert [len(payload) - 4 for _, _, payload in taken[:-1]] == [PIECE_BYTES] * (pieces - 1)
    assert {kind for kind, _, _ in taken} == {Kind.PART}
    assert {payload[:4] for _, _, payload in taken} == {size_bytes.to_bytes(4, "big")}
    assert whole(taken) == {1: text}
    assert writer.outbox.size_bytes == 0
    assert not writer.outbox.has_more


def test_a_short_call_passes_between_the_pieces_of_a_long_one() -> None:
    writer = Writer()
    writer.long(1, 16 * MIB)
    writer.take()
    writer.outbox.put_of(True, 2, frame(Kind.CALL, 2, b"x" * 100))
    first = writer.take()[0]
    assert (first[0], first[1]) == (Kind.CALL, 2)
    assert writer.outbox.has_more


def test_no_more_begins_than_there_is_room_for() -> None:
    writer = Writer()
    writer.long(1, 16 * MIB)
    for room_bytes, pieces in [(0, 0), (-5, 0), (1, 1), (PIECE_BYTES, 1), (PIECE_BYTES + 20, 2), (3 * PIECE_BYTES, 3)]:
        assert len(writer.take(room_bytes)) == pieces


def test_a_short_frame_goes_whether_or_not_there_is_room() -> None:
    writer = Writer()
    writer.long(1)
    writer.outbox.put(frame(Kind.PING, 1))
    assert [kind for kind, _, _ in writer.take(-1)] == [Kind.PING]


def test_long_frames_take_turns() -> None:
    writer = Writer()
    texts = [writer.long(number, (number + 2) * PIECE_BYTES) for number in (1, 2, 3)]
    taken = writer.take_all()
    assert [number for _, number, _ in taken] == [1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3, 3]
    assert list(whole(taken).values()) == texts


def test_order_inside_of_one_exchange_is_kept_whatever_is_long() -> None:
    writer = Writer()
    values = [b"1", b"2" * 2 * FRAME_BYTES, b"3", b"4" * 2 * FRAME_BYTES, b"5"]
    texts = [frame(Kind.ITEM, 1, value) for value in values] + [frame(Kind.RESULT, 1, b"6")]
    for text in texts:
        writer.outbox.put_of(False, 1, text)
    # The same number of the other side's is another exchange.
    writer.outbox.put_of(True, 1, frame(Kind.CREDIT, 1, b"\0\0\0\1"))
    assert writer.outbox.size_bytes == sum(map(len, texts)) + HEAD_BYTES + 4
    taken = writer.take_all()
    order = [bytes(payload[-1:]) for kind, _, payload in taken if kind != Kind.CREDIT]
    assert sorted(order) == order
    assert [kind for kind, _, _ in taken].index(Kind.CREDIT) == 1
    assert [kind for kind, _, _ in taken][-2:] == [Kind.ITEM, Kind.RESULT]
    assert writer.outbox.size_bytes == 0


@pytest.mark.parametrize("taken_pieces", [0, 1, 2])
def test_a_frame_that_was_sent_in_part_is_dropped_with_all_that_is_behind_it(taken_pieces: int) -> None:
    writer = Writer()
    writer.long(1)
    writer.outbox.put_of(True, 1, frame(Kind.CREDIT, 1, b"\0\0\0\1"))
    other = writer.long(2)
    for _ in range(taken_pieces):
        writer.take(1)
    assert writer.outbox.is_unsent(True, 1)
    assert writer.outbox.drop(True, 1)
    assert not writer.outbox.is_unsent(True, 1)
    assert not writer.outbox.drop(True, 1)
    left = writer.take_all()
    assert [payload for kind, number, payload in left if number == 1] == ([b"\0\0\0\0"] if taken_pieces else [])
    begun_bytes = PIECE_BYTES if taken_pieces == 2 else 0
    assert len(whole(left)[2]) == len(other) - begun_bytes
    assert writer.outbox.size_bytes == 0


def test_what_was_sent_whole_is_not_dropped() -> None:
    writer = Writer()
    writer.long(1)
    writer.take_all()
    assert not writer.outbox.is_unsent(True, 1)
    assert not writer.outbox.drop(True, 1)
    assert writer.take_all() == []


def test_a_word_is_not_overtaken_by_what_is_behind_it() -> None:
    writer = Writer()
    word = frame(Kind.TELL, 0, b"w" * 5 * PIECE_BYTES)
    writer.long(1)
    writer.outbox.put_whole(word)
    writer.outbox.put_of(True, 2, frame(Kind.CALL, 2, b"x"))
    assert writer.outbox.size_bytes == len(word) + 6 * PART_HEAD_BYTES + 3 * PIECE_BYTES + HEAD_BYTES + 1
    taken = frames(writer.outbox.take(0))
    assert [kind for kind, _, _ in taken] == [Kind.PART] * 6 + [Kind.CALL]
    assert list(whole(taken).values()) == [word]
    assert len({number for _, number, _ in taken[:6]}) == 1
    assert len(whole(writer.take_all())) == 1
    assert writer.outbox.size_bytes == 0


def test_a_short_word_is_one_frame() -> None:
    writer = Writer()
    writer.outbox.put_whole(frame(Kind.TELL, 0, b"w"))
    assert writer.take() == [(Kind.TELL, 0, 1)]


def test_it_wakes_once_for_all_that_comes_before_it_is_taken() -> None:
    writer = Writer()
    writer.long(1)
    writer.long(2)
    writer.outbox.put(frame(Kind.PING, 1))
    assert writer.wakes == 1
    writer.take(1)
    writer.long(3)
    assert writer.wakes == 2


def test_what_is_over_holds_nothing() -> None:
    writer = Writer()
    writer.long(1)
    writer.outbox.put_of(True, 1, frame(Kind.CREDIT, 1, b"\0\0\0\1"))
    writer.outbox.put(frame(Kind.PING, 1))
    writer.take(1)
    writer.outbox.clear()
    assert (writer.outbox.size_bytes, writer.outbox.has_more, writer.take()) == (0, False, [])


def test_transfers_are_numbered_anew_behind_the_greatest() -> None:
    writer = Writer()
    writer.outbox._number = 0xFFFF_FFFE
    writer.long(1)
    writer.long(2)
    assert {number for _, number, _ in writer.take_all()} == {0xFFFF_FFFF, 1}


def test_what_goes_last_waits_for_all_that_was_on_its_way() -> None:
    writer = Writer()
    writer.long(1, 3 * PIECE_BYTES)
    writer.long(2, 2 * PIECE_BYTES)
    last = frame(Kind.ASK, 9, b"last")
    writer.outbox.put_last(True, 9, last)
    writer.long(3, 20 * PIECE_BYTES)
    writer.outbox.put_of(True, 4, frame(Kind.CALL, 4, b"short"))
    taken = [(kind, number) for kind, number, _ in writer.take_all()]
    at = taken.index((Kind.ASK, 9))
    assert [number for kind, number in taken[:at] if kind == Kind.PART].count(1) == 3
    assert [number for kind, number in taken[:at] if kind == Kind.PART].count(2) == 2
    assert (Kind.PART, 3) in taken[at:]
    assert taken[0] == (Kind.CALL, 4)
    assert writer.outbox.size_bytes == 0


def test_what_goes_last_goes_at_once_where_nothing_is_on_its_way() -> None:
    writer = Writer()
    writer.outbox.put_last(True, 9, frame(Kind.ASK, 9))
    assert [(kind, number) for kind, number, _ in writer.take()] == [(Kind.ASK, 9)]


def test_what_goes_last_does_not_wait_for_what_is_dropped() -> None:
    writer = Writer()
    writer.long(1, 3 * PIECE_BYTES)
    writer.outbox.put_last(True, 9, frame(Kind.ASK, 9))
    assert writer.outbox.is_unsent(True, 9)
    assert writer.outbox.drop(True, 1)
    assert (Kind.ASK, 9) in [(kind, number) for kind, number, _ in writer.take_all()]
    assert writer.outbox.size_bytes == 0


def test_what_goes_last_may_be_dropped_before_it_went() -> None:
    writer = Writer()
    writer.long(1, 3 * PIECE_BYTES)
    writer.outbox.put_last(True, 9, frame(Kind.ASK, 9))
    assert writer.outbox.drop(True, 9)
    assert {kind for kind, _, _ in writer.take_all()} == {Kind.PART}
    assert writer.outbox.size_bytes == 0
