"""Verdicts on JSON text that is passed on as bytes (RFC 8259), never decoded and encoded again.

The fast verdict is msgspec's. It refuses escaped lone surrogates, which are legal; it does not look at UTF-8, and it
takes more levels than a call may have. What it leaves open is decided here, at the speed of C as well.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate, count
from operator import sub
from typing import Any

import msgspec

MAX_DEPTH = 512
"""Arrays and objects that may lie in one another."""

SHALLOW_BYTES = 2 * MAX_DEPTH
"""Text of this length cannot be too deep."""

NULL = b"null"


class _Identified(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw(b"")


_parse = msgspec.json.Decoder(msgspec.Raw).decode
_decode_identified = msgspec.json.Decoder(_Identified).decode
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_ESCAPE = re.compile(rb"%b(?!%b)|(?<!%b)%b|\\u[eE]000" % (_HIGH, _LOW, _HIGH, _LOW))
_ASIDE_ESCAPE = re.compile(rb"%b|%b|\\u[eE]000" % (_HIGH, _LOW))
_MARK = re.compile(rb"\\ue000([0-9]+)\\ue001")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x02\x02\x00\x00")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONG_DIGITS = 20
_ASIDE_MOST = 1 << 16
"""Escapes that are put aside, one by one, in one text; with more, it counts as no JSON where it has to be parsed."""
_WORDS = re.compile(rb"-?\bInfinity\b|\bNaN\b")
_CONTROLS = bytes.maketrans(bytes(range(32)), b" " * 32)
_LARGEST = 1e18
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,17})\Z")
_PROBED_LEVELS = 1 << 16


def is_json(text: bytes) -> bool:
    """Whether ``text`` is one JSON value in UTF-8, at most ``MAX_DEPTH`` deep, and nothing else but white space."""
    if not text.isascii() and not is_utf8(text):
        return False
    try:
        _parse(text)
    except RecursionError:
        return False
    except msgspec.MsgspecError:
        if not _is_json_but_for_surrogates(text):
            return False
    return len(text) <= SHALLOW_BYTES or is_shallow(text)


def is_utf8(text: bytes) -> bool:
    """Whether ``text`` is valid UTF-8 (RFC 3629)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_shallow(text: bytes) -> bool:
    """Whether ``text``, which is JSON otherwise, is at most ``MAX_DEPTH`` deep."""
    if len(text) <= SHALLOW_BYTES or text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return True
    # The parser has a limit of its own, further away: wrapped in as many levels as bring it near, text that is too
    # deep runs into it. This costs one more pass in C where counting levels in Python would cost ten. The limit
    # depends on the depth of Python's own stack, so it is found anew, from here.
    low, high = 0, _PROBED_LEVELS
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(b"", middle):
            low = middle
        else:
            high = middle - 1
    return _fits(text, low - MAX_DEPTH) if low >= MAX_DEPTH else _depth(text) <= MAX_DEPTH


def lenient(text: bytes) -> Any:
    """Decode what a reader as lenient as Python's ``json`` takes: NaN, control characters, bad UTF-8.

    Raises:
        ValueError: not even that.
    """
    try:
        return json.loads(text.decode(errors="replace"), strict=False, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("too many levels") from None


def mended(text: bytes) -> bytes:
    """Return what ``lenient`` reads as text that a strict parser reads, in the time of a few copies.

    It is good for members whose place matters and not their content: what is outside of JSON has been replaced.
    """
    readable = text if text.isascii() or is_utf8(text) else text.decode(errors="replace").encode()
    return _WORDS.sub(b"null", _without_surrogates(readable).translate(_CONTROLS))


def id_of(text: bytes) -> bytes:
    """Return the member ``id`` of an object as JSON text, empty where it has none; the other members are not looked at.

    Raises:
        msgspec.MsgspecError, RecursionError: ``text`` is no object that a strict parser reads.
    """
    return bytes(_decode_identified(text).id)


def number_of(text: bytes) -> int | None:
    """Read a whole number as JSON writes it, ``1.0`` for 1 included; ``None`` for anything else."""
    if _NUMBER.match(text) is not None:
        return int(text)
    if len(text) > _LONG_DIGITS:
        return None
    try:
        value = msgspec.json.decode(text, type=float)
    except msgspec.MsgspecError:
        return None
    return int(value) if value.is_integer() and abs(value) < _LARGEST else None


def _parse_int(digits: str) -> int | str:
    # Python refuses to read thousands of digits, and nobody here counts with them.
    return int(digits) if len(digits) < _LONG_DIGITS else digits


def pretty(text: bytes) -> bytes:
    """Indent ``text``, which is valid JSON, by two spaces; nothing but white space changes."""
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.MsgspecError:
        aside = SurrogatesAside(text)
    try:
        return aside.restore(msgspec.json.format(aside.plain, indent=2))
    except msgspec.MsgspecError:
        return text


class SurrogatesAside:
    """Valid JSON with its lone surrogates put aside, for a parser that refuses them.

    ``plain`` is the text to parse; ``restore`` puts the originals back into any part cut out of it.
    """

    __slots__ = ("_originals", "plain")

    def __init__(self, text: bytes) -> None:
        self._originals: list[bytes] = []
        # Behind an escaped backslash, what looks like the first half of a pair need not be one.
        lone = _ASIDE_ESCAPE if b"\\\\u" in text else _LONE_ESCAPE
        self.plain = lone.sub(self._put_aside, text, count=_ASIDE_MOST)

    def _put_aside(self, match: re.Match[bytes]) -> bytes:
        self._originals.append(match.group())
        return rb"\ue000%d\ue001" % (len(self._originals) - 1)

    def restore(self, part: bytes) -> bytes:
        """Return ``part`` as it was in the original text."""
        return _MARK.sub(lambda match: self._originals[int(match.group(1))], part)


def quoted(text: str) -> bytes:
    """Write ``text`` as a JSON string."""
    return msgspec.json.encode(text)


def _without_surrogates(text: bytes) -> bytes:
    # Escapes of all surrogates begin alike; with another digit they are those of other characters, and as valid.
    return text.replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")


def _depth(text: bytes) -> int:
    # Each bracket moves the depth by one: its byte, 2 or 0, less one.
    steps = _STRING.sub(b"", text).translate(_STEPS, _NOT_BRACKETS)
    return max(map(sub, accumulate(steps), count(1)), default=0)


def _is_json_but_for_surrogates(text: bytes) -> bool:
    plain = _without_surrogates(text)
    if plain == text:
        return False
    try:
        _parse(plain)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _fits(text: bytes, levels: int) -> bool:
    candidate = b"[" * levels + text + b"]" * levels
    # Twice in the same frame, since a deeper one has fewer levels left.
    for _ in range(2):
        try:
            _parse(candidate)
        except RecursionError:
            return False
        except msgspec.MsgspecError:
            candidate = _without_surrogates(candidate)
        else:
            return True
    return False
