"""Keys that re-open a lambda, checked without stored state."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from lambdamesh.access.resume_keys import ResumeKeys
from tests.unit.fakes import TEXT, an_id

NODE_KEY = bytes(range(32))
TTL_S = 86_400
NOW_S = 1_711_843_200.5


def keys(node_key: bytes = NODE_KEY, door: str = "local") -> ResumeKeys:
    return ResumeKeys(node_key, door, TTL_S)


KEY = keys().mint(TEXT, NOW_S)


def changed(position: int) -> bytes:
    raw = bytearray(urlsafe_b64decode(KEY + b"=="))
    raw[position] ^= 1
    return urlsafe_b64encode(raw).rstrip(b"=")


def test_a_key_is_base64url_of_version_expiry_and_16_bytes() -> None:
    assert re.fullmatch(rb"[A-Za-z0-9_-]{30}", KEY)
    raw = urlsafe_b64decode(KEY + b"==")
    assert raw[0] == 1
    assert int.from_bytes(raw[1:6], "big") == int(NOW_S + TTL_S)


@pytest.mark.parametrize(("after_s", "verdict"), [(0, True), (TTL_S - 2, True), (TTL_S, False), (10 * TTL_S, False)])
def test_it_is_right_until_it_expires(after_s: float, verdict: bool) -> None:
    assert keys().is_right(KEY, TEXT, NOW_S + after_s) is verdict


@pytest.mark.parametrize(
    "other",
    [
        keys(door="public").mint(TEXT, NOW_S),
        keys(node_key=bytes(32)).mint(TEXT, NOW_S),
        keys().mint(an_id(2), NOW_S),
        *(changed(position) for position in (0, 1, 5, 6, 21)),
        b"",
        KEY[:-1],
        KEY + b"A",
        KEY + b"=",
        KEY + b"==",
        KEY + b"\n",
        b" " + KEY,
        KEY[:10] + b"!" + KEY[10:],
        KEY[:-1] + b"_",
        b"\xff" * 30,
        b"A" * 4096,
    ],
    ids=lambda other: repr(other[-12:]),
)
def test_anything_else_is_wrong(other: bytes) -> None:
    assert not keys().is_right(other, TEXT, NOW_S)


def test_it_outlives_a_restart() -> None:
    assert keys(bytes(NODE_KEY)).is_right(KEY, TEXT, NOW_S)


def test_a_later_key_does_not_void_an_earlier_one() -> None:
    later = keys().mint(TEXT, NOW_S + 60)
    assert later != KEY
    assert keys().is_right(KEY, TEXT, NOW_S + 60)
    assert keys().is_right(later, TEXT, NOW_S + 60)
