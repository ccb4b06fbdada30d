"""Records of the ledger: what is written is what is read, also when its writer died in the middle."""

from __future__ import annotations

from pathlib import Path

from tests.faults import ledger
from tests.faults.ledger import CODES, OTHER, RECORD_BYTES, Delivered, Kind, Pen, Record, calls_in, parse, read

ID = "rhowRuuCUoE5vlcA"


def test_what_is_packed_is_parsed() -> None:
    for code in CODES:
        for delivered in Delivered:
            record = Record(Kind.ANSWERED, 3 << 40 | 7, 1.5, 2.5, ID, 3, code, delivered, False)
            assert list(parse(record.pack())) == [record]


def test_the_short_ways_write_the_same() -> None:
    number = 9
    pairs = [
        (
            ledger.sent(number, 1.0, 2.0, ID, 3),
            Record(Kind.SENT, number, 1.0, 2.0, ID, 3, is_sound=False, delivered=Delivered.NO),
        ),
        (
            ledger.answered(number, 1.0, "timeout", "unknown"),
            Record(Kind.ANSWERED, number, 1.0, code="timeout", delivered=Delivered.UNKNOWN),
        ),
        (
            ledger.answered(number, 1.0, "result", "yes", False),
            Record(Kind.ANSWERED, number, 1.0, delivered=Delivered.YES, is_sound=False),
        ),
    ]
    for raw, record in pairs:
        assert raw == record.pack()
    assert [record[:5] for record in parse(ledger.executed(number, 1.0, ID.encode()))] == [
        (Kind.EXECUTED, number, 1.0, 0.0, ID)
    ]
    [opened] = parse(ledger.opened(ID, 1.0, 2))
    assert (opened.kind, opened.lambda_id, opened.place) == (Kind.OPENED, ID, 2)
    [stalled] = parse(ledger.stalled(1.0, 2.0))
    assert (stalled.kind, stalled.at, stalled.until) == (Kind.STALLED, 1.0, 2.0)
    [stray] = parse(ledger.stray(number, 1.0))
    assert (stray.kind, stray.number) == (Kind.STRAY, number)


def test_words_that_nobody_knows_are_not_taken_for_others() -> None:
    [record] = parse(ledger.answered(1, 1.0, "a new word", "perhaps"))
    assert (record.code, record.delivered) == (OTHER, Delivered.ABSENT)
    [record] = parse(ledger.answered(1, 1.0, "timeout", ""))
    assert record.delivered == Delivered.ABSENT


def test_what_was_noted_is_in_the_file_once_it_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    pen = Pen(path)
    pen.note(ledger.sent(1, 1.0, 2.0, ID, 1))
    pen.note(ledger.answered(1, 1.5, "result", "yes"))
    assert list(read(path)) == []
    pen.flush()
    assert [record.kind for record in read(path)] == [Kind.SENT, Kind.ANSWERED]
    assert calls_in(path) == 1
    Pen(path).flush()
    assert calls_in(path) == 1
    assert calls_in(tmp_path / "nobody") == 0


def test_a_record_that_was_cut_off_is_left_out() -> None:
    raw = ledger.sent(1, 1.0, 2.0, ID, 1) + ledger.sent(2, 1.0, 2.0, ID, 1)
    for size in range(RECORD_BYTES, 2 * RECORD_BYTES):
        assert [record.number for record in parse(raw[:size])] == [1]
