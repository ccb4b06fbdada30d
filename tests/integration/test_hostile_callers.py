"""Callers that ask much, read little, or say what nobody should: the provider and the others notice nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.metering import memory_kib, metric
from tests.integration.reopening import answers
from tests.nodes import Node, until
from tests.providers import Answering, Provider
from tests.websocket import PING, WebSocket, frame
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]

LARGE = b'"' + b"x" * 12_000_000 + b'"'


def large_or_echo(method: str, body: bytes) -> bytes:
    return LARGE if method == "large" else body


# -- one connection ----------------------------------------------------------------------------------------------


def test_an_answer_of_a_head_alone_harms_nobody(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    target = f"/lambda/{provider.id}/m"
    with RawHttp(node.address) as http, RawHttp(node.address) as other:
        http.send(request("POST", target, b"1") + request("HEAD", "/events") + request("POST", target, b"2"))
        first = provider.next_call()
        other.send(request("POST", target, b"3"))
        third = provider.next_call()
        provider.answer(first, b'"one"')
        provider.answer(third, b'"three"')
        assert http.answer().json() == "one"
        head = http.answer(to_head=True)
        assert (head.status, head.header("Connection")) == (200, "close")
        assert http.rest() == b""
        assert other.answer().json() == "three"
    assert third.body == b"3"
    assert answers(node, provider)


def test_connect_gets_one_answer(node: Node) -> None:
    with RawHttp(node.address) as http:
        http.send(request("CONNECT", "/ping") + request("GET", "/ping"))
        refused(http.answer(), 400, "bad_request")
        assert http.rest() == b""


def test_many_upgrades_that_are_ignored_are_answered_in_order(node: Node) -> None:
    upgrade = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")]
    count = 1500
    with RawHttp(node.address) as http:
        http.send(b"".join(request("GET", f"/lambda?limit=x{number}", None, upgrade) for number in range(count)))
        assert [http.answer().status for _ in range(count)] == [400] * count
        assert http.ask("GET", "/ping").status == 200


def test_no_continue_that_nobody_waits_for(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    target = f"/lambda/{provider.id}/m"
    with RawHttp(node.address) as http:
        http.send(request("POST", target, b"1"))
        first = provider.next_call()
        http.send(request("POST", target, b"2", [("Expect", "100-continue")]) + request("GET", "/ping"))
        provider.answer(first)
        assert http.answer().status == 200
        provider.answer(provider.next_call(), b'"two"')
        assert http.answer().json() == "two"
        assert http.answer().json() == node.fetch("GET", "/ping").json()


@pytest.mark.parametrize("limit", ["9" * 5000, "0" * 5000])
def test_a_number_of_thousands_of_digits_is_no_limit(node: Node, limit: str) -> None:
    refused(node.fetch("GET", f"/lambda?limit={limit}"), 400, "bad_request")


# -- slow readers ------------------------------------------------------------------------------------------------

SMALL_BUFFER_BYTES = 64 * 1024


@pytest.fixture
def brisk(start_node: StartNode, tmp_path: Path) -> Node:
    """A node with little patience; on its Unix socket the system holds little for it."""
    return start_node(
        close_timeout_s=0.3, write_deadline_s=2.0, ping_interval_s=0.2, queue_bytes=65536, local=f"unix:{tmp_path}/s"
    )


def has_come(at: float) -> Callable[[], bool]:
    return lambda: time.monotonic() >= at


def read_steadily(http: RawHttp, size_bytes: int, for_s: float) -> bytes:
    """Read so much, evenly spread over a time."""
    steps = 40
    began_at, pieces = time.monotonic(), []
    for step in range(1, steps + 1):
        pieces.append(http.exactly(size_bytes * step // steps - size_bytes * (step - 1) // steps))
        until(has_come(began_at + for_s * step / steps), "time for the next piece")
    return b"".join(pieces)


@pytest.mark.parametrize("headers", [[("Connection", "close")], []], ids=["closing", "kept"])
def test_a_slow_but_steady_reader_gets_all_of_its_answer(brisk: Node, headers: list[tuple[str, str]]) -> None:
    with Answering(brisk.address, large_or_echo) as provider, RawHttp(brisk.address, SMALL_BUFFER_BYTES) as http:
        http.send(request("POST", f"/lambda/{provider.id}/large", b"1", headers))
        head = http.head()
        assert (head.status, head.header("Content-Length")) == (200, str(len(LARGE)))
        assert read_steadily(http, len(LARGE), 1.5) == LARGE
        if headers:
            assert http.rest() == b""
        else:
            assert http.ask("POST", f"/lambda/{provider.id}/m", b"5").json() == 5
    assert metric(brisk, "sockets_cut_stuck_total") == 0


def test_a_slow_but_steady_reader_on_connect_is_not_silent(brisk: Node) -> None:
    with (
        Answering(brisk.address, large_or_echo) as provider,
        WebSocket.open(brisk.address, "/connect", receive_buffer_bytes=SMALL_BUFFER_BYTES) as ws,
    ):
        ws.send(b'{"id":1,"method":"POST /lambda/%b/large","params":[1]}' % provider.id.encode())
        until(lambda: "large" in provider.methods(), "the call is there")
        assert (
            ws.message(lambda size: read_steadily(ws.http, size, 1.5)) == b'{"id":1,"result":%b,"error":null}' % LARGE
        )
        ws.send(b'{"id":2,"method":"/ping","params":[]}')
        assert ws.json()["error"] is None
    assert metric(brisk, "sockets_cut_silent_total") == 0


# -- /connect ----------------------------------------------------------------------------------------------------


def test_too_many_values_in_a_message(shared_node: StartNode) -> None:
    own = shared_node(message_values=8)
    one = b'{"id":%d,"method":"/ping"}'
    with WebSocket.open(own.address, "/connect") as ws:
        ws.send(b"".join(one % number for number in range(8)))
        assert [ws.json()["id"] for _ in range(8)] == list(range(8))
        ws.send(b"".join(one % number for number in range(9)))
        assert ws.close_code() == 1009


@pytest.fixture
def ws(node: Node) -> Iterator[WebSocket]:
    with WebSocket.open(node.address, "/connect") as socket:
        yield socket


def statuses(ws: WebSocket, count: int) -> dict[object, str]:
    """The beginning of so many answers by their ids: their status, or nothing."""
    answered = [ws.json() for _ in range(count)]
    return {one["id"]: (one["error"] or "").partition(":")[0] for one in answered}


def test_what_is_no_path_or_too_long_a_one(ws: WebSocket) -> None:
    for number, method in enumerate(["POST junk/ping", "junk", "POST ", "GET /" + "x" * 16_384, "/ping"]):
        ws.send(json.dumps({"id": number, "method": method, "params": []}).encode())
    assert statuses(ws, 5) == {0: "error 400", 1: "error 400", 2: "error 400", 3: "error 431", 4: ""}


def test_a_bad_request_of_an_id_of_thousands_of_digits(ws: WebSocket) -> None:
    ws.send(b'{"id":%b,"method":5}' % (b"7" * 5000))
    assert ws.message().startswith(b'{"id":%b,"result":null,"error":"error 400: ' % (b"7" * 5000))
    ws.send(b'{"id":1,"method":"/ping"}')
    assert statuses(ws, 1) == {1: ""}


# -- pings without reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/connect", "/lambda/new"])
@pytest.mark.parametrize("door", [0, 1], ids=["tcp", "unix"])
def test_whoever_pings_without_reading_is_cut(start_node: StartNode, tmp_path: Path, target: str, door: int) -> None:
    own = start_node(
        write_deadline_s=0.5, queue_bytes=65536, open_timeout_s=60, local=["127.0.0.1:0", f"unix:{tmp_path}/s"]
    )
    assert metric(own, "websockets") == 0
    before_kib = memory_kib(own)
    pings, ends_at = frame(PING, b"x" * 125) * 500, time.monotonic() + 20.0
    with WebSocket.open(own.addresses[door], target, receive_buffer_bytes=4096) as ws:
        with contextlib.suppress(OSError):
            while metric(own, "websockets"):
                assert time.monotonic() < ends_at
                ws.http.flood(pings, 20, patience_s=0.05)
        until(lambda: metric(own, "websockets") == 0, "it is cut")
    if door == 1:  # On TCP the system may be the first to cut it.
        assert metric(own, "sockets_cut_stuck_total") == 1
    assert memory_kib(own) - before_kib < 8 * 1024


def test_whoever_pings_and_reads_is_answered_each_time(ws: WebSocket) -> None:
    ws.http.send(b"".join(frame(PING, b"%d" % number) for number in range(300)))
    assert [ws.pong() for _ in range(300)] == [b"%d" % number for number in range(300)]


# -- refused ones leave nothing ----------------------------------------------------------------------------------


def test_refused_requests_do_not_cost_memory(start_node: StartNode) -> None:
    own = start_node()
    evil = request("GET", "/ping", None, [("Origin", "https://evil.example")])

    def refuse_many() -> None:
        with RawHttp(own.address) as http:
            for _ in range(50):
                http.send(evil * 16)
                assert {http.answer().status for _ in range(16)} == {403}
        for _ in range(50):
            with RawHttp(own.address) as http:
                http.send(evil + b"nonsense\r\n\r\n")
                assert [http.answer().status for _ in range(2)] == [403, 400]

    refuse_many()
    before_kib = memory_kib(own)
    for _ in range(4):
        refuse_many()
    assert memory_kib(own) - before_kib < 2048
