"""A node that goes down says so before it closes, so that nothing is sent into the end of a connection."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo as echo_function
from tests.websocket import WebSocket
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
END = "$/end"
NOTICE_S = 2.0
"""How long a caller may take to answer that it knows."""


@pytest.fixture
def own(start_node: StartNode) -> Node:
    return start_node(drain_spread_s=0.1, close_timeout_s=5.0)


@pytest.fixture
def caller(own: Node) -> Iterator[WebSocket]:
    with WebSocket.open(own.address, "/connect", subprotocols=("json-rpc-2.0",)) as ws:
        yield ws


def ask(ws: WebSocket, number: int, lambda_id: str) -> None:
    ws.send(b'{"jsonrpc":"2.0","id":%d,"method":"POST /lambda/%b/m","params":[1]}' % (number, lambda_id.encode()))


def drained(own: Node, ws: WebSocket) -> None:
    """Ask a node to go down, and wait until it says so."""
    own.signal(signal.SIGTERM)
    assert ws.json() == {"jsonrpc": "2.0", "method": "node.draining", "id": END}


@pytest.mark.parametrize(
    "answer", [{"result": None}, {"error": {"code": -32601, "message": "no"}}], ids=["known", "unknown"]
)
def test_what_was_asked_before_a_caller_knows_is_answered_before_the_close(
    own: Node, caller: WebSocket, answer: dict[str, object]
) -> None:
    with Answering(own.address, echo_function) as provider:
        drained(own, caller)
        for number in range(100):
            ask(caller, number, provider.id)
        caller.send(json.dumps({"jsonrpc": "2.0", "id": END, **answer}).encode())
        answers = [caller.json() for _ in range(100)]
        assert [one["id"] for one in answers] == list(range(100))
        assert {one["error"]["data"]["code"] for one in answers} == {"draining"}
        assert {one["error"]["data"]["delivered"] for one in answers} == {"no"}
        assert caller.close_code() == 4503
    assert own.wait() == 0


def test_a_call_that_began_before_goes_on(own: Node, caller: WebSocket) -> None:
    with Provider(own.address) as provider:
        provider.accept()
        ask(caller, 1, provider.id)
        held = provider.next_call()
        drained(own, caller)
        caller.send(b'{"jsonrpc":"2.0","id":"%b","result":null}' % END.encode())
        provider.answer(held)
        assert caller.json()["result"] == "ok"
        assert caller.close_code() == 4503
    assert own.wait() == 0


def test_a_caller_that_does_not_answer_keeps_nobody(own: Node, caller: WebSocket) -> None:
    drained(own, caller)
    began_at = time.monotonic()
    assert caller.close_code() == 4503
    assert own.wait() == 0
    assert NOTICE_S / 2 < time.monotonic() - began_at < NOTICE_S + 5.0


def test_a_caller_that_ends_instead_keeps_nobody(own: Node, caller: WebSocket) -> None:
    drained(own, caller)
    began_at = time.monotonic()
    caller.send_close(1000)
    caller.close_code()
    caller.close()
    assert own.wait() == 0
    assert time.monotonic() - began_at < NOTICE_S


def test_callers_of_the_first_codec_are_told_nothing_new(own: Node) -> None:
    with WebSocket.open(own.address, "/connect", subprotocols=("json-rpc",)) as ws:
        own.signal(signal.SIGTERM)
        frame = ws.frame_but_pings()
        assert frame.payload[:2] == (4503).to_bytes(2, "big")
    assert own.wait() == 0


@pytest.fixture
def busy(own: Node) -> Iterator[Callable[[], None]]:
    """Has a call keep the node from its end, until this is called."""
    with Provider(own.address) as provider, RawHttp(own.address) as http:
        provider.accept()
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        held = provider.next_call()

        def finish() -> None:
            provider.answer(held)
            answer = http.answer()
            assert answer.status == 200

        yield finish


def test_every_answer_of_a_drain_says_that_its_connection_ends(own: Node, busy: Callable[[], None]) -> None:
    with RawHttp(own.address) as kept:
        kept.send(request("GET", "/ping"))
        assert kept.answer().header("Connection") != "close"
        own.signal(signal.SIGTERM)
        until(lambda: own.fetch("GET", "/readyz").status == 503, "the node drains")
        kept.send(request("POST", "/lambda/rhowRuuCUoE5vlcA/m", b"1"))
        answer = refused(kept.answer(), 503, "draining")
        assert answer.header("Connection") == "close"
        assert kept.rest() == b""
    busy()
    assert own.wait() == 0


def test_a_connection_that_is_new_at_the_end_is_answered(own: Node, busy: Callable[[], None]) -> None:
    own.signal(signal.SIGTERM)
    until(lambda: own.fetch("GET", "/readyz").status == 503, "the node drains")
    with RawHttp(own.address) as fresh:
        busy()
        until(lambda: not _listens(own), "the door is shut")
        fresh.send(request("POST", "/lambda/rhowRuuCUoE5vlcA/m", b"1"))
        assert refused(fresh.answer(), 503, "draining").delivered == "no"
    assert own.wait() == 0


def _listens(node: Node) -> bool:
    try:
        RawHttp(node.address).close()
    except ConnectionRefusedError:
        return False
    return True
