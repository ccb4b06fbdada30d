"""``/events``: openings and closings as they happen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.events import EventStream
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import CLOSE, frame
from tests.wire import RawHttp, refused, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Events


def test_events_tell_of_opening_and_closing(node: Node, open_lambda: OpenLambda) -> None:
    with EventStream(node.address) as events:
        assert (events.head.header("Content-Type") or "").startswith("text/event-stream")
        provider = open_lambda(node)
        name, opened = events.of(provider.id)
        assert name == "open"
        shown = node.fetch("GET", f"/lambda/{provider.id}").json()
        assert opened == {"id": provider.id, "timestamp": shown["timestamp"], "code": "json-rpc", "reopened": False}
        provider.ws.send_close(1000)
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "closed"})


def by_close(node: Node, provider: Provider) -> None:
    provider.ws.send_close()


def by_fin(node: Node, provider: Provider) -> None:
    provider.ws.http.close()


def by_rst(node: Node, provider: Provider) -> None:
    provider.ws.http.reset()


def by_delete(node: Node, provider: Provider) -> None:
    node.fetch("DELETE", f"/lambda/{provider.id}")


def by_fault(node: Node, provider: Provider) -> None:
    provider.ws.http.send(frame(CLOSE, b"\x00"))


def by_garbage(node: Node, provider: Provider) -> None:
    provider.ws.send(b"hello")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (by_close, "closed"),
        (by_fin, "lost"),
        (by_rst, "lost"),
        (by_delete, "deleted"),
        (by_fault, "error"),
        (by_garbage, "error"),
    ],
)
def test_events_name_the_reason(
    node: Node, open_lambda: OpenLambda, end: Callable[[Node, Provider], None], reason: str
) -> None:
    with EventStream(node.address) as events:
        provider = open_lambda(node)
        assert events.of(provider.id)[0] == "open"
        end(node, provider)
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": reason})


def test_events_of_missed_pings(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    brisk = shared_node(ping_interval_s=0.1)
    with EventStream(brisk.address) as events:
        provider = open_lambda(brisk)
        assert events.of(provider.id)[0] == "open"
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "timeout"})


def test_a_lambda_that_did_not_open_is_no_event(node: Node, open_lambda: OpenLambda) -> None:
    with EventStream(node.address) as events:
        with Provider(node.address) as refusing:
            refusing.ws.send(b'{"id":0,"error":"no"}')
            refusing.ws.close_code()
        accepted = open_lambda(node)
        while (heard := events.next_event()[1]["id"]) != accepted.id:
            assert heard != refusing.id


def test_every_subscriber_hears(node: Node, open_lambda: OpenLambda) -> None:
    with EventStream(node.address) as one, EventStream(node.address) as two:
        provider = open_lambda(node)
        assert one.of(provider.id) == two.of(provider.id)


def test_subscribers_are_bounded(start_node: StartNode) -> None:
    own = start_node(events_subscribers=1)
    with EventStream(own.address):
        answer = refused(own.fetch("GET", "/events"), 503, "overloaded")
        assert int(answer.header("Retry-After") or 0) >= 1


def test_a_silent_stream_carries_comments(start_node: StartNode) -> None:
    own = start_node(stream_ping_s=0.1)
    with EventStream(own.address) as events:
        assert b": ping" in [events.comment() for _ in range(2)]
        assert [events.comment() for _ in range(3)] == [b": ping"] * 3


def test_head_of_events_ends(node: Node) -> None:
    with RawHttp(node.address) as http:
        answer = sound(http.ask("HEAD", "/events"))
        assert answer.status == 200
        assert (answer.header("Content-Type") or "").startswith("text/event-stream")
