"""What a single setting may be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from lambdamesh.core.places import WORKERS_MOST
from lambdamesh.settings.addresses import parse_address, parse_mesh_door, parse_peer
from lambdamesh.settings.config_error import ConfigError
from lambdamesh.settings.definition import shown
from lambdamesh.settings.keys import LIMIT_PREFIX, OF_NATS, OWN_CERTIFICATES, TYPES, type_text
from lambdamesh.settings.nats_urls import check_nats_urls

_LARGEST = 2**40
"""More than this of anything, bytes or seconds, is a slip of the pen."""
_MAY_BE_ZERO = frozenset(
    {
        "body_grace_s",
        "body_rate_bytes",
        "connections",
        "drain_s",
        "drain_spread_s",
        "events_subscribers",
        "gone_ids",
        "gone_ttl_s",
        "grace_max_s",
        "recovering_s",
        "waiting_calls",
    }
)
"""Limits of which 0 says something: none, at once, or (of connections) no bound of its own."""

_AT_LEAST = {"stream_credit": 16, "stream_credit_max": 16, "item_bytes": 65_536}
"""What providers may send unasked, whatever the node: the wire says so."""


def checked(key: str, value: object, source: str) -> Any:
    """``value`` as the type of ``key``, which is known, and as it is kept. Raises: ConfigError."""
    try:
        converted = msgspec.convert(value, TYPES[key])
    except msgspec.ValidationError as error:
        told = repr(shown(key, value))
        raise ConfigError(f"{key} ({source}): expected {type_text(TYPES[key])}, not {told:.80}") from error
    try:
        return _kept(key, converted)
    except ValueError as error:
        raise ConfigError(f"{key} ({source}): {error}") from error


def _kept(key: str, value: Any) -> Any:
    """``value`` once its rule has let it pass. Raises: ValueError."""
    if key.startswith(LIMIT_PREFIX):
        _check_limit(key.removeprefix(LIMIT_PREFIX), value)
    rule = _RULES.get(key)
    if rule is None or value is None:
        return value
    return tuple(rule(item) for item in value) if isinstance(value, tuple) else rule(value)


def _check_limit(name: str, value: float) -> None:
    if value > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST}, not {value}")
    if name in _AT_LEAST and value < _AT_LEAST[name]:
        raise ValueError(f"must be at least {_AT_LEAST[name]}, which clients count on, not {value}")
    if not math.isfinite(value) or value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        raise ValueError(f"must be {'at least 0' if name in _MAY_BE_ZERO else 'more than 0'}, not {value}")


# --- the rules: each returns the text as it is kept ---


def _address(text: str) -> str:
    parse_address(text)
    return text


def _mesh_door(text: str) -> str:
    parse_mesh_door(text)
    return text


def _peer(text: str) -> str:
    return parse_peer(text).text


def _nats(text: str) -> str:
    check_nats_urls(text)
    return text


def _file(text: str) -> str:
    if not text:
        raise ValueError("names no file; give its path, or leave it out")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9*._-]+|\[?[0-9A-Fa-f:.]+\]?", text):
        raise ValueError(f"{text!r} is not a host name; give it without scheme, port and path")
    return text


def _origin(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+", text):
        raise ValueError(f"{text!r} is not an origin such as http://app.test:3000")
    return text


def _machine_id(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{8}", text) or int(text, 16) == 0:
        raise ValueError(f"{text!r} is not 8 hex digits, or is 0")
    return text.lower()


def _workers(count: int | str) -> int | str:
    if isinstance(count, int) and not 1 <= count <= WORKERS_MOST:
        raise ValueError(f"a node has 1 to {WORKERS_MOST} workers, not {count}")
    return count


def _host_name(text: str) -> str:
    if not (text.isascii() and text.isprintable() and 0 < len(text) <= 255 and " " not in text):
        raise ValueError(f"{text!r} is not a host name")
    return text


_RULES: dict[str, Callable[[Any], Any]] = {
    "workers": _workers,
    "local": _address,
    "allow_host": _host,
    "allow_origin": _origin,
    "mesh": _mesh_door,
    "advertise": _peer,
    "peer": _peer,
    "nats": _nats,
    "machine_id": _machine_id,
    "host_name": _host_name,
    **dict.fromkeys(("mesh_secret_file", *OWN_CERTIFICATES, *OF_NATS), _file),
}
