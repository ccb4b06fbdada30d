"""Streams of a ``json-rpc-2.0`` lambda over HTTP: as events or lines, and what becomes of the connection."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.integration.calling import call
from tests.integration.streaming import NDJSON, SSE, begun, wait_cancelled
from tests.json_rpc_2 import Provider2, calling
from tests.lambda_ids import sibling
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import Headers, RawHttp, lines, refused, request, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Forms


@pytest.mark.parametrize(
    ("headers", "content_type", "body"),
    [
        (SSE, "text/event-stream; charset=utf-8", b'data: [1]\n\ndata: "a\\nb"\n\nevent: result\ndata: {"n":2}\n\n'),
        (
            NDJSON,
            "application/x-ndjson; charset=utf-8",
            b'{"item":[1]}\n{"item":"a\\nb"}\n{"result":{"n":2}}\n',
        ),
    ],
    ids=["sse", "ndjson"],
)
def test_a_stream_over_http(provider: Provider2, headers: Headers, content_type: str, body: bytes) -> None:
    with calling(provider.node, provider.id, headers=headers) as http:
        asked = provider.call()
        assert (asked["meta"]["stream"], asked["meta"]["credit"]) == (True, 16)
        for value in ([1], "a\nb"):
            provider.item(asked, value)
        provider.answer(asked, {"n": 2})
        answer = sound(http.answer())
        assert (answer.status, answer.header("Content-Type")) == (200, content_type)
        assert answer.body == body.replace(b'{"n":2}', b'{"n": 2}')


def test_line_ends_inside_of_an_item_become_spaces(provider: Provider2) -> None:
    with calling(provider.node, provider.id, headers=SSE) as http:
        asked = provider.call()
        form = b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%d,"value":{\r\n"a":\n1}}}'
        provider.ws.send(form % asked["id"])
        provider.ws.send(b'{"jsonrpc":"2.0","id":%d,"result":[\n2]}' % asked["id"])
        assert http.answer().body == b'data: {  "a": 1}\n\nevent: result\ndata: [ 2]\n\n'


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/event-stream, */*", "text/event-stream;q=1", "text/html"]
)
def test_a_plain_caller_gets_the_result_only(provider: Provider2, accept: str | None) -> None:
    headers = [] if accept is None else [("Accept", accept)]
    with calling(provider.node, provider.id, headers=headers) as http:
        asked = provider.call()
        assert asked["meta"]["stream"] is False
        assert "credit" not in asked["meta"]
        for value in range(40):
            provider.item(asked, value)
        provider.answer(asked, [1, 2])
        assert http.answer().json() == [1, 2]
        provider.settle()


@pytest.mark.parametrize("codec", ["1.0", "2.0 without meta"])
def test_a_lambda_without_streams_answers_with_its_result(node: Node, open_lambda: OpenLambda, codec: str) -> None:
    if codec == "1.0":
        old = open_lambda(node)
        with calling(node, old.id, headers=SSE) as http:
            old.answer(old.next_call(), b"7")
            assert http.answer().body == b"event: result\ndata: 7\n\n"
        return
    with Provider2(node) as plain:
        plain.accept("ok")
        with calling(node, plain.id, headers=SSE) as http:
            asked = plain.call()
            assert "meta" not in asked
            plain.item(asked, "what it does not know")
            plain.answer(asked, 7)
            assert http.answer().body == b"event: result\ndata: 7\n\n"


@pytest.mark.parametrize("headers", [SSE, NDJSON], ids=["sse", "ndjson"])
def test_an_error_before_the_head_keeps_its_status(node: Node, provider: Provider2, headers: Headers) -> None:
    with calling(node, provider.id, headers=headers) as http:
        provider.fail(provider.call(), -32602, "no such number")
        assert refused(http.answer(), 400, "invalid_params").json()["rpc_code"] == -32602
    with calling(node, provider.id, "m?timeout=0.2", headers=headers) as http:
        asked = provider.call()
        assert refused(http.answer(), 504, "timeout").delivered == "unknown"
        wait_cancelled(provider, asked)
    refused(call(node, sibling(provider.id), headers=headers), 404, "lambda_not_found")
    refused(call(node, provider.id, b"nul", headers=headers), 400, "bad_request")


def test_an_error_behind_items_is_an_event(provider: Provider2) -> None:
    http, asked = begun(provider)
    with http:
        provider.fail(asked)
        assert http.chunk().startswith(b'event: error\ndata: {"error":"boom","code":"lambda_error","delivered":"yes"')
        assert http.chunk() == b""
    http, asked = begun(provider, NDJSON)
    with http:
        provider.fail(asked)
        assert http.chunk().startswith(b'{"error":"boom","code":"lambda_error","delivered":"yes"')
        assert http.chunk() == b""


def test_a_lost_provider_ends_the_stream_with_an_error(provider: Provider2) -> None:
    http, _ = begun(provider)
    with http:
        provider.ws.http.reset()
        ended = http.chunk()
        assert ended.startswith(b"event: error\ndata: ")
        assert b'"lambda_lost"' in ended
        assert http.chunk() == b""


# Connections


def test_the_connection_goes_on_behind_a_stream(provider: Provider2) -> None:
    http, asked = begun(provider)
    with http:
        provider.answer(asked, None)
        assert (http.chunk(), http.chunk()) == (b"event: result\ndata: null\n\n", b"")
        assert http.ask("GET", "/ping").status == 200
        http.send(request("POST", f"/lambda/{provider.id}/again", b"1", SSE))
        provider.answer(provider.call("again"), 2)
        assert http.answer().body == b"event: result\ndata: 2\n\n"


def test_a_request_behind_a_stream_waits_for_its_end(provider: Provider2) -> None:
    http, asked = begun(provider)
    with http:
        http.send(request("GET", "/ping") + request("POST", f"/lambda/{provider.id}/next", b"2", SSE))
        provider.item(asked, 1)
        assert http.chunk() == b"data: 1\n\n"
        assert http.quiet(for_s=0.1)
        provider.settle()
        provider.answer(asked, None)
        assert (http.chunk(), http.chunk()) == (b"event: result\ndata: null\n\n", b"")
        assert http.answer().status == 200
        provider.answer(provider.call("next"), 3)
        assert http.answer().body == b"event: result\ndata: 3\n\n"


@pytest.mark.parametrize("keep_alive", [False, True])
def test_http_1_0_gets_no_chunks(provider: Provider2, keep_alive: bool) -> None:
    fields = ["Connection: keep-alive"] if keep_alive else []
    with RawHttp(provider.node.address) as http:
        first = f"POST /lambda/{provider.id}/m HTTP/1.0"
        http.send(lines(first, "Host: localhost", "Accept: text/event-stream", "Content-Length: 1", *fields, body=b"1"))
        asked = provider.call()
        provider.item(asked, 1)
        provider.answer(asked, None)
        head = sound(http.head())
        assert head.header("Transfer-Encoding") is None
        assert head.header("Connection") == "close"
        assert http.rest() == b"data: 1\n\nevent: result\ndata: null\n\n"


def test_connection_close_is_kept(provider: Provider2) -> None:
    with calling(provider.node, provider.id, headers=[*SSE, ("Connection", "close")]) as http:
        asked = provider.call()
        provider.item(asked, 1)
        provider.answer(asked, None)
        head = http.head()
        assert head.header("Connection") == "close"
        assert list(iter(http.chunk, b"")) == [b"data: 1\n\n", b"event: result\ndata: null\n\n"]
        assert http.rest() == b""


def test_a_head_is_no_call(provider: Provider2) -> None:
    with RawHttp(provider.node.address) as http:
        answer = http.ask("HEAD", f"/lambda/{provider.id}/m", headers=SSE)
        assert answer.status == 405
        assert http.ask("GET", "/ping").status == 200
    provider.settle()


def test_a_page_may_read_a_stream(provider: Provider2) -> None:
    origin = "http://localhost"
    with calling(provider.node, provider.id, headers=[*SSE, ("Origin", origin)]) as http:
        asked = provider.call()
        provider.item(asked, 1)
        provider.answer(asked, None)
        assert http.answer().header("Access-Control-Allow-Origin") == origin


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("after", [0, 1], ids=["before the head", "behind an item"])
def test_a_caller_that_leaves_cancels(provider: Provider2, how: str, after: int) -> None:
    if after:
        http, asked = begun(provider)
    else:
        http = calling(provider.node, provider.id, headers=SSE)
        asked = provider.call()
    http.close() if how == "close" else http.reset()
    wait_cancelled(provider, asked)
    # What comes late is dropped.
    provider.item(asked, 1)
    provider.answer(asked, None)
    provider.settle()


def test_the_deadline_is_the_longest_silence(provider: Provider2) -> None:
    http, asked = begun(provider, target="m?timeout=0.6")
    with http:
        for value in range(1, 4):
            assert http.quiet(for_s=0.4)
            provider.item(asked, value)
            assert http.chunk() == b"data: %d\n\n" % value
        silent_at = time.monotonic()
        ended = http.chunk()
        assert 0.5 < time.monotonic() - silent_at < 3.0
        assert ended.startswith(b"event: error\ndata: ")
        assert b'"code":"timeout"' in ended
        assert http.chunk() == b""
        wait_cancelled(provider, asked)


def test_comments_on_a_silent_stream(shared_node: StartNode) -> None:
    own = shared_node(stream_ping_s=0.2)
    with Provider2(own) as provider:
        provider.accept()
        http, asked = begun(provider)
        with http:
            assert [http.chunk() for _ in range(3)] == [b": ping\n\n"] * 3
            provider.item(asked, 1)
            while (chunk := http.chunk()) == b": ping\n\n":
                pass
            assert chunk == b"data: 1\n\n"
        wait_cancelled(provider, asked)
        http, asked = begun(provider, NDJSON)
        with http:
            assert http.quiet(for_s=0.5)


# A drain


def test_a_stream_goes_on_through_a_drain(start_node: StartNode) -> None:
    own = start_node(drain_spread_s=0.1)
    with Provider2(own) as provider:
        provider.accept()
        http, asked = begun(provider)
        with http:
            own.signal(signal.SIGTERM)
            until(lambda: any(line.get("event") == "draining" for line in own.logs), "the node drains")
            provider.item(asked, 1)
            assert http.chunk() == b"data: 1\n\n"
            provider.answer(asked, None)
            assert (http.chunk(), http.chunk()) == (b"event: result\ndata: null\n\n", b"")
            assert http.rest() == b""
        assert provider.ws.close_code() == 4503
    assert own.wait() == 0
