"""A stream of JSON objects, cut into values."""

from __future__ import annotations

import time

import pytest

from lambdamesh.protocol.scanner import ScanError, Scanner, ScanOverflow


def scan(scanner: Scanner, *pieces: bytes) -> list[bytes]:
    return [value for piece in pieces for value in scanner.feed(piece)]


TRICKY = b'{"a":"}]{[\\"\\\\","b":[{"c":"\\\\\\""}],"d":"\\ud800"}'


@pytest.mark.parametrize(
    ("pieces", "values"),
    [
        ([b"{}"], [b"{}"]),
        ([b" \r\n\t{}\n"], [b"{}"]),
        ([b'{"a":1}{"b":2} {"c":3}'], [b'{"a":1}', b'{"b":2}', b'{"c":3}']),
        ([b'{"a"', b":1", b"}"], [b'{"a":1}']),
        ([b'{"a":1}{"b"', b":2}"], [b'{"a":1}', b'{"b":2}']),
        ([b'{"a":"\\', b'""}'], [b'{"a":"\\""}']),
        ([b'{"a":"\\\\', b'"}'], [b'{"a":"\\\\"}']),
        ([TRICKY], [TRICKY]),
        ([TRICKY[:index] for index in (9,)] + [TRICKY[9:] + TRICKY], [TRICKY, TRICKY]),
        ([b"", b" ", b"", b"{}", b""], [b"{}"]),
        ([b'{"a":"\xff"}'], [b'{"a":"\xff"}']),
    ],
)
def test_values_as_they_are_completed(pieces: list[bytes], values: list[bytes]) -> None:
    scanner = Scanner(1000)
    assert scan(scanner, *pieces) == values
    assert scanner.pending_bytes == 0


def test_byte_by_byte() -> None:
    stream = TRICKY + b"  " + TRICKY
    assert scan(Scanner(1000), *(bytes((byte,)) for byte in stream)) == [TRICKY, TRICKY]


def test_what_is_unfinished_is_held() -> None:
    scanner = Scanner(1000)
    assert scan(scanner, b' {}{"a":') == [b"{}"]
    assert scanner.pending_bytes == len(b'{"a":')


@pytest.mark.parametrize("stream", [b"[]", b"1", b"x{}", b"{}x", b"{} ,{}", b"}", b"\x00{}", b"\xef\xbb\xbf{}", b'""'])
def test_only_an_object_may_begin(stream: bytes) -> None:
    with pytest.raises(ScanError):
        scan(Scanner(1000), stream)


def test_values_before_what_is_no_object_come_out() -> None:
    feed = Scanner(1000).feed(b"{}{} [")
    assert [next(feed), next(feed)] == [b"{}", b"{}"]
    with pytest.raises(ScanError):
        next(feed)


@pytest.mark.parametrize("pieces", [[b'{"a":"123"}'], [b'{"a":"', b'123"}'], [b'{"a":"12345']])
def test_a_value_over_the_limit(pieces: list[bytes]) -> None:
    with pytest.raises(ScanOverflow):
        scan(Scanner(10), *pieces)


def test_the_limit_is_of_one_value_not_of_a_message() -> None:
    value = b'{"a":"12"}'
    assert scan(Scanner(len(value)), value * 5 + b" " * 50) == [value] * 5


def test_white_space_between_values_is_not_held() -> None:
    scanner = Scanner(10)
    assert scan(scanner, b" " * 1000, b"{}") == [b"{}"]


# -- values longer than what is looked at in one go --------------------------------------------------------------

BLOCK_BYTES = 16 * 1024


