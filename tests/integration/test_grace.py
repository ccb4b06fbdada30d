"""A lambda with a grace waits for its provider to come back."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.events import EventStream
from tests.integration.reopening import KEY_HEADER, refusal
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Grace


def waiting(node: Node, provider: Provider, code: int | None = None) -> None:
    """End the provider's socket so that the lambda waits: without a word, or with ``code``."""
    if code is None:
        provider.ws.http.reset()
    else:
        provider.ws.send_close(code)
        provider.ws.close_code()
    until(lambda: node.fetch("GET", f"/lambda/{provider.id}").json().get("state") == "waiting", "the lambda waits")


def held_back(node: Node, lambda_id: str) -> RawHttp:
    """A caller whose call waits for the lambda to come back."""
    http = RawHttp(node.address)
    http.send(request("POST", f"/lambda/{lambda_id}/waited", b"1"))
    assert http.quiet(for_s=0.05)
    return http


@pytest.mark.parametrize("code", [None, 1001, 3000], ids=str)
def test_a_lambda_with_grace_waits_and_its_calls_with_it(node: Node, open_lambda: OpenLambda, code: int | None) -> None:
    first = open_lambda(node, "/lambda/new?grace=5")
    waiting(node, first, code)
    assert first.id in node.fetch("GET", "/lambda").json()
    key = [(KEY_HEADER, first.key)]
    with held_back(node, first.id) as caller, Provider(node.address, f"/lambda/new/{first.id}", headers=key) as second:
        second.ws.send(b'{"id":0,"result":"ok"}')
        call = second.next_call()
        assert call.method == "waited"
        second.answer(call, b'"worth it"')
        assert caller.answer().json() == "worth it"


@pytest.mark.parametrize("code", [1000, None], ids=str)
def test_a_provider_that_closes_properly_has_no_grace(node: Node, open_lambda: OpenLambda, code: int | None) -> None:
    provider = open_lambda(node, "/lambda/new?grace=5")
    provider.ws.send_close(code)
    provider.ws.close_code()
    refused(node.fetch("GET", f"/lambda/{provider.id}"), 410, "lambda_gone")


def test_calls_under_way_are_lost_when_it_comes_back(node: Node, open_lambda: OpenLambda) -> None:
    """What was sent and not answered is never sent again."""
    first = open_lambda(node, "/lambda/new?grace=5")
    with RawHttp(node.address) as caller:
        caller.send(request("POST", f"/lambda/{first.id}/m"))
        first.next_call()
        waiting(node, first)
        second = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)])
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"
        second.settle()


def test_a_lambda_that_waits_needs_its_key(node: Node, open_lambda: OpenLambda) -> None:
    first = open_lambda(node, "/lambda/new?grace=5")
    waiting(node, first)
    assert refusal(node, f"/lambda/new/{first.id}") == (403, "forbidden")


def test_the_grace_ends(node: Node, open_lambda: OpenLambda) -> None:
    with EventStream(node.address) as events:
        first = open_lambda(node, "/lambda/new?grace=0.5")
        assert events.of(first.id)[0] == "open"
        began_at = time.monotonic()
        waiting(node, first)
        with held_back(node, first.id) as caller:
            answer = caller.answer()
            assert time.monotonic() - began_at >= 0.5
            assert answer.status in (410, 502)
            assert answer.delivered == "no"
        assert events.of(first.id) == ("close", {"id": first.id, "reason": "expired"})
    refused(node.fetch("GET", f"/lambda/{first.id}"), 410, "lambda_gone")


def test_waiting_calls_are_bounded_and_have_their_deadline(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    narrow = shared_node(waiting_calls=2)
    first = open_lambda(narrow, "/lambda/new?grace=5")
    waiting(narrow, first)
    with held_back(narrow, first.id), held_back(narrow, first.id):
        assert refused(narrow.fetch("POST", f"/lambda/{first.id}/m"), 503, "overloaded").delivered == "no"
    first = open_lambda(narrow, "/lambda/new?grace=5")
    waiting(narrow, first)
    answer = refused(narrow.fetch("POST", f"/lambda/{first.id}/m?timeout=0.2"), 504, "timeout")
    assert answer.delivered == "no"


def test_a_lambda_that_waits_can_be_deleted(node: Node, open_lambda: OpenLambda) -> None:
    first = open_lambda(node, "/lambda/new?grace=5")
    waiting(node, first)
    assert node.fetch("DELETE", f"/lambda/{first.id}").json() == {}
    assert refusal(node, f"/lambda/new/{first.id}", [(KEY_HEADER, first.key)])[0] in (403, 410)


@pytest.mark.parametrize("grace", ["x", "-1", "nan", "inf", ""])
def test_a_bad_grace(node: Node, grace: str) -> None:
    assert refusal(node, f"/lambda/new?grace={grace}") == (400, "bad_request")
