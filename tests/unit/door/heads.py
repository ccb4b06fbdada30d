"""Heads and requests as a reader makes them."""

from __future__ import annotations

from lambdamesh.core.admission import Admission
from lambdamesh.core.limits import Limits
from lambdamesh.door.head import Head, HeaderLines
from lambdamesh.door.request import Request
from lambdamesh.errors import MeshError

HOST = (b"Host", b"localhost:7630")
HANDSHAKE: HeaderLines = [
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Version", b"13"),
]
OWN = Admission()
FOREIGN = Admission(None, frozenset(), False, b"http://pm3", b"Access-Control-Allow-Origin: http://pm3\r\n")


def head_of(*lines: tuple[bytes, bytes], size_bytes: int = 100, limits: Limits | None = None) -> Head:
    """A head of these lines behind a ``Host``."""
    return Head([HOST, *lines], size_bytes, limits or Limits())


def request_of(
    verb: str, target: str, *lines: tuple[bytes, bytes], admission: Admission = OWN, body: bytes = b""
) -> Request:
    """A request that has been read."""
    request = Request(verb.encode(), target.encode(), head_of(*lines), admission)
    request.body = body
    request.ray = b"0057be39815282ea-MYH"
    request.peer = "127.0.0.1"
    return request


def refusal_of(head: Head) -> MeshError:
    """Why a head cannot be accepted."""
    assert head.error is not None
    return head.error
