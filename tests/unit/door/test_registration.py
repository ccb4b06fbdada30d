"""Which header fields of its registration a lambda shows."""

from __future__ import annotations

import json

import pytest

from lambdamesh.door.registration import canonical, is_secret, registration_headers
from tests.unit.door.heads import request_of

NODE_SETS = {
    "P-Internal": ["1"],
    "P-Ip": ["127.0.0.1"],
    "P-Asn": ["AS0 Local"],
    "P-Ip-Geo": ["XX"],
    "X-Forwarded-Proto": ["http"],
    "X-Ray": ["0057be39815282ea-MYH"],
}


def shown(*lines: tuple[bytes, bytes], codec: bytes | None = None, peer: str = "127.0.0.1") -> dict[str, list[str]]:
    request = request_of("GET", "/lambda/new?key=s3cret", *lines)
    request.peer = peer
    headers: dict[str, list[str]] = json.loads(registration_headers(request, codec))
    return headers


def own(*lines: tuple[bytes, bytes]) -> dict[str, list[str]]:
    """The client's fields of what is shown."""
    return {name: values for name, values in shown(*lines).items() if name not in NODE_SETS and name != "Host"}


def test_the_node_adds_its_own() -> None:
    assert shown() == {"Host": ["localhost:7630"], **NODE_SETS}


@pytest.mark.parametrize(
    ("peer", "internal", "asn"),
    [
        ("127.0.0.1", "1", "AS0 Local"),
        ("::1", "1", "AS0 Local"),
        ("192.168.1.5", "1", "AS0 Local"),
        ("8.8.8.8", "0", "AS0 Unknown"),
        ("fe80::1%eth0", "1", "AS0 Local"),
        ("", "1", "AS0 Local"),
    ],
)
def test_where_it_came_from(peer: str, internal: str, asn: str) -> None:
    headers = shown(peer=peer)
    assert (headers["P-Ip"], headers["P-Internal"], headers["P-Asn"]) == ([peer], [internal], [asn])


def test_names_are_canonical_and_values_are_kept_in_order() -> None:
    assert own((b"x-a", b" 1 "), (b"SEC-WEBSOCKET-KEY", b"k"), (b"X-A", b"2"), (b"x-b", b"\xe9")) == {
        "X-A": ["1", "2"],
        "Sec-Websocket-Key": ["k"],
        "X-B": ["\ufffd"],
    }


@pytest.mark.parametrize(
    "name",
    [
        b"Authorization",
        b"Cookie",
        b"Proxy-Authorization",
        b"X-Api-Key",
        b"X-Auth-User",
        b"X-Csrf-Token",
        b"Client-Secret",
        b"Lambda-Resume-Key",
        b"X-Ticket",
        b"Key",
        b"Token",
        b"Ticket",
        b"Secret",
        b"Set-Cookie",
    ],
)
def test_credentials_are_never_kept(name: bytes) -> None:
    assert is_secret(name.lower())
    assert own((name, b"s3cret"), (name.upper(), b"s3cret")) == {}


@pytest.mark.parametrize("name", [b"P-Ip", b"p-internal", b"P-Anything", b"X-Ray", b"X-Forwarded-Proto"])
def test_what_only_the_node_says_is_not_believed(name: bytes) -> None:
    assert shown((name, b"forged")) == shown()


@pytest.mark.parametrize(("codec", "expected"), [(b"json-rpc", ["json-rpc"]), (None, None)])
def test_of_the_subprotocols_only_the_codec_is_shown(codec: bytes | None, expected: list[str] | None) -> None:
    headers = shown((b"Sec-WebSocket-Protocol", b"json-rpc, key.s3cret, chat"), codec=codec)
    assert headers.get("Sec-Websocket-Protocol") == expected
    assert "s3cret" not in json.dumps(headers)


@pytest.mark.parametrize("name", [b"Referer", b"referer", b"REFERER"])
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"http://a.test/page?key=s3cret", "http://a.test/page"),
        (b"http://a.test/?ticket=s3cret?token=s3cret", "http://a.test/"),
        (b"?s3cret", ""),
        (b"http://a.test/page", "http://a.test/page"),
    ],
)
def test_a_referer_has_no_query(name: bytes, value: bytes, kept: str) -> None:
    assert own((name, value)) == {"Referer": [kept]}


def test_32_lines_at_most() -> None:
    headers = own(*((b"X-%d" % number, b"v") for number in range(50)))
    assert len(headers) == 31  # and Host
    assert "X-0" in headers


def test_2_kib_at_most() -> None:
    headers = own((b"X-A", b"a" * 1500), (b"X-B", b"b" * 1500), (b"X-C", b"c" * 100))
    assert set(headers) == {"X-A", "X-C"}


@pytest.mark.parametrize(
    ("name", "written"), [(b"sec-websocket-key", "Sec-Websocket-Key"), (b"DNT", "Dnt"), (b"x--a", "X--A")]
)
def test_canonical(name: bytes, written: str) -> None:
    assert canonical(name) == written
