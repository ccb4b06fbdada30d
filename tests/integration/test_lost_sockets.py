"""Sockets that end, freeze or never open: what becomes of their calls."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.calling import answered, call, gone
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import WebSocket
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Providers that end


def leave_fin(provider: Provider) -> None:
    provider.ws.http.close()


def leave_rst(provider: Provider) -> None:
    provider.ws.http.reset()


def leave_close(provider: Provider) -> None:
    provider.ws.send_close(1000)


def leave_away(provider: Provider) -> None:
    provider.ws.send_close(1001)


@pytest.mark.parametrize("leave", [leave_fin, leave_rst, leave_close, leave_away])
def test_a_provider_that_ends_loses_its_calls_at_once(
    node: Node, open_lambda: OpenLambda, leave: Callable[[Provider], None]
) -> None:
    provider = open_lambda(node)
    callers = [RawHttp(node.address) for _ in range(3)]
    for http in callers:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
    began_at = time.monotonic()
    leave(provider)
    for http in callers:
        assert refused(http.answer(), 502, "lambda_lost").delivered == "unknown"
        http.close()
    assert time.monotonic() - began_at < 5.0
    assert provider.id not in node.fetch("GET", "/lambda").json()
    assert gone(node, provider.id)
    assert refused(call(node, provider.id), 410, "lambda_gone").delivered == "no"


@pytest.fixture(scope="module")
def brisk(shared_node: StartNode) -> Node:
    """A node that pings often and waits for little."""
    return shared_node(ping_interval_s=0.2, open_timeout_s=0.4)


def test_a_frozen_provider_is_gone_after_two_misses(brisk: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(brisk)
    with RawHttp(brisk.address) as http:
        began_at = time.monotonic()
        answer = http.ask("POST", f"/lambda/{provider.id}/m")
        assert refused(answer, 502, "lambda_lost").delivered == "unknown"
        assert 0.2 < time.monotonic() - began_at < 5.0
    assert gone(brisk, provider.id)


def test_a_provider_that_answers_pings_stays(brisk: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(brisk)
    with RawHttp(brisk.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m?timeout=1.5"))
        held = provider.next_call()
        while provider.ws.pings_seen < 5:
            provider.ws.read_ping()
        provider.answer(held, b"1")
        assert http.answer().json() == 1


def test_the_caller_side_of_a_connect_is_pinged_too(brisk: Node) -> None:
    with WebSocket.open(brisk.address, "/connect") as ws:
        for _ in range(4):
            ws.read_ping()
        ws.send(b'{"id":1,"method":"/ping","params":[]}')
        assert ws.json()["error"] is None


def test_an_open_that_nobody_answers_is_closed_with_4408(brisk: Node) -> None:
    with Provider(brisk.address) as provider:
        assert provider.id not in brisk.fetch("GET", "/lambda").json()
        refused(call(brisk, provider.id), 404, "lambda_not_found")
        assert provider.ws.close_code() == 4408
        assert brisk.fetch("GET", f"/lambda/{provider.id}").status in (404, 410)


@pytest.mark.parametrize("error", [b'"no"', b'{"code":1,"message":"no"}', b"1"])
def test_an_open_that_is_refused_ends_the_socket(node: Node, error: bytes) -> None:
    with Provider(node.address) as provider:
        provider.ws.send(b'{"id":0,"error":%b}' % error)
        assert provider.ws.close_code() in {1000, *range(4400, 4500)}
        assert provider.id not in node.fetch("GET", "/lambda").json()


@pytest.mark.parametrize("result", [b'"ok"', b"null", b"{}", b'{"meta":true}', b"false", b"0"])
def test_any_result_opens(node: Node, result: bytes) -> None:
    with Provider(node.address) as provider:
        provider.ws.send(b'{"id":0,"result":%b}' % result)
        provider.settle()
        assert node.fetch("GET", f"/lambda/{provider.id}").json()["state"] == "open"
        assert answered(node, provider, b'{"id":%d,"result":1}').json() == 1
