"""``is_json`` agrees with a strict reader on anything that looks like JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st

from lambdamesh.protocol.json_text import SurrogatesAside, is_json, is_shallow, pretty, quoted
from tests.property.streams import values

WORDS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b",",
    b'"',
    b" ",
    b"\n",
    b"\t",
    b"\x0b",
    b"0",
    b"1",
    b"-",
    b"+",
    b".",
    b"e",
    b"E",
]
WORDS += [
    b"null",
    b"true",
    b"false",
    b"NaN",
    b"Infinity",
    b"\\",
    b"/",
    b"u",
    b"\\u00e9",
    b"\\ud800",
    b"\\uDC00",
    b"\\u",
]
WORDS += [
    b'""',
    b'"a"',
    b'"a":',
    b"[]",
    b"{}",
    b"\xc3\xa9",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xff",
    b"\x00",
    b"\x1f",
    b"\x7f",
]
WORDS += [b"\xef\xbb\xbf", b"\\ue000", b"\\ue0010"]


def deepest(text: bytes) -> int:
    """How many arrays and objects lie in one another in JSON text."""
    level = most = 0
    in_string = escaped = False
    for byte in text.decode():
        if in_string:
            in_string = escaped or byte != '"'
            escaped = byte == "\\" and not escaped
        elif byte == '"':
            in_string = True
        else:
            level += (byte in "[{") - (byte in "]}")
            most = max(most, level)
    return most


def is_json_by_the_book(text: bytes) -> bool:
    """RFC 8259 in UTF-8, without a byte order mark, at most 512 levels."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text.decode(), parse_constant=refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return deepest(text) <= 512


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(b"".join))
@settings(max_examples=1000)
def test_words_of_json_in_any_order(text: bytes) -> None:
    assert is_json(text) is is_json_by_the_book(text)


@given(
    values, st.booleans(), st.sampled_from([None, 1]), st.integers(0, 1 << 16), st.binary(max_size=2), st.integers(0, 2)
)
@settings(max_examples=300)
def test_json_with_a_wound(
    value: Any, ascii_only: bool, indent: int | None, at: int, wound: bytes, removed: int
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert is_json(text)
    at %= len(text) + 1
    wounded = text[:at] + wound + text[at + removed :]
    assert is_json(wounded) is is_json_by_the_book(wounded)


@given(
    st.lists(st.sampled_from([b"[", b'{"a":', b'{"[":']), min_size=1, max_size=4),
    st.integers(505, 520),
    st.sampled_from([b"1", b'"[["', b'"\\ud800"']),
)
def test_levels_are_counted(pattern: list[bytes], levels: int, inner: bytes) -> None:
    openings = [pattern[level % len(pattern)] for level in range(levels)]
    closings = b"".join(b"]" if opening == b"[" else b"}" for opening in reversed(openings))
    text = b"".join(openings) + inner + closings
    assert is_json(text) is is_shallow(text) is (levels <= 512)


strings = st.lists(
    st.sampled_from(
        [b"\\ud800", b"\\udfff", b"\\uD83D\\uDE00", b"\\\\", b"ud800", b"\\ue000", b"\\uE000", b"0", b"\\ue001", b"a"]
    )
    | st.just("\ue0000\ue001".encode()),
    max_size=8,
).map(lambda parts: b'"' + b"".join(parts) + b'"')


@given(st.lists(strings, min_size=1, max_size=4))
@settings(max_examples=200)
def test_surrogates_put_aside_come_back_in_each_part(parts: list[bytes]) -> None:
    aside = SurrogatesAside(b"[" + b",".join(parts) + b"]")
    assert [aside.restore(part) for part in aside.plain[1:-1].split(b",")] == parts
    json.loads(aside.plain)


@given(values, st.booleans())
def test_pretty_changes_white_space_only(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert json.loads(pretty(text)) == value
    assert pretty(text).split() == pretty(pretty(text)).split()


@given(st.lists(strings, max_size=4))
def test_pretty_keeps_what_it_cannot_read(parts: list[bytes]) -> None:
    indented = pretty(b"[" + b",".join(parts) + b"]")
    assert [line.strip(b" ,") for line in indented.splitlines()[1:-1]] == parts


@given(st.text(st.characters(codec="utf-8")))
def test_quoted_goes_round(text: str) -> None:
    assert is_json(quoted(text))
    assert json.loads(quoted(text)) == text
