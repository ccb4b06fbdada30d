"""The opening handshake of a WebSocket (RFC 6455, 4.2), and what its subprotocols say."""

from __future__ import annotations

import pytest

from lambdamesh.door.handshake import check_handshake, read_offer, says_why_by_close
from lambdamesh.errors import BadRequest, UpgradeRequired
from tests.unit.door.heads import HANDSHAKE, head_of

CODECS = (b"json-rpc", b"json-rpc-2.0")


def with_line(name: bytes, value: bytes | None) -> list[tuple[bytes, bytes]]:
    """The handshake with one line changed, or without it."""
    lines = [line for line in HANDSHAKE if line[0] != name]
    return lines if value is None else [*lines, (name, value)]


def test_a_handshake_is_accepted() -> None:
    check_handshake(head_of(*HANDSHAKE))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        with_line(b"Upgrade", None),
        with_line(b"Upgrade", b"h2c"),
        with_line(b"Connection", None),
        with_line(b"Connection", b"close"),
        with_line(b"Sec-WebSocket-Version", None),
        with_line(b"Sec-WebSocket-Version", b"8"),
        with_line(b"Sec-WebSocket-Version", b"13, 8"),
        with_line(b"Sec-WebSocket-Version", b"14"),
    ],
)
def test_what_is_no_handshake_of_version_13(lines: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UpgradeRequired) as refused:
        check_handshake(head_of(*lines))
    assert (b"Sec-WebSocket-Version", b"13") in refused.value.headers


@pytest.mark.parametrize(
    "key", [None, b"", b"x", b"dGhlIHNhbXBsZQ==", b"dGhlIHNhbXBsZSBub25jZQ", b"!GhlIHNhbXBsZSBub25jZQ=="]
)
def test_a_key_is_16_bytes_of_base64(key: bytes | None) -> None:
    with pytest.raises(BadRequest, match="Sec-WebSocket-Key"):
        check_handshake(head_of(*with_line(b"Sec-WebSocket-Key", key)))


def test_http_10_has_no_websocket() -> None:
    head = head_of(*HANDSHAKE)
    head.is_http10 = True
    with pytest.raises(BadRequest):
        check_handshake(head)


@pytest.mark.parametrize(
    ("offer", "codec", "credentials"),
    [
        (None, None, {}),
        (b"json-rpc", b"json-rpc", {}),
        (b"json-rpc-2.0, json-rpc", b"json-rpc-2.0", {}),
        (b"chat,json-rpc ,json-rpc-2.0", b"json-rpc", {}),
        (b"chat", None, {}),
        (b"JSON-RPC", None, {}),
        (b"key.abc, json-rpc", b"json-rpc", {"key": b"abc"}),
        (b"json-rpc, key.a.b, token.t, ticket.x.y.z", b"json-rpc", {"key": b"a.b", "token": b"t", "ticket": b"x.y.z"}),
        (b"json-rpc, key." + b"x" * 4096, b"json-rpc", {"key": b"x" * 4096}),
        (b"json-rpc, key", b"json-rpc", {}),
    ],
)
def test_offers(offer: bytes | None, codec: bytes | None, credentials: dict[str, bytes]) -> None:
    head = head_of() if offer is None else head_of((b"Sec-WebSocket-Protocol", offer))
    assert read_offer(head, CODECS) == (codec, credentials)


def test_an_offer_may_be_on_several_lines() -> None:
    head = head_of((b"Sec-WebSocket-Protocol", b"key.abc"), (b"Sec-WebSocket-Protocol", b"json-rpc"))
    assert read_offer(head, CODECS) == (b"json-rpc", {"key": b"abc"})


@pytest.mark.parametrize(
    "offer",
    [
        b"key.abc",
        b"key.abc, chat",
        b"json-rpc, key.a, key.b",
        b"json-rpc, ticket.x, ticket.x",
        b"json-rpc, token." + b"x" * 4097,
    ],
)
def test_a_credential_comes_once_and_beside_a_codec(offer: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_offer(head_of((b"Sec-WebSocket-Protocol", offer)), CODECS)
    assert "abc" not in refused.value.message


def test_a_credential_alone_is_told_what_to_offer() -> None:
    with pytest.raises(BadRequest, match=r"offer json-rpc-2\.0 beside it"):
        read_offer(head_of((b"Sec-WebSocket-Protocol", b"ticket.x")), CODECS)


def test_only_a_page_is_told_by_a_close_code() -> None:
    assert says_why_by_close(head_of((b"Origin", b"http://pm3")))
    assert not says_why_by_close(head_of())
