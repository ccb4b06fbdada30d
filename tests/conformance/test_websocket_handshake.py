"""The opening handshake (RFC 6455, 4.2), what may come right behind it, and the choice of a subprotocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.lambda_ids import NEEDS_KEY, parse
from tests.nodes import Node, until
from tests.providers import Answering, Provider
from tests.websocket import (
    KEY,
    PING,
    PONG,
    TEXT,
    Changes,
    WebSocket,
    frame,
    handshake,
)
from tests.wire import Headers, RawHttp, lines, refused, request, sound

NO_MASK = bytes(4)
"""A legal mask that costs nothing."""
ROUTES = pytest.mark.parametrize("route", ["/lambda/new", "/connect"])
OpenLambda = Callable[..., Provider]


# The handshake


@dataclass(frozen=True)
class Shake:
    """A handshake that differs in some fields from a good one (``None``: without it)."""

    name: str
    changed: Changes
    headers: Headers = ()


def named(case: Shake) -> str:
    return case.name


GOOD = [
    Shake("plain", {}),
    Shake("several connection options", {"Connection": "keep-alive, Upgrade"}),
    Shake("connection in capitals", {"Connection": "UPGRADE"}),
    Shake("upgrade in another case", {"Upgrade": "WebSocket"}),
    Shake("an extension is offered", {}, [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]),
    Shake("length zero", {}, [("Content-Length", "0")]),
    Shake("headers of a browser", {}, [("Pragma", "no-cache"), ("User-Agent", "x"), ("Accept-Encoding", "gzip, br")]),
]

BAD = [
    (Shake("no key", {"Sec-WebSocket-Key": None}), 400),
    (Shake("empty key", {"Sec-WebSocket-Key": ""}), 400),
    (Shake("key that is not base64", {"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}), 400),
    (Shake("key of 15 bytes", {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}), 400),
    (Shake("key of 17 bytes", {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA="}), 400),
    (Shake("two keys", {}, [("Sec-WebSocket-Key", KEY)]), 400),
    (Shake("version 8", {"Sec-WebSocket-Version": "8"}), 426),
    (Shake("version 7", {"Sec-WebSocket-Version": "7"}), 426),
    (Shake("version 0", {"Sec-WebSocket-Version": "0"}), 426),
    (Shake("version 14", {"Sec-WebSocket-Version": "14"}), 426),
    (Shake("version that is no number", {"Sec-WebSocket-Version": "x13"}), 426),
    (Shake("no version", {"Sec-WebSocket-Version": None}), 426),
    (Shake("no upgrade", {"Upgrade": None}), 426),
    (Shake("upgrade to something else", {"Upgrade": "h2c"}), 426),
    (Shake("connection without upgrade", {"Connection": "keep-alive"}), 426),
    (Shake("no connection", {"Connection": None}), 426),
    (Shake("a body by length", {}, [("Content-Length", "2")]), 400),
    (Shake("a body by chunks", {}, [("Transfer-Encoding", "chunked")]), 400),
]


@ROUTES
@pytest.mark.parametrize("case", GOOD, ids=named)
@pytest.mark.parametrize("slowly", [False, True], ids=["whole", "bytewise"])
def test_good_handshakes(node: Node, route: str, case: Shake, slowly: bool) -> None:
    with RawHttp(node.address) as http:
        (http.send_slowly if slowly else http.send)(handshake(route, case.headers, changed=case.changed))
        ws = WebSocket.over(http, http.answer())
        assert ws.handshake.header("X-Ray") is not None
        assert ws.handshake.header("Sec-WebSocket-Protocol") is None
        if route == "/lambda/new":
            assert json.loads(ws.message())["method"] == "open"
        ws.send_frame(PING, b"there?")
        assert ws.pong() == b"there?"


@ROUTES
@pytest.mark.parametrize(("case", "status"), BAD, ids=[case.name for case, _ in BAD])
def test_bad_handshakes(node: Node, route: str, case: Shake, status: int) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake(route, case.headers, changed=case.changed))
        answer = sound(http.answer())
        refused(answer, status, "bad_request" if status == 400 else "upgrade_required")
        if status == 426:
            assert answer.header("Sec-WebSocket-Version") == "13"


@ROUTES
def test_a_body_on_a_handshake_ends_the_connection(node: Node, route: str) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake(route, [("Content-Length", "2")]) + b"{}")
        assert http.answer().status == 400
        assert http.rest() == b""


@ROUTES
def test_a_plain_get_gets_426_and_the_connection_goes_on(node: Node, route: str) -> None:
    with RawHttp(node.address) as http:
        answer = sound(http.ask("GET", route))
        refused(answer, 426, "upgrade_required")
        assert answer.header("Upgrade") == "websocket"
        assert http.ask("GET", "/ping").status == 200


@ROUTES
@pytest.mark.parametrize("verb", ["POST", "PUT", "HEAD"])
def test_only_get_upgrades(node: Node, route: str, verb: str) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake(route).replace(b"GET", verb.encode(), 1))
        assert sound(http.answer(to_head=verb == "HEAD")).status in (400, 405, 426)


def test_http_1_0_does_not_upgrade(node: Node) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake("/lambda/new").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert sound(http.answer()).status in (400, 426)


@ROUTES
def test_frames_glued_behind_the_head(node: Node, route: str) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake(route) + frame(PING, b"one") + frame(PING, b"two"))
        ws = WebSocket.over(http, http.answer())
        seen = [ws.frame() for _ in range(3 if route == "/lambda/new" else 2)]
        assert [found.payload for found in seen if found.opcode == PONG] == [b"one", b"two"]


@pytest.mark.parametrize("behind", [0, 1, 10, 10_000], ids=lambda n: f"{n} bytes behind the head")
def test_a_large_frame_split_across_the_head(node: Node, behind: int) -> None:
    """The answer of an unknown call, 40 kB long: dropped, and the lambda opens."""
    large = frame(TEXT, b'{"id":99,"result":"%b"}' % (b"x" * 40_000))
    with RawHttp(node.address) as http:
        http.send(handshake("/lambda/new") + large[:behind])
        ws = WebSocket.over(http, http.answer())
        assert ws.json()["method"] == "open"
        http.send(large[behind:] + frame(TEXT, b'{"id":0,"result":"ok"}') + frame(PING, b"read"))
        assert ws.pong() == b"read"


def test_a_handshake_on_a_connection_that_was_used(node: Node, echo: Answering) -> None:
    with RawHttp(node.address) as http:
        assert http.ask("POST", f"/lambda/{echo.id}/m", b"1").json() == 1
        assert http.ask("POST", f"/lambda/{echo.id}/m", b"nul").status == 400
        http.send(handshake("/lambda/new"))
        ws = WebSocket.over(http, http.answer())
        assert ws.json()["method"] == "open"


def test_a_handshake_behind_an_unanswered_call_waits_for_it(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1") + handshake("/connect"))
        provider.answer(provider.next_call(), b"1")
        assert http.answer().json() == 1
        ws = WebSocket.over(http, http.answer())
        ws.send_frame(PING)
        assert ws.pong() == b""


def test_nothing_is_read_as_http_behind_a_refused_handshake(node: Node) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake("/lambda/new", changed={"Sec-WebSocket-Version": "8"}) + frame(TEXT, b"hello"))
        assert http.answer().status == 426
        rest = http.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


# Subprotocols


def listed(node: Node, lambda_id: str) -> str:
    return json.dumps(node.fetch("GET", f"/lambda/{lambda_id}").json())


@pytest.mark.parametrize(
    ("offered", "echoed"),
    [
        ((), None),
        (("json-rpc",), "json-rpc"),
        (("json-rpc", "chat"), "json-rpc"),
        (("chat", "json-rpc"), "json-rpc"),
        (("chat",), None),
        (("chat", "superchat"), None),
        (("JSON-RPC",), None),
        (("JSON-RPC-2.0",), None),
        (("json-rpc-2",), None),
        (("json-rpc", "json-rpc-2.0"), "json-rpc"),
        (("key.sesame", "json-rpc"), "json-rpc"),
        (("json-rpc", "token.sesame"), "json-rpc"),
        (("ticket.sesame", "json-rpc"), "json-rpc"),
        (("ticket.sesame", "key.sesame", "token.sesame", "json-rpc"), "json-rpc"),
    ],
    ids=str,
)
def test_the_first_known_codec_is_chosen(
    node: Node, open_lambda: OpenLambda, offered: tuple[str, ...], echoed: str | None
) -> None:
    provider = open_lambda(node, subprotocols=offered)
    assert provider.ws.handshake.header("Sec-WebSocket-Protocol") == echoed
    assert node.fetch("GET", f"/lambda/{provider.id}").json()["code"] == "json-rpc"
    assert "sesame" not in listed(node, provider.id)
    assert "sesame" not in node.log.text()


@pytest.mark.parametrize(
    "offered",
    [
        ("json-rpc-2.0",),
        ("json-rpc-2.0", "json-rpc"),
        ("chat", "json-rpc-2.0", "json-rpc"),
        ("token.sesame", "json-rpc-2.0"),
        ("json-rpc-2.0", "key.sesame", "ticket.sesame"),
    ],
    ids=str,
)
def test_the_newer_codec_is_chosen_where_it_comes_first(node: Node, offered: tuple[str, ...]) -> None:
    with WebSocket.open(node.address, "/lambda/new", subprotocols=offered) as ws:
        assert ws.handshake.header("Sec-WebSocket-Protocol") == "json-rpc-2.0"
        assert ws.handshake.header("Lambda-Resume-Key") is None
        opened = ws.json()["params"][0]
        ws.send(b'{"jsonrpc":"2.0","id":0,"result":"ok"}')
        ws.send_frame(PING, b"read")
        assert ws.pong() == b"read"
        shown = node.fetch("GET", f"/lambda/{opened['id']}").json()
        assert (shown["code"], shown["headers"]["Sec-Websocket-Protocol"]) == ("json-rpc-2.0", ["json-rpc-2.0"])
        assert "sesame" not in json.dumps(shown)
        assert opened["grace_s"] == 15.0
        assert parse(opened["id"]).field & NEEDS_KEY
    assert "sesame" not in node.log.text()


@pytest.mark.parametrize("offered", [(), ("json-rpc",), ("json-rpc", "json-rpc-2.0")], ids=str)
def test_the_older_codec_has_its_key_in_the_head(node: Node, open_lambda: OpenLambda, offered: tuple[str, ...]) -> None:
    provider = open_lambda(node, subprotocols=offered)
    assert provider.key
    assert not parse(provider.id).field & NEEDS_KEY
    provider.ws.http.reset()
    until(lambda: node.fetch("GET", f"/lambda/{provider.id}").status == 410, "it is gone, without a grace")


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ((), b'{"id":1,"result":"'),
        (("json-rpc",), b'{"id":1,"result":"'),
        (("json-rpc", "json-rpc-2.0"), b'{"id":1,"result":"'),
        (("json-rpc-2.0",), b'{"jsonrpc":"2.0","id":1,"result":"'),
        (("json-rpc-2.0", "json-rpc"), b'{"jsonrpc":"2.0","id":1,"result":"'),
        (("token.sesame", "json-rpc-2.0"), b'{"jsonrpc":"2.0","id":1,"result":"'),
    ],
    ids=str,
)
def test_a_caller_chooses_its_codec_too(node: Node, offered: tuple[str, ...], answer: bytes) -> None:
    with WebSocket.open(node.address, "/connect", subprotocols=offered) as ws:
        codec = next((name for name in offered if name.startswith("json-rpc")), None)
        assert ws.handshake.header("Sec-WebSocket-Protocol") == codec
        ws.send(b'{"id":1,"method":"/ping","params":[]}')
        assert ws.message().startswith(answer)


def test_the_offer_may_have_several_lines(node: Node, open_lambda: OpenLambda) -> None:
    several = [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "key.sesame, json-rpc")]
    provider = open_lambda(node, headers=several)
    assert provider.ws.handshake.header("Sec-WebSocket-Protocol") == "json-rpc"
    assert "sesame" not in listed(node, provider.id)


@ROUTES
@pytest.mark.parametrize(
    "offered", [("key.sesame",), ("token.sesame",), ("ticket.sesame",), ("chat", "key.sesame")], ids=str
)
@pytest.mark.parametrize("origin", [(), (("Origin", "http://localhost"),)], ids=["", "with origin"])
def test_a_credential_needs_a_codec_beside_it(
    node: Node, route: str, offered: tuple[str, ...], origin: Headers
) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake(route, origin, subprotocols=offered))
        answer = refused(sound(http.answer()), 400, "bad_request")
        assert "offer json-rpc-2.0 beside it" in answer.json()["error"]
        assert b"sesame" not in answer.body


@pytest.mark.parametrize(
    "offered",
    [("key.one", "key.two", "json-rpc"), ("key." + "x" * 4097, "json-rpc"), ("json-rpc", "ticket.a", "ticket.b")],
    ids=["two keys", "a key over 4 KiB", "two tickets"],
)
def test_credentials_are_bounded(node: Node, offered: tuple[str, ...]) -> None:
    with RawHttp(node.address) as http:
        http.send(handshake("/lambda/new", subprotocols=offered))
        refused(sound(http.answer()), 400, "bad_request")


@pytest.mark.parametrize("offer", [",", "json-rpc json-rpc-2.0", "json-rpc;q=1", "json-rpc\x80"])
def test_an_offer_that_is_no_list_of_names_does_no_harm(node: Node, offer: str) -> None:
    with RawHttp(node.address) as http:
        http.send(lines("GET /lambda/new HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
                        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Protocol: {offer}"))  # fmt: skip
        answer = http.answer()
        assert answer.status in (101, 400)
        assert answer.header("Sec-WebSocket-Protocol") is None
