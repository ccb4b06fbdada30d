"""A stream of JSON objects, cut into values."""

from __future__ import annotations

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
