"""Verdicts on JSON text that is never decoded (RFC 8259)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambdamesh.protocol.json_text import SurrogatesAside, is_json, is_shallow, is_utf8, lenient, pretty, quoted


def nested(levels: int, inner: bytes = b"") -> bytes:
    return b"[" * levels + inner + b"]" * levels


def nested_objects(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


LEGAL = [
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"-1.5E+3",
    b"9" * 5000,
    b" \t\r\n1 \n",
    b'""',
    b'"\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9"',
    b'"\x7f"',
    '"é \U0001f600 \ufeff"'.encode(),
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b'"\\uDFFF\\ud800 \\ud83d\\ude00"',
    b'{"\\udc00":["\\\\ud800"]}',
    nested(512),
    nested_objects(512),
    nested(511, b'"' + b"[" * 600 + b'"'),
    nested(512, b'"\\ud800"'),
    b"\n" * 2000 + nested(512) + b" " * 2000,
    b"[" + b"[]," * 600 + b"[]]",
]

ILLEGAL = [
    b"",
    b"  ",
    b"nul",
    b"True",
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"01",
    b"-",
    b"1.",
    b".5",
    b"+1",
    b"1e",
    b"0x10",
    b"1 2",
    b"[1,]",
    b'{"a":1,}',
    b"{a:1}",
    b'{"a"}',
    b"[1",
    b'"a',
    b"'a'",
    b'"\x00"',
    b'"\x1f"',
    b'"\n"',
    b'"\\x41"',
    b'"\\u12"',
    b'"\\ud80"',
    b"\\ud800",
    b'"\\ud800',
    b'["\\ud800",]',
    b"\xef\xbb\xbf1",
    b"\x0b1",
    b"1\xc2\xa0",
    b'"\xff"',
    b'"\xc0\xaf"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xc3',
    b"// 1\n1",
    nested(513),
    nested_objects(513),
    nested(513, b'"\\ud800"'),
    b"[" * 600,
    nested(100_000),
    b"\n" * 2000 + nested(513) + b" " * 2000,
]


@pytest.mark.parametrize("text", LEGAL, ids=lambda text: repr(text[:40]))
def test_legal(text: bytes) -> None:
    assert is_json(text)


@pytest.mark.parametrize("text", ILLEGAL, ids=lambda text: repr(text[:40]))
def test_illegal(text: bytes) -> None:
    assert not is_json(text)


def test_levels_are_counted_alike_however_deep_the_stack_is() -> None:
    def from_below(frames: int, verdict: Callable[[], bool]) -> bool:
        return verdict() if frames == 0 else from_below(frames - 1, verdict)

    for frames in (0, 100, 250):
        assert from_below(frames, lambda: is_json(nested(512)))
        assert not from_below(frames, lambda: is_json(nested(513)))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [(nested(512), True), (nested(513), False), (b"[" + b"{}," * 5000 + b"{}]", True), (nested_objects(513), False)],
    ids=["512", "513", "wide", "513 objects"],
)
def test_is_shallow(text: bytes, verdict: bool) -> None:
    assert is_shallow(text) is verdict


@pytest.mark.parametrize(
    ("text", "verdict"), [(b"", True), ("é".encode(), True), (b"\xe9", False), (b"\xed\xa0\x80", False)]
)
def test_is_utf8(text: bytes, verdict: bool) -> None:
    assert is_utf8(text) is verdict


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"[Infinity]", [float("inf")]), (b'"\n"', "\n"), (b'{"id":1,"r":"\xff"}', {"id": 1, "r": "\ufffd"})],
)
def test_a_lenient_reader_takes_more(text: bytes, value: object) -> None:
    assert lenient(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", nested(100_000)], ids=["nothing", "open", "comma", "deep"])
def test_even_a_lenient_reader_does_not_take_everything(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever its text
        lenient(text)


@pytest.mark.parametrize(
    ("text", "indented"),
    [
        (b'{"b":1.0,"a":[1e400,"\\u00e9"]}', b'{\n  "b": 1.0,\n  "a": [\n    1e400,\n    "\\u00e9"\n  ]\n}'),
        (b'["\\ud800","\\\\ud800","\\ue000"]', b'[\n  "\\ud800",\n  "\\\\ud800",\n  "\\ue000"\n]'),
        (b'{"a":1,"a":12345678901234567890123}', b'{\n  "a": 1,\n  "a": 12345678901234567890123\n}'),
    ],
)
def test_pretty_changes_white_space_only(text: bytes, indented: bytes) -> None:
    assert pretty(text) == indented


@pytest.mark.parametrize(
    "text",
    [
        b'"\\ud800"',
        b'"\\uD83D\\uDE00 \\udc00"',
        b'"\\\\ud800 \\\\\\ud800"',
        b'"\\ue000 \\uE000 \\ue0000\\ue001 \\ud800"',
        b'["\\ue0001\\ue001","\\udfff"]',
        '"\ue0000\ue001\\ud800"'.encode(),
    ],
)
def test_surrogates_put_aside_come_back(text: bytes) -> None:
    aside = SurrogatesAside(text)
    assert is_json(aside.plain)
    assert aside.restore(aside.plain) == text


def test_a_part_cut_out_is_restored_on_its_own() -> None:
    aside = SurrogatesAside(b'["\\ud800","\\udfff"]')
    part = aside.plain[1:-1].split(b",")[1]
    assert aside.restore(part) == b'"\\udfff"'


@pytest.mark.parametrize("name", ['a"b', "a\\b", "é\n", "\U0001f600"])
def test_quoted_is_a_json_string(name: str) -> None:
    assert is_json(quoted(name))
    assert lenient(quoted(name)) == name
