"""What the node says of itself: ``/ping``, ``/version``, ``/peers``, health, metrics, ``/debug/headers``."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from lambdamesh.door.as_one import answer_metrics, answer_ready
from lambdamesh.door.door import Door
from lambdamesh.door.registration import canonical, is_secret, shown_value
from lambdamesh.door.request import Fields, Reply, Request
from lambdamesh.door.targets import Target

_TEXT: Fields = ((b"Content-Type", b"text/plain; charset=utf-8"),)
_CREDENTIALS = (b"ticket.", b"key.", b"token.")
_SECRET_QUERY = ("key", "ticket", "token")


def ping(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer with the host name."""
    reply.respond(200, msgspec.json.encode(door.facts.host_name))


def version(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer with the version."""
    reply.respond(200, msgspec.json.encode(door.facts.version))


def peers(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer with every node that is known."""
    reply.respond(200, msgspec.json.encode(door.peers.listing(door.clock.unix_ms / 1000)))


def alive_peers(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer with every node that is known and alive."""
    listing = door.peers.listing(door.clock.unix_ms / 1000)
    reply.respond(200, msgspec.json.encode([peer for peer in listing if peer["alive"]]))


def healthz(_door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer that the process lives."""
    reply.respond(200, b'{"status":"ok"}')


def readyz(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer whether new lambdas and calls are taken."""
    answer_ready(door, reply)


def metrics(door: Door, _request: Request, reply: Reply, _target: Target) -> None:
    """Answer with the metrics in Prometheus's text format."""
    answer_metrics(door, reply)


def debug_headers(_door: Door, request: Request, reply: Reply, _target: Target) -> None:
    """Answer with the request as the node sees it, secrets blanked."""
    path, mark, query = request.target.partition(b"?")
    shown = path + mark + b"&".join(_blanked_pair(pair) for pair in query.split(b"&"))
    lines = [f"{request.verb.decode()} {shown.decode('latin-1')} HTTP/1.1"]
    for name, value in request.head.lines:
        if not name.lower().startswith(b"p-") and name.lower() != b"x-ray":
            lines.append(f"{canonical(name)}: {_shown(name.lower(), value)}")
    lines += [f"P-Ip: {request.peer}", f"X-Ray: {request.ray.decode()}"]
    reply.respond(200, "\r\n".join(lines).encode() + b"\r\n", _TEXT)


def _shown(name: bytes, value: bytes) -> str:
    if is_secret(name):
        return "***"
    if name == b"sec-websocket-protocol":
        entries = (entry.strip() for entry in value.split(b","))
        value = b", ".join(_blanked(entry) for entry in entries)
    return shown_value(name, value)


def _blanked_pair(pair: bytes) -> bytes:
    name, mark, _ = pair.partition(b"=")
    return name + b"=***" if mark and unquote(name.decode("latin-1")).lower() in _SECRET_QUERY else pair


def _blanked(entry: bytes) -> bytes:
    return entry.partition(b".")[0] + b".***" if entry.startswith(_CREDENTIALS) else entry
