"""A local door that others on the network can reach: it wants its token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.knocking import EVERY_ROUTE, ROUTES, Route, forbidden, knock
from tests.nodes import Node
from tests.providers import Answering, Provider, echo as echo_function
from tests.websocket import WebSocket, handshake
from tests.wire import Headers, RawHttp

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# The token


TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, shared_node: StartNode) -> Node:
    """A node on every address, with a token."""
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return shared_node(local="0.0.0.0:0", local_token_file=path)


@pytest.fixture(scope="module")
def guarded_id(guarded: Node) -> object:
    bearer = [("Authorization", f"Bearer {TOKEN}")]
    with Answering(guarded.address, echo_function, headers=bearer) as provider:
        yield provider.id


def test_a_door_to_the_network_needs_a_token(start_node: StartNode) -> None:
    own = start_node(ready=False, local="0.0.0.0:0")
    assert own.wait() == 78
    assert "--local-token-file" in own.log.text()


FREE = ("/healthz", "/readyz")


@EVERY_ROUTE
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", "Bearer ")],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", TOKEN)],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Cookie", f"token={TOKEN}")],
    ],
    ids=str,
)
def test_without_the_token_401(guarded: Node, guarded_id: str, route: Route, headers: Headers) -> None:
    answer = knock(guarded, route, guarded_id, headers)
    if route.target in FREE:
        assert answer.status == 200
        return
    forbidden(answer, route, 401)
    assert answer.header("WWW-Authenticate") == "Bearer"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.verb != "DELETE"], ids=str)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_token_all_is_as_ever(guarded: Node, guarded_id: str, route: Route, scheme: str) -> None:
    assert knock(guarded, route, guarded_id, [("Authorization", f"{scheme} {TOKEN}")]).status == route.status


@pytest.mark.parametrize("target", ["/lambda/new", "/connect"])
def test_a_page_brings_the_token_as_a_subprotocol(guarded: Node, target: str) -> None:
    own = [("Origin", "http://localhost")]
    with WebSocket.open(guarded.address, target, headers=own, subprotocols=(f"token.{TOKEN}", "json-rpc")) as ws:
        assert ws.handshake.header("Sec-WebSocket-Protocol") == "json-rpc"
    with WebSocket.open(guarded.address, target, subprotocols=("json-rpc", f"token.{TOKEN}")) as ws:
        assert ws.handshake.header("Sec-WebSocket-Protocol") == "json-rpc"


def test_a_page_with_a_wrong_token(guarded: Node) -> None:
    with RawHttp(guarded.address) as http:
        http.send(handshake("/connect", [("Origin", "http://localhost")], subprotocols=("token.wrong", "json-rpc")))
        answer = http.answer()
        if answer.status != 401:
            assert WebSocket.over(http, answer).close_code() == 4403


def test_the_token_is_nowhere_to_be_read(guarded: Node, guarded_id: str) -> None:
    bearer = [("Authorization", f"Bearer {TOKEN}")]
    with WebSocket.open(guarded.address, "/lambda/new", subprotocols=(f"token.{TOKEN}", "json-rpc")) as ws:
        ws.message()
        ws.send(b'{"id":0,"result":"ok"}')
        for target in ("/lambda", "/debug/headers", "/metrics"):
            assert TOKEN.encode() not in guarded.fetch("GET", target, headers=bearer).body
    assert TOKEN not in guarded.log.text()


@pytest.mark.parametrize("content", ["", "\n", "   \n"])
def test_an_empty_token_is_no_token(start_node: StartNode, tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)
    assert start_node(ready=False, local="0.0.0.0:0", local_token_file=path).wait() == 78


def test_a_token_file_that_is_not_there(start_node: StartNode, tmp_path: Path) -> None:
    own = start_node(ready=False, local="0.0.0.0:0", local_token_file=tmp_path / "missing")
    assert own.wait() == 78
    assert "missing" in own.log.text()
