"""Verdicts on JSON text that is passed on as bytes (RFC 8259), never decoded and encoded again.

The fast verdict is msgspec's. It refuses escaped lone surrogates, which are legal; it does not look at UTF-8, and it
takes more levels than a call may have. What it leaves open is decided here, at the speed of C as well.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

MAX_DEPTH = 512
"""Arrays and objects that may lie in one another."""

SHALLOW_BYTES = 2 * MAX_DEPTH
"""Text of this length cannot be too deep."""

NULL = b"null"

_parse = msgspec.json.Decoder(msgspec.Raw).decode
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ASIDE_ESCAPE = re.compile(_SURROGATE_ESCAPE.pattern + rb"|\\u[eE]000")
_MARK = re.compile(rb"\\ue000([0-9]+)\\ue001")
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
    return _fits(text, low - MAX_DEPTH)


def lenient(text: bytes) -> Any:
    """Decode what a reader as lenient as Python's ``json`` takes: NaN, control characters, bad UTF-8.

    Raises:
        ValueError: not even that.
    """
    try:
        return json.loads(text.decode(errors="replace"), strict=False)
    except RecursionError:
        raise ValueError("too many levels") from None


def pretty(text: bytes) -> bytes:
    """Indent ``text``, which is valid JSON, by two spaces; nothing but white space changes."""
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.MsgspecError:
        aside = SurrogatesAside(text)
        return aside.restore(msgspec.json.format(aside.plain, indent=2))


class SurrogatesAside:
    """Valid JSON with its lone surrogates put aside, for a parser that refuses them.

    ``plain`` is the text to parse; ``restore`` puts the originals back into any part cut out of it.
    """

    __slots__ = ("_originals", "plain")

    def __init__(self, text: bytes) -> None:
        self._originals: list[bytes] = []
        self.plain = _ASIDE_ESCAPE.sub(self._put_aside, text)

    def _put_aside(self, match: re.Match[bytes]) -> bytes:
        self._originals.append(match.group())
        return rb"\ue000%d\ue001" % (len(self._originals) - 1)

    def restore(self, part: bytes) -> bytes:
        """Return ``part`` as it was in the original text."""
        return _MARK.sub(lambda match: self._originals[int(match.group(1))], part)


def quoted(text: str) -> bytes:
    """Write ``text`` as a JSON string."""
    return msgspec.json.encode(text)


def _is_json_but_for_surrogates(text: bytes) -> bool:
    # A surrogate escape is put out of the way by one that any reader takes, of the same length.
    plain, found = _SURROGATE_ESCAPE.subn(rb"\\u0041", text)
    if not found:
        return False
    try:
        _parse(plain)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _fits(text: bytes, levels: int) -> bool:
    try:
        _parse(b"[" * levels + text + b"]" * levels)
    except RecursionError:
        return False
    except msgspec.MsgspecError:
        plain, found = _SURROGATE_ESCAPE.subn(rb"\\u0041", text)
        return bool(found) and _fits(plain, levels)
    return True
