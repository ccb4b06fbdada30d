"""Which header fields of its registration a lambda shows, and which the node adds (contract: lambda object)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import msgspec

from lambdamesh.door.request import Request

_QUERY = re.compile(rb"[?#]")
_USER = re.compile(rb"//[^/]*@")
SHOWN_BYTES = 2048
SHOWN_LINES = 32

_NEVER = frozenset(
    (b"authorization", b"cookie", b"set-cookie", b"proxy-authorization", b"token", b"secret", b"ticket", b"key")
)
_NEVER_PREFIXES = (b"x-auth-", b"p-")
_NEVER_SUFFIXES = (b"-token", b"-secret", b"-ticket", b"-key")
_NODE_SETS = frozenset((b"x-ray", b"x-forwarded-proto", b"sec-websocket-protocol"))


def is_secret(name: bytes) -> bool:
    """Whether a header field (lower-case name) may hold a credential."""
    if name == b"sec-websocket-key":
        return False
    return name in _NEVER or name.startswith(b"x-auth-") or name.endswith(_NEVER_SUFFIXES)


@lru_cache(maxsize=256)
def canonical(name: bytes) -> str:
    """Write a field name as MIME does: ``Sec-Websocket-Key``."""
    return "-".join(part[:1].upper() + part[1:] for part in name.decode("latin-1").lower().split("-"))


def registration_headers(request: Request, codec: bytes | None) -> bytes:
    """Return the headers of a lambda object as JSON: the client's that may be shown, then the node's own."""
    shown: dict[str, list[str]] = {}
    room_bytes, room_lines = SHOWN_BYTES, SHOWN_LINES
    for raw_name, value in request.head.lines:
        name = raw_name.lower()
        size_bytes = len(name) + len(value)
        if is_secret(name) or name.startswith(_NEVER_PREFIXES) or name in _NODE_SETS:
            continue
        if room_lines == 0 or size_bytes > room_bytes:
            continue
        room_bytes -= size_bytes
        room_lines -= 1
        shown.setdefault(canonical(name), []).append(shown_value(name, value))
    if codec is not None:
        shown["Sec-Websocket-Protocol"] = [codec.decode()]
    local = _is_local(request.peer)
    shown |= {
        "P-Internal": ["1" if local else "0"],
        "P-Ip": [request.peer],
        "P-Asn": ["AS0 Local" if local else "AS0 Unknown"],
        "P-Ip-Geo": ["XX"],
        "X-Forwarded-Proto": ["http"],
        "X-Ray": [request.ray.decode()],
    }
    return msgspec.json.encode(dict(sorted(shown.items())))


def shown_value(name: bytes, value: bytes) -> str:
    """Write a value for a reader: of a ``Referer`` without what may hold a secret, name and password and query."""
    if name == b"referer":
        value = _USER.sub(b"//", _QUERY.split(value, maxsplit=1)[0])
    return value.strip().decode("utf-8", "replace")


@lru_cache(maxsize=256)
def _is_local(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_private
    except ValueError:
        return True
