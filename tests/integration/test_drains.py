"""A drain with calls that wait, lambdas in grace, providers half open and readers of events."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.events import EventStream
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


@pytest.fixture
def own(start_node: StartNode) -> Node:
    return start_node(drain_s=8.0, drain_spread_s=0.1, close_timeout_s=0.5)


def waiting(node: Node, open_lambda: OpenLambda) -> Provider:
    """The last provider of a lambda in grace."""
    provider = open_lambda(node, "/lambda/new?grace=60")
    provider.ws.http.reset()
    until(lambda: node.fetch("GET", f"/lambda/{provider.id}").json().get("state") == "waiting", "the lambda waits")
    return provider


def test_calls_that_wait_are_refused_at_once(own: Node, open_lambda: OpenLambda) -> None:
    provider = waiting(own, open_lambda)
    with EventStream(own.address) as events, RawHttp(own.address) as first, RawHttp(own.address) as second:
        for caller in (first, second):
            caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        in_flight = "lambdamesh_calls_in_flight 2.0"
        until(lambda: in_flight in own.fetch("GET", "/metrics").body.decode(), "both wait")
        began_at = time.monotonic()
        own.signal(signal.SIGTERM)
        for caller in (first, second):
            answer = refused(caller.answer(), 503, "draining")
            assert answer.delivered == "no"
            assert int(answer.header("Retry-After") or 0) >= 1
        assert time.monotonic() - began_at < 3.0
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "drained"})
        assert events.http.rest() == b""
    assert own.wait() == 0
    assert time.monotonic() - began_at < 5.0


def test_a_lambda_in_grace_is_drained(own: Node, open_lambda: OpenLambda) -> None:
    provider = waiting(own, open_lambda)
    with EventStream(own.address) as events:
        own.signal(signal.SIGTERM)
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "drained"})
    assert own.wait() == 0


@pytest.fixture
def busy(own: Node) -> Iterator[tuple[Node, Callable[[], None]]]:
    """A node that a call keeps from ending, and how to let it end."""
    with Provider(own.address) as provider, RawHttp(own.address) as caller:
        provider.accept()
        caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        held = provider.next_call()

        def finish() -> None:
            provider.answer(held)
            assert caller.answer().status == 200

        yield own, finish


Busy = tuple[Node, Callable[[], None]]


@pytest.mark.parametrize("is_again", [False, True], ids=["new", "re-opened"])
def test_a_provider_that_answers_open_too_late_is_turned_away(
    busy: Busy, open_lambda: OpenLambda, is_again: bool
) -> None:
    own, finish = busy
    target = "/lambda/new"
    if is_again:
        first = open_lambda(own)
        first.ws.send_close(1000)
        first.ws.close_code()
        target = f"/lambda/new/{first.id}"
    with EventStream(own.address) as events, Provider(own.address, target) as late:
        own.signal(signal.SIGTERM)
        until(lambda: own.fetch("GET", "/readyz").status == 503, "the node drains")
        late.ws.send(b'{"id":0,"result":"ok"}')
        assert late.ws.close_code() == 4503
        assert late.id not in own.fetch("GET", "/lambda").json()
        assert own.fetch("GET", f"/lambda/{late.id}").status in (404, 410, 503)
        finish()
        told = events.http.rest().decode()
        assert late.id not in told
    assert own.wait() == 0


def test_a_lambda_that_ends_while_the_node_drains_has_no_grace(busy: Busy, open_lambda: OpenLambda) -> None:
    own, finish = busy
    provider = open_lambda(own, "/lambda/new?grace=60")
    own.signal(signal.SIGTERM)
    until(lambda: own.fetch("GET", "/readyz").status == 503, "the node drains")
    provider.ws.http.reset()
    until(lambda: own.fetch("GET", f"/lambda/{provider.id}").status == 410, "it is gone")
    finish()
    assert own.wait() == 0


@pytest.mark.parametrize("count", [1, 5])
def test_readers_of_events_end_without_an_error(own: Node, open_lambda: OpenLambda, count: int) -> None:
    provider = open_lambda(own)
    streams = [EventStream(own.address) for _ in range(count)]
    own.signal(signal.SIGTERM)
    for stream in streams:
        assert stream.of(provider.id) == ("close", {"id": provider.id, "reason": "drained"})
        assert stream.http.rest() == b""
        stream.http.close()
    assert own.wait() == 0
    assert [line for line in own.logs if line.get("level") in ("warning", "error", "critical")] == []


def test_a_reader_of_events_that_takes_nothing_does_not_hold_a_drain(own: Node) -> None:
    with EventStream(own.address):
        began_at = time.monotonic()
        own.signal(signal.SIGTERM)
        assert own.wait() == 0
        assert time.monotonic() - began_at < 3.0
    assert [line for line in own.logs if line.get("level") in ("warning", "error", "critical")] == []