def stuffed(member: bytes, size_bytes: int) -> bytes:
    """An object of about that size made of one member again and again."""
    return b'{"a":[' + b",".join([member] * (size_bytes // (len(member) + 1) + 1)) + b"]}"


MEMBERS = [
    b'"}]{["',
    b'"\\""',
    b'"\\\\"',
    b'"\\\\\\""',
    b'{"b":"}"}',
    b"[[[]]]",
    b'"' + b"\\\\" * 300 + b'"',
    b'"' + b"}" * 300 + b'"',
    b'"' + b"x" * (BLOCK_BYTES + 7) + b'\\""',
    b"1234567",
]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: repr(member[:12]))
@pytest.mark.parametrize("lead_bytes", [*range(8), BLOCK_BYTES - 1, BLOCK_BYTES])
def test_blocks_may_end_anywhere(member: bytes, lead_bytes: int) -> None:
    value = b'{"' + b"k" * lead_bytes + b'":' + stuffed(member, 3 * BLOCK_BYTES) + b"}"
    stream = value + b"{}" + value
    assert scan(Scanner(len(value)), stream) == [value, b"{}", value]
    half = len(stream) // 2 + lead_bytes
    assert scan(Scanner(len(value)), stream[:half], stream[half:]) == [value, b"{}", value]


@pytest.mark.parametrize("cut_at", range(1, 60, 3))
def test_pieces_may_end_inside_of_strings_and_escapes_of_long_values(cut_at: int) -> None:
    value = stuffed(b'"a\\\\\\"}]"', 2 * BLOCK_BYTES)
    step = 1000 + cut_at
    pieces = [value[begin : begin + step] for begin in range(0, len(value), step)]
    assert scan(Scanner(len(value)), *pieces, b"{}") == [value, b"{}"]


@pytest.mark.parametrize("tail", [b"]", b"x", b"}", b"[]"])
def test_what_is_no_object_behind_a_long_value_is_found(tail: bytes) -> None:
    value = stuffed(b'"}]{["', 2 * BLOCK_BYTES)
    feed = Scanner(len(value)).feed(value + tail)
    assert next(feed) == value
    with pytest.raises(ScanError):
        next(feed)


def test_a_long_value_over_the_limit_is_not_waited_for() -> None:
    scanner = Scanner(2 * BLOCK_BYTES)
    with pytest.raises(ScanOverflow):
        scan(scanner, *[b'{"a":"' + b"x" * BLOCK_BYTES] * 3)


AWKWARD = [
    pytest.param(b'"' + b'\\"' * 8100 + b"x" * 400 + b'",', id="escapes that end behind a block"),
    pytest.param(b'"' + b'\\"' * 4000 + b"x" * 8600 + b'",', id="escapes that end inside of one"),
    pytest.param(b'"' + b"\\\\" * 8200 + b'",', id="backslashes"),
    pytest.param(b'"x",', id="short strings"),
    pytest.param(b'"\\"",', id="quotes of which every other is escaped"),
    pytest.param(b'"}{][",', id="brackets in strings"),
    pytest.param(b"[[[]]],", id="lists"),
    pytest.param(b"{},", id="empty objects"),
    pytest.param(b"[{" * 200 + b"}]" * 200 + b",", id="deep ones"),
]


@pytest.mark.parametrize("unit", AWKWARD)
def test_time_is_in_proportion_to_length(unit: bytes) -> None:
    """64 KiB take a few milliseconds, whatever they hold."""
    value = b'{"a":[' + unit * (4 * BLOCK_BYTES // len(unit)) + b"1]}"
    began_at = time.process_time()
    assert scan(Scanner(len(value)), value) == [value]
    assert time.process_time() - began_at < 0.5


@pytest.mark.parametrize("value", [b"{}", b'{"id":99,"result":1}', b'{"a":[' + b"{}," * 100 + b"1]}"])
def test_a_short_value_costs_no_more_than_its_length(value: bytes) -> None:
    """Whatever comes behind it in the same piece."""
    feed = Scanner(len(value)).feed(value * (64 * BLOCK_BYTES // len(value)))
    began_at = time.process_time()
    assert [next(feed) for _ in range(500)] == [value] * 500
    assert time.process_time() - began_at < 0.3
