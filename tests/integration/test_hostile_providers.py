"""Providers that say too much in too many pieces, or what no provider says: callers and the node notice nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.calling import call, gone
from tests.integration.metering import metric
from tests.integration.reopening import KEY_HEADER
from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo as echo_function
from tests.websocket import BINARY, CONTINUATION, TEXT, WebSocket, frame, frame_head
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]

MIB = 1 << 20
ROUTES = pytest.mark.parametrize("target", ["/lambda/new", "/connect"])


def test_too_many_values_in_a_message(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    own = shared_node(message_values=8)
    provider = open_lambda(own)
    with RawHttp(own.address) as caller:
        caller.send(request("POST", f"/lambda/{provider.id}/m"))
        number = provider.next_call().number
        stray = b'{"id":%d,"result":1}' % 99
        provider.ws.send(stray * 7 + b'{"id":%d,"result":"eighth"}' % (number or 0))
        assert caller.answer().json() == "eighth"
        caller.send(request("POST", f"/lambda/{provider.id}/m"))
        number = provider.next_call().number
        provider.ws.send(stray * 8 + b'{"id":%d,"result":"ninth"}' % (number or 0))
        assert provider.ws.close_code() == 1009
        refused(caller.answer(), 502, "lambda_lost")


@pytest.fixture(scope="module")
def narrow(shared_node: StartNode) -> Node:
    """A node that buffers little."""
    return shared_node(buffered_bytes=MIB)


UNFINISHED = {
    "a frame": frame_head(BINARY, 4 * MIB) + b" " * 2 * MIB,
    "fragments": frame(BINARY, b" " * 300_000, fin=False) + frame(CONTINUATION, b" " * 300_000, fin=False) * 6,
}


@ROUTES
@pytest.mark.parametrize("stream", UNFINISHED.values(), ids=UNFINISHED)
def test_what_is_not_yet_whole_is_bounded(narrow: Node, target: str, stream: bytes) -> None:
    with WebSocket.open(narrow.address, target) as ws:
        ws.http.send(stream)
        assert ws.close_code() == 4429
    until(lambda: metric(narrow, "buffered_bytes") == 0, "it is given back")


@ROUTES
def test_all_that_is_not_yet_whole_is_bounded_together(narrow: Node, target: str) -> None:
    half = frame_head(BINARY, 4 * MIB) + b" " * (700 * 1024)
    with WebSocket.open(narrow.address, target) as first, WebSocket.open(narrow.address, target) as second:
        first.http.send(half)
        until(lambda: metric(narrow, "buffered_bytes") >= 700 * 1024, "it counts")
        second.http.send(half)
        assert second.close_code() == 4429
        first.http.reset()
    until(lambda: metric(narrow, "buffered_bytes") == 0, "it is given back")
    with WebSocket.open(narrow.address, target) as third:
        third.http.send(half)
        until(lambda: metric(narrow, "buffered_bytes") >= 700 * 1024, "there is room again")


def test_bodies_of_calls_that_wait_are_bounded_and_given_back(narrow: Node, open_lambda: OpenLambda) -> None:
    body = b'"' + b"x" * (600 * 1024) + b'"'
    provider = open_lambda(narrow, "/lambda/new?grace=30")
    provider.ws.http.reset()
    target = f"/lambda/{provider.id}"
    until(lambda: narrow.fetch("GET", target).json().get("state") == "waiting", "the lambda waits")
    with RawHttp(narrow.address) as first:
        first.send(request("POST", f"{target}/m", body))
        until(lambda: metric(narrow, "buffered_bytes") == len(body), "it waits and counts")
        assert refused(narrow.fetch("POST", f"{target}/m", body), 503, "overloaded").delivered == "no"
        first.reset()
    until(lambda: metric(narrow, "buffered_bytes") == 0, "its caller has gone")
    refused(narrow.fetch("POST", f"{target}/m?timeout=0.2", body), 504, "timeout")
    assert metric(narrow, "buffered_bytes") == 0
    with RawHttp(narrow.address) as last:
        last.send(request("POST", f"{target}/m", body))
        until(lambda: metric(narrow, "buffered_bytes") == len(body), "it waits and counts")
        with Provider(narrow.address, f"/lambda/new/{provider.id}", headers=[(KEY_HEADER, provider.key)]) as again:
            again.ws.send(b'{"id":0,"result":"ok"}')
            waited = again.next_call()
            assert waited.body == body
            assert metric(narrow, "buffered_bytes") == 0
            again.answer(waited, b"1")
            assert last.answer().json() == 1


@pytest.mark.parametrize("stream", [b'{"id":1,"resu', b'{"id":1,"result":"' + b"x" * MIB], ids=["short", "long"])
def test_a_provider_that_ends_inside_of_a_message_harms_nobody(
    node: Node, open_lambda: OpenLambda, stream: bytes
) -> None:
    provider = open_lambda(node)
    provider.ws.send_frame(TEXT, stream)
    provider.settle()
    provider.ws.http.reset()
    until(lambda: gone(node, provider.id), "it is gone")
    with Answering(node.address, echo_function) as other:
        assert call(node, other.id, b"1").json() == 1
