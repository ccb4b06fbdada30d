"""Many lambdas on one `/connect` socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.integration.calling import call, gone
from tests.json_rpc_2 import Client2, Provider2, calling
from tests.lambda_ids import NEEDS_KEY, parse
from tests.nodes import Node, until
from tests.websocket import TEXT, frame
from tests.wire import refused

StartNode = Callable[..., Node]

MANY = 10_000
BATCH = 500
_SMALL_BUFFER_BYTES = 4096


def open_many(client: Client2, count: int, grace_s: float | None = None) -> list[str]:
    """Open so many lambdas; their ids."""
    ids: list[str] = []
    params = b"{}" if grace_s is None else b'{"grace_s":%g}' % grace_s
    ask = b'{"jsonrpc":"2.0","id":%d,"method":"lambda.open","params":%b}'
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        client.ws.http.send(b"".join(frame(TEXT, ask % (number, params)) for number in numbers))
        answers = [client.next() for _ in numbers]
        assert [answer["id"] for answer in answers] == list(numbers)
        ids += [answer["result"]["id"] for answer in answers]
    return ids


def count_of(node: Node) -> int:
    count: int = node.fetch("GET", "/lambda?count").json()["count"]
    return count


def state_of(node: Node, lambda_id: str) -> object:
    return node.fetch("GET", f"/lambda/{lambda_id}").json().get("state")


@pytest.mark.parametrize("code", [1000, 1001])
def test_ten_thousand_lambdas_need_one_socket(start_node: StartNode, code: int) -> None:
    """All gone at once when it closes with 1000, otherwise when their grace has passed."""
    own = start_node()
    with Client2(own) as client:
        ids = open_many(client, MANY, grace_s=2.0)
        assert len(set(ids)) == MANY
        assert count_of(own) == MANY
        listing = own.fetch("GET", "/lambda").json()
        assert set(listing) == set(ids)
        assert {shown["code"] for shown in listing.values()} == {"json-rpc-2.0"}
        few = own.fetch("GET", "/lambda?limit=10")
        assert (len(few.json()), few.header("Lambda-Truncated")) == (10, "true")
        for lambda_id in (ids[0], ids[4711], ids[-1]):
            with calling(own, lambda_id) as caller:
                asked = client.call()
                assert (asked["id"], asked["meta"]["lambda"]) == (f"{lambda_id}.1", lambda_id)
                client.answer(asked, lambda_id)
                assert caller.answer().json() == lambda_id
        assert client.refusal("lambda.open")["code"] == 429
        client.ws.send_close(code)
        client.ws.close_code()
        if code == 1001:
            assert count_of(own) == MANY
            assert state_of(own, ids[-1]) == "waiting"
    until(lambda: count_of(own) == 0, "all lambdas are gone", within_s=6.0 if code == 1001 else 0.5)
    assert gone(own, ids[0])


def test_ids_of_2_0_need_a_key(node: Node, client: Client2) -> None:
    assert parse(client.open_lambda()["id"]).field & NEEDS_KEY
    with Provider2(node) as provider:
        assert parse(provider.accept().id).field & NEEDS_KEY


def test_one_slow_handler_delays_no_other_call(node: Node, client: Client2) -> None:
    first, second = client.open_lambda()["id"], client.open_lambda()["id"]
    with calling(node, first, "slow") as slow:
        held = client.call("slow")
        for lambda_id in (first, second, first, second):
            began_at = time.monotonic()
            with calling(node, lambda_id) as quick:
                client.answer(client.call(), 1)
                assert quick.answer().json() == 1
            assert time.monotonic() - began_at < 5.0
        client.answer(held, "at last")
        assert slow.answer().json() == "at last"


def test_one_lambda_may_fill_a_quarter_of_the_queue(start_node: StartNode) -> None:
    """The socket takes nothing; the lambda that fills its part is refused, and the others are still callable."""
    own = start_node(write_deadline_s=30)
    body = b'"' + b"x" * 60_000 + b'"'
    with Client2(own, receive_buffer_bytes=_SMALL_BUFFER_BYTES) as client, ExitStack() as callers:
        greedy, others = client.open_lambda()["id"], [client.open_lambda()["id"] for _ in range(3)]
        taken = 0
        while taken < 200:
            caller = callers.enter_context(calling(own, greedy, body=body))
            if not caller.quiet(for_s=0.05):
                answer = refused(caller.answer(), 503, "overloaded")
                assert answer.delivered == "no"
                assert answer.header("Retry-After")
                break
            taken += 1
        assert taken < 200
        assert refused(call(own, greedy, b"1"), 503, "overloaded").delivered == "no"
        waiting = [callers.enter_context(calling(own, other, body=body)) for other in others]
        assert all(caller.quiet(for_s=0.1) for caller in waiting)
        for other in (client.call()["id"].partition(".")[0] for _ in range(taken + len(others))):
            if other in others:
                others.remove(other)
        assert others == []
        until(lambda: calling_is_taken(own, client, greedy), "the queue is empty and the lambda callable")


def calling_is_taken(node: Node, client: Client2, lambda_id: str) -> bool:
    """Whether a call reaches the client."""
    with calling(node, lambda_id, "again") as caller:
        if not caller.quiet(for_s=0.1):
            return False
        client.answer(client.call("again"))
        return caller.answer().status == 200


def test_deleted(node: Node, client: Client2) -> None:
    opened, other = client.open_lambda(), client.open_lambda()
    with calling(node, opened["id"]) as caller:
        client.call()
        assert node.fetch("DELETE", f"/lambda/{opened['id']}").json() == {}
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"
    told = client.next()
    assert told["method"] == "lambda.closed"
    assert told["params"] == {"id": opened["id"], "code": 4410, "reason": "deleted"}
    assert state_of(node, other["id"]) == "open"
    params = {"id": opened["id"], "key": opened["resume_key"]}
    assert client.refusal("lambda.open", params)["data"]["code"] == "lambda_gone"
    assert client.refusal("lambda.close", {"id": opened["id"]})["code"] == 404


@pytest.mark.parametrize("kind", ["connect", "provider"])
def test_taken_over_by_another_socket(node: Node, client: Client2, kind: str) -> None:
    opened, other = client.open_lambda(), client.open_lambda()
    newer: Client2 | Provider2
    if kind == "connect":
        newer = Client2(node)
        assert newer.open_lambda(id=opened["id"], key=opened["resume_key"])["id"] == opened["id"]
    else:
        newer = Provider2(node, f"/lambda/new/{opened['id']}?key={opened['resume_key']}").accept()
    with newer:
        told = client.next()
        assert (told["method"], told["params"]["id"], told["params"]["code"]) == ("lambda.closed", opened["id"], 4409)
        for lambda_id, socket_ in ((opened["id"], newer), (other["id"], client)):
            with calling(node, lambda_id) as caller:
                socket_.answer(socket_.call(), "here")
                assert caller.answer().json() == "here"
        client.send(id=f"{opened['id']}.1", result="late")
        client.settle()


def test_a_wrong_key_hurts_nobody(node: Node, client: Client2) -> None:
    opened = client.open_lambda()
    with Client2(node) as thief:
        for key in ({}, {"key": "x"}, {"key": opened["resume_key"][:-2] + "AA"}):
            error = thief.refusal("lambda.open", {"id": opened["id"], **key})
            assert (error["code"], error["data"]["code"]) == (403, "forbidden")
    with calling(node, opened["id"]) as caller:
        client.answer(client.call(), "mine")
        assert caller.answer().json() == "mine"


def test_closing_one_ends_it_alone(node: Node, client: Client2) -> None:
    first, second = client.open_lambda()["id"], client.open_lambda()["id"]
    with calling(node, first) as caller:
        client.call()
        assert client.result("lambda.close", {"id": first}) == {}
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"
    assert gone(node, first)
    assert state_of(node, second) == "open"


def test_what_was_registered_is_the_handshake_s(node: Node) -> None:
    with Client2(node, headers=[("X-App", "shop")]) as client:
        shown = node.fetch("GET", f"/lambda/{client.open_lambda()['id']}").json()
        assert shown["headers"]["X-App"] == ["shop"]
        assert shown["code"] == "json-rpc-2.0"


@pytest.mark.parametrize(
    "params", [{"grace_s": -1}, {"grace_s": 301}, {"grace_s": "x"}, {"keep": ["x"]}, {"id": 7}, [1]], ids=str
)
def test_bad_params_of_an_open(client: Client2, params: object) -> None:
    assert client.refusal("lambda.open", params)["code"] == 400
