"""What a request target means."""

from __future__ import annotations

import json

import pytest

from lambdamesh.door.targets import checked_method, flag, method_name, parse_target, quoted_method, seconds
from lambdamesh.errors import BadRequest


@pytest.mark.parametrize(
    ("target", "segments", "query"),
    [
        (b"/", (b"",), {}),
        (b"/ping", (b"ping",), {}),
        (b"/ping/", (b"ping", b""), {}),
        (b"//ping", (b"", b"ping"), {}),
        (b"/lambda/a%2Fb/c", (b"lambda", b"a%2Fb", b"c"), {}),
        (b"/a?b=1&c&d=&b=2", (b"a",), {"b": "2", "c": "", "d": ""}),
        (b"/a?b=%C3%A9+%26", (b"a",), {"b": "é &"}),
        (b"/a?b=/x?y", (b"a",), {"b": "/x?y"}),
        (b"/a?", (b"a",), {}),
    ],
)
def test_a_target_taken_apart(target: bytes, segments: tuple[bytes, ...], query: dict[str, str]) -> None:
    assert parse_target(target) == (segments, query)


@pytest.mark.parametrize("query", [b"a=\xc3\xa9", b"a=%FF", b"%E9=1", b"&".join([b"a=1"] * 101)])
def test_a_query_that_cannot_be_read(query: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_target(b"/a?" + query)


@pytest.mark.parametrize("target", [b"", b"*", b"ping", b"junk/ping", b"http://localhost/ping", b"?a=b", b" /ping"])
def test_a_target_is_a_path(target: bytes) -> None:
    with pytest.raises(BadRequest, match="path"):
        parse_target(target)


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        (b"test", "test"),
        (b"a%20b%2Fc", "a b/c"),
        (b"%C3%A9", "é"),
        ("é".encode(), "é"),
        (b"a+b", "a+b"),
        (b"opened", "opened"),
        (b"Open", "Open"),
        (b"$a", "$a"),
        (b"a%22%5C", 'a"\\'),
        (b"x" * 256, "x" * 256),
        (b"%F0%9F%98%80" * 64, "\U0001f600" * 64),
    ],
)
def test_methods(segment: bytes, name: str) -> None:
    assert method_name(segment) == name
    assert checked_method(name) == name
    assert json.loads(quoted_method(segment)) == name


@pytest.mark.parametrize(
    "segment",
    [
        b"",
        b"x" * 257,
        "é".encode() * 129,
        b"%FF",
        b"\xff",
        b"%C3",
        b"%ED%A0%80",
        b"a%00",
        b"a%0A",
        b"a%7F",
        b"%C2%80",
        b"open",
        b"o%70en",
        b"$/ping",
        b"%24%2Fping",
        b"$%2F",
        b"%",
        b"%2",
        b"%zz",
        b"a%2",
    ],
)
def test_what_is_no_method(segment: bytes) -> None:
    with pytest.raises(BadRequest):
        quoted_method(segment)


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("60", 60.0), ("0", 0.0)])
def test_seconds(text: str, value: float) -> None:
    assert seconds(text, 60, "timeout") == value


@pytest.mark.parametrize("text", ["", "x", "1s", "-1", "60.1", "nan", "inf", "-inf", "1,5", "1_0"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(BadRequest, match="timeout"):
        seconds(text, 60, "timeout")


@pytest.mark.parametrize(
    ("query", "is_on"),
    [
        ({}, False),
        ({"pretty": ""}, True),
        ({"pretty": "1"}, True),
        ({"pretty": "0"}, False),
        ({"pretty": "False"}, False),
        ({"pretty": "no"}, False),
        ({"other": ""}, False),
    ],
)
def test_flags(query: dict[str, str], is_on: bool) -> None:
    assert flag(query, "pretty") is is_on
