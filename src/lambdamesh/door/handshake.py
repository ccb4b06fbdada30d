"""The opening handshake of a WebSocket, as a server judges it (RFC 6455, 4.2), and what subprotocols say."""

from __future__ import annotations

from base64 import b64decode
from typing import NamedTuple

from lambdamesh.door.head import Head
from lambdamesh.errors import BadRequest, UpgradeRequired

CREDENTIAL_BYTES = 4096
_KEY_BYTES = 16


class Offer(NamedTuple):
    """What a client offers as subprotocols: the codec that is chosen, if any is known, and its credentials."""

    codec: bytes | None
    credentials: dict[str, bytes]


def check_handshake(head: Head) -> None:
    """Accept the head of a handshake.

    Raises:
        UpgradeRequired: it asks for no WebSocket, or for another version than 13.
        BadRequest: its key is not 16 bytes of base64, or it is HTTP/1.0.
    """
    if not head.asks_websocket:
        raise UpgradeRequired("this route is a WebSocket: connect with ws://")
    if head.fields.get(b"sec-websocket-version") != b"13":
        raise UpgradeRequired("the version of WebSocket here is 13")
    try:
        key = b64decode(head.fields.get(b"sec-websocket-key", b""), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadRequest("Sec-WebSocket-Key is not 16 bytes of base64")
    if head.is_http10:
        raise BadRequest("a WebSocket handshake is HTTP/1.1")


def read_offer(head: Head, codecs: tuple[bytes, ...]) -> Offer:
    """Read ``Sec-WebSocket-Protocol``; of the names in ``codecs`` the client's first is chosen.

    Raises:
        BadRequest: a credential is given twice, is too long, or is not accompanied by a codec.
    """
    codec: bytes | None = None
    credentials: dict[str, bytes] = {}
    for entry in head.fields.get(b"sec-websocket-protocol", b"").split(b","):
        name = entry.strip()
        kind, dot, value = name.partition(b".")
        if dot and kind in (b"ticket", b"key", b"token"):
            if kind.decode() in credentials or len(value) > CREDENTIAL_BYTES:
                raise BadRequest(f"one {kind.decode()} entry is taken, of at most {CREDENTIAL_BYTES} bytes")
            credentials[kind.decode()] = value
        elif codec is None and name in codecs:
            codec = name
    if credentials and codec is None:
        raise BadRequest(f"a credential is no codec: offer {codecs[-1].decode()} beside it")
    return Offer(codec, credentials)


def says_why_by_close(head: Head) -> bool:
    """Whether a refusal for credentials or load is said by a close code: a page cannot see the status."""
    return b"origin" in head.fields
