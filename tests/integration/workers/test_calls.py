"""Calls that cross from one worker to another: they come as they went, whichever connection they enter by."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from itertools import product

import pytest

from tests.integration.workers.conftest import SHARED, StartNode
from tests.integration.workers.crew import client_at, entry, home_of, provider_2_at, provider_at, worker_of
from tests.json_rpc_2 import Counting
from tests.nodes import Node, until
from tests.providers import Answering
from tests.wire import RawHttp, refused, request, sound

PAIRS = list(product(range(SHARED), repeat=2))
CROSSING = [(0, 1), (2, 0)]
BODIES = [
    b"null", b"9007199254740993", b'{ "b" : 1, "a":1.0e5 }', rb'"\ud800"', '"é\U0001f600"'.encode(),
    b'{"a":1,"a":2}', b"[" * 512 + b"]" * 512,
]  # fmt: skip


def test_the_worker_in_an_id_is_the_one_that_opened_it(trio: Node, echoes: list[Answering]) -> None:
    assert [home_of(provider.id, SHARED) for provider in echoes] == list(range(SHARED))


@pytest.mark.parametrize(("caller", "home"), PAIRS)
def test_any_worker_answers_for_any_other_byte_for_byte(
    trio: Node, echoes: list[Answering], caller: int, home: int
) -> None:
    with entry(trio, caller) as http:
        for body in BODIES:
            answer = sound(http.ask("POST", f"/lambda/{echoes[home].id}/m", body))
            assert (answer.status, answer.body) == (200, body)
            assert worker_of(answer) == caller


def test_connections_are_spread_over_the_workers(trio: Node, echoes: list[Answering]) -> None:
    hit = [worker_of(trio.fetch("POST", f"/lambda/{echoes[0].id}/m", b"1")) for _ in range(60)]
    assert set(hit) == set(range(SHARED))


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_body_as_large_as_may_be_crosses(trio: Node, echoes: list[Answering], caller: int, home: int) -> None:
    # The provider's answer, its envelope too, is as bounded as the body.
    body = b'"' + b"x" * (16 * 1024 * 1024 - 64) + b'"'
    with entry(trio, caller) as http:
        answer = http.ask("POST", f"/lambda/{echoes[home].id}/m", body)
        assert answer.status == 200
        assert answer.body == body
        assert http.ask("POST", f"/lambda/{echoes[home].id}/m", body[:-1] + b"x" * 64 + b'"').status == 413


def test_pipelined_calls_of_all_homes_are_answered_in_order(trio: Node, echoes: list[Answering]) -> None:
    with entry(trio, 0) as http:
        http.send(b"".join(request("POST", f"/lambda/{echoes[n % SHARED].id}/m", b"%d" % n) for n in range(90)))
        assert [http.answer().json() for _ in range(90)] == list(range(90))


def test_a_socket_of_calls_reaches_all_workers(trio: Node, echoes: list[Answering]) -> None:
    with client_at(trio, 1) as client:
        numbers = {client.ask(f"POST /lambda/{one.id}/m", [[n]]): n for n, one in enumerate(echoes * 10)}
        told = [client.next() for _ in numbers]
        assert {one["id"]: one["result"] for one in told} == {number: [n] for number, n in numbers.items()}


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_what_a_provider_says_of_an_error_comes_whole(trio: Node, caller: int, home: int) -> None:
    with provider_2_at(trio, home) as provider, entry(trio, caller) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        number = provider.call()["id"]
        provider.send(id=number, error={"code": -32602, "message": "no", "data": {"path": "$.a"}})
        answer = refused(http.answer(), 400, "invalid_params").json()
        assert (answer["error"], answer["delivered"]) == ("no", "yes")
        assert (answer["rpc_code"], answer["data"]) == (-32602, {"path": "$.a"})


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_deadline_passes_on_time_and_cancels(trio: Node, caller: int, home: int) -> None:
    with provider_2_at(trio, home) as provider, entry(trio, caller) as http:
        began_at = time.monotonic()
        http.send(request("POST", f"/lambda/{provider.id}/m?timeout=0.5", b"1"))
        call = provider.call()
        assert 0 < call["meta"]["deadline_ms"] <= 500
        assert refused(http.answer(), 504, "timeout").delivered == "unknown"
        assert time.monotonic() - began_at >= 0.5
        assert provider.cancelled() == call["id"]


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_caller_that_leaves_cancels(trio: Node, caller: int, home: int) -> None:
    with provider_2_at(trio, home) as provider:
        with entry(trio, caller) as http:
            http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
            call = provider.call()
        assert provider.cancelled() == call["id"]


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_notification_crosses(trio: Node, caller: int, home: int) -> None:
    with provider_at(trio, home) as provider, entry(trio, caller) as http:
        answer = http.ask("POST", f"/lambda/{provider.id}/seen", b"[42]", [("Prefer", "respond-async")])
        assert (answer.status, answer.body) == (202, b"{}")
        call = provider.next_call()
        assert (call.method, call.body, call.number) == ("seen", b"[42]", None)


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_stream_crosses_by_credit(trio: Node, caller: int, home: int) -> None:
    with provider_2_at(trio, home) as provider, entry(trio, caller) as http:
        accept = [("Accept", "application/x-ndjson")]
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1", accept))
        call = provider.call()
        assert call["meta"]["stream"] is True
        for value in range(call["meta"]["credit"]):
            provider.item(call, value)
        assert http.head().status == 200
        number, more = provider.credited()
        assert number == call["id"]
        assert more > 0
        provider.answer(call, "end")
        rows = [json.loads(row) for row in b"".join(iter(http.chunk, b"")).splitlines()]
        assert rows == [*({"item": value} for value in range(call["meta"]["credit"])), {"result": "end"}]


def test_a_long_stream_is_whole_from_each_worker(trio: Node) -> None:
    with Counting(trio, b'"%b"' % (b"x" * 1000)) as provider:
        for caller in range(SHARED):
            with entry(trio, caller) as http:
                accept = [("Accept", "application/x-ndjson")]
                answer = http.ask("POST", f"/lambda/{provider.id}/count", b"2000", accept)
                assert len(answer.body.splitlines()) == 2001


def test_a_reader_that_leaves_ends_the_stream(trio: Node) -> None:
    with Counting(trio) as provider:
        home = home_of(provider.id, SHARED)
        http = entry(trio, (home + 1) % SHARED)
        http.send(request("POST", f"/lambda/{provider.id}/count", b"100000000", [("Accept", "text/event-stream")]))
        assert http.head().status == 200
        http.reset()
        until(lambda: len(provider.cancelled_ids) == 1, "the stream is cancelled")


@pytest.mark.parametrize(("caller", "home"), CROSSING)
def test_a_lost_provider_is_told_across(trio: Node, caller: int, home: int) -> None:
    with provider_at(trio, home) as provider, entry(trio, caller) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        provider.next_call()
        provider.close()
        assert refused(http.answer(), 502, "lambda_lost").delivered == "unknown"
        again = http.ask("POST", f"/lambda/{provider.id}/m", b"1")
        assert refused(again, 410, "lambda_gone").delivered == "no"


def test_what_nobody_knows_is_refused_alike_by_all(trio: Node, echoes: list[Answering]) -> None:
    for caller in range(SHARED):
        with entry(trio, caller) as http:
            refused(http.ask("POST", f"/lambda/{echoes[1].id}/open", b"1"), 400, "bad_request")
            refused(http.ask("POST", f"/lambda/{'A' * 16}/m", b"1"), 400, "bad_request")
            refused(http.ask("POST", f"/lambda/{echoes[1].id}/m", b"{"), 400, "bad_request")


def test_a_cap_is_kept_whoever_calls(start_node: StartNode) -> None:
    own = start_node(workers=2, lambda_calls=8)
    with provider_at(own, 1) as provider, ExitStack() as open_sockets:
        callers = [open_sockets.enter_context(RawHttp(own.address)) for _ in range(12)]
        for http in callers:
            http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        held = [provider.next_call() for _ in range(8)]
        until(lambda: sum(not http.quiet() for http in callers) == 4, "what is too many is refused")
        for call in held:
            provider.answer(call)
        assert sorted(http.answer().status for http in callers) == [200] * 8 + [503] * 4
