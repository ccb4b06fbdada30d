"""What a request target means: path segments, percent-decoding, query."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from lambdamesh.errors import BadRequest
from lambdamesh.protocol.json_text import quoted

REMEMBERED_TARGETS = 4096
REMEMBERED_BYTES = 512
"""How many targets that were legal are remembered, so as not to read them again, and how long each may be."""
METHOD_BYTES = 256
"""Longest name of a method, in UTF-8."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Target(NamedTuple):
    """A request target taken apart; segments are as they came, the query is decoded (the last of a name wins)."""

    segments: tuple[bytes, ...]
    query: dict[str, str]


def parse_target(target: bytes) -> Target:
    """Take ``target`` apart.

    Raises:
        BadRequest: it is no path, or the query is not UTF-8.
    """
    if not target.startswith(b"/"):
        raise BadRequest("a target is a path, as in /lambda")
    path, _, query = target.partition(b"?")
    fields: dict[str, str] = {}
    if query:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            raise BadRequest("the query is not percent-encoded UTF-8") from None
        fields = dict(pairs)
    return Target(tuple(path.split(b"/")[1:]), fields)


def method_name(segment: bytes) -> str:
    """Read the name of a method from its path segment (RFC 3986, 2.1).

    Raises:
        BadRequest: it is empty, too long, not UTF-8, has control characters, or belongs to the node.
    """
    if _BAD_ESCAPE.search(segment):
        raise BadRequest("the method has a % that two hex digits do not follow")
    try:
        name = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise BadRequest("the method is not UTF-8") from None
    return checked_method(name)


def checked_method(name: str) -> str:
    """Return ``name`` if a lambda may have such a method.

    Raises:
        BadRequest: it may not.
    """
    if not 1 <= len(name.encode()) <= METHOD_BYTES:
        raise BadRequest(f"a method is 1 to {METHOD_BYTES} bytes")
    if _CONTROL.search(name):
        raise BadRequest("a method has no control characters")
    if name == "open" or name.startswith("$/"):
        raise BadRequest(f"the method {name} belongs to the node: choose another name")
    return name


def quoted_method(segment: bytes) -> bytes:
    """Read a method from its path segment and write it as a JSON string."""
    return quoted(method_name(segment))


def seconds(text: str, limit_s: float, what: str) -> float:
    """Read a number of seconds.

    Raises:
        BadRequest: it is not a number, not positive, or over ``limit_s``.
    """
    if _SECONDS.match(text) is None:
        raise BadRequest(f"{what} is a number of seconds, as in {what}=1.5")
    value = float(text)
    if value > limit_s:
        raise BadRequest(f"{what} is at most {limit_s:g} seconds")
    return value


def flag(query: dict[str, str], name: str) -> bool:
    """Whether ``?name`` is there and not switched off (``?name=0``, ``false``, ``no``)."""
    return name in query and query[name].lower() not in ("0", "false", "no")
