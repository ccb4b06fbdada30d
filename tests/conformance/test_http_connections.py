"""Connections: kept, closed, pipelined."""

from __future__ import annotations

import pytest

from tests.conformance.requests import (
    HOST,
    OpenLambda,
    alive,
    never_reached,
)
from tests.nodes import Node
from tests.providers import Answering
from tests.wire import RawHttp, lines, request, sound

# Connections


def test_a_connection_serves_many_requests(node: Node, echo: Answering) -> None:
    rays = set()
    with RawHttp(node.address) as http:
        for number in range(50):
            answer = sound(http.ask("POST", f"/lambda/{echo.id}/m", b"%d" % number))
            assert answer.json() == number
            assert answer.header("Connection") in (None, "keep-alive")
            rays.add(answer.header("X-Ray"))
    assert len(rays) == 50


@pytest.mark.parametrize("value", ["close", "Close", "foo, close"])
def test_connection_close_is_done(node: Node, value: str) -> None:
    with RawHttp(node.address) as http:
        answer = http.ask("GET", "/ping", headers=[("Connection", value)])
        assert answer.header("Connection") == "close"
        assert http.rest() == b""


def test_http_1_0_keeps_the_connection_if_asked(node: Node) -> None:
    with RawHttp(node.address) as http:
        for _ in range(2):
            http.send(lines("GET /ping HTTP/1.0", HOST, "Connection: keep-alive"))
            answer = sound(http.answer())
            assert answer.status == 200
            if answer.header("Connection") != "keep-alive":
                assert http.rest() == b""
                return
        assert alive(http)


def test_pipelined_requests_are_answered_in_order(node: Node, echo: Answering) -> None:
    requests = [
        request("POST", f"/lambda/{echo.id}/m", b"%d" % n) if n % 2 else request("GET", f"/ping?{n}") for n in range(20)
    ]
    with RawHttp(node.address) as http:
        http.send(b"".join(requests))
        answers = [sound(http.answer()).json() for _ in requests]
        assert alive(http)
    assert answers[1::2] == list(range(1, 20, 2))
    assert len(set(map(str, answers[0::2]))) == 1


def test_pipelined_errors_keep_their_place(node: Node, echo: Answering) -> None:
    target = f"/lambda/{echo.id}/m"
    mixed = [
        request("POST", target, b"1"),
        request("POST", target, b"nul"),
        request("GET", "/nowhere"),
        request("POST", target, b"2"),
    ]
    with RawHttp(node.address) as http:
        http.send(b"".join(mixed))
        assert [http.answer().status for _ in mixed] == [200, 400, 404, 200]
        assert alive(http)


def test_pipelined_calls_may_be_answered_late(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(b"".join(request("POST", f"/lambda/{provider.id}/m", b"%d" % n) for n in range(20)))
        for _ in range(20):
            call = provider.next_call()
            provider.answer(call, call.body)
        assert [http.answer().json() for _ in range(20)] == list(range(20))


def test_reading_pauses_behind_unanswered_requests(node: Node, open_lambda: OpenLambda) -> None:
    """While the first of them waits for its answer the node takes some, not all; then all are answered."""
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        held = provider.next_call()
        ping = request("GET", "/ping", headers=[("X-Pad", "x" * 8_000)])
        taken = http.flood(ping, at_most=8_000)
        assert taken < 8_000
        provider.answer(held, b"1")
        assert http.answer().json() == 1
        assert {http.answer().status for _ in range(taken)} == {200}


def test_nothing_behind_a_broken_request_is_served(node: Node, echo: Answering) -> None:
    with RawHttp(node.address) as http:
        http.send(lines("GET /ping HTTP/1.1") + request("POST", f"/lambda/{echo.id}/never", b"1"))
        assert http.answer().status == 400
        assert http.rest() == b""
    assert never_reached(echo, node)


def test_a_broken_request_waits_for_the_answers_before_it(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1") + b"BROKEN\r\n\r\n")
        provider.answer(provider.next_call(), b"1")
        assert http.answer().json() == 1
        assert http.answer().status == 400
        assert http.rest() == b""


def test_json_answers_name_their_type(node: Node, echo: Answering) -> None:
    for target in ("/lambda", f"/lambda/{echo.id}", "/ping", "/version", "/peers", "/peers/alive"):
        assert node.fetch("GET", target).header("Content-Type") == "application/json; charset=utf-8"
    assert node.fetch("POST", f"/lambda/{echo.id}/m").header("Content-Type") == "application/json; charset=utf-8"
