"""``/connect`` with ``json-rpc-2.0``: requests as the standard has them, and what else may be said."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from tests.events import EventStream
from tests.integration.knocking import APP
from tests.json_rpc_2 import Client2, Provider2, calling
from tests.nodes import Node, until
from tests.wire import refused

StartNode = Callable[..., Node]


def raw(client: Client2, text: str) -> None:
    client.ws.send(text.encode())


@pytest.mark.parametrize("number", ["1", "-1", "1.50", "12345678901234567890", '"a"', '""', '"\\u0061 \\ud800"', '"ü"'])
def test_ids_are_echoed_byte_for_byte(client: Client2, number: str) -> None:
    raw(client, f'{{"jsonrpc":"2.0","id":{number},"method":"/ping"}}')
    assert client.ws.message().startswith(f'{{"jsonrpc":"2.0","id":{number},"result":'.encode())


@pytest.mark.parametrize("body", ["1", '{"a":1,"a":2}', '"\\ud800"', "[1.0, 1e400]", '"' + "x" * 100_000 + '"'])
def test_bodies_and_results_pass_as_bytes(client: Client2, provider: Provider2, body: str) -> None:
    raw(client, f'{{"jsonrpc":"2.0","id":1,"method":"POST /lambda/{provider.id}/m","params":[{body}]}}')
    assert f'"params":[{body}]'.encode() in provider.ws.message()
    provider.ws.send(f'{{"jsonrpc":"2.0","id":1,"result":{body}}}'.encode())
    assert client.ws.message() == f'{{"jsonrpc":"2.0","id":1,"result":{body}}}'.encode()


def test_an_object_of_params_is_the_body(client: Client2, provider: Provider2) -> None:
    client.ask(f"POST /lambda/{provider.id}/m", {"by": "name"})
    assert provider.call()["params"] == [{"by": "name"}]


@pytest.mark.parametrize(
    "text",
    [
        '"method":"GET /ping"',
        '"method":"GET /nowhere"',
        '"method":"GET /ping","params":5',
        '"method":"GET /ping","params":[1,2]',
        '"method":"GET /ping","meta":5',
        '"method":"GET /ping","meta":{"timeout_ms":0}',
        '"method":"GET /ping","meta":{"credit":0}',
        '"method":"POST /lambda/short/m"',
        '"method":"lambda.open"',
        '"method":"lambda.close","params":{"id":"x"}',
        '"method":"lambda.sing"',
        '"method":"$/ping"',
        '"method":"$/sing"',
        '"method":"$/progress","params":{"token":"x","value":1}',
        '"method":"$/credit","params":{"id":1,"add":"x"}',
        '"method":"$/cancelRequest","params":[1]',
    ],
)
def test_a_notification_has_no_answer(client: Client2, text: str) -> None:
    raw(client, f'{{"jsonrpc":"2.0",{text}}}')
    client.settle()


def test_a_notification_opens_no_lambda(start_node: StartNode) -> None:
    """Nobody would hear of it."""
    own = start_node()
    with Client2(own) as client:
        client.send(method="lambda.open")
        client.settle()
        assert own.fetch("GET", "/lambda").json() == {}


@pytest.mark.parametrize(
    ("meta", "word"),
    [
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": -5}, "timeout_ms"),
        ({"timeout_ms": "x"}, "timeout_ms"),
        ({"stream": 1}, "stream"),
        ({"credit": 0, "stream": True}, "credit"),
        ({"credit": 1.5}, "credit"),
    ],
    ids=str,
)
def test_a_bad_meta(client: Client2, provider: Provider2, meta: dict[str, object], word: str) -> None:
    error = client.answer_of(client.ask(f"POST /lambda/{provider.id}/m", [1], **meta))["error"]
    assert (error["code"], error["data"]["code"]) == (400, "bad_request")
    assert word in error["message"]
    provider.settle()


def test_what_meta_says_reaches_the_provider(client: Client2, provider: Provider2) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    client.ask(f"POST /lambda/{provider.id}/m", [1], timeout_ms=2500.5, traceparent=traceparent, later="ignored")
    meta = provider.call()["meta"]
    assert 2000 < meta["deadline_ms"] <= 2500
    assert (meta["traceparent"], meta["stream"], meta["lambda"]) == (traceparent, False, provider.id)


def test_a_deadline(client: Client2, provider: Provider2) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/m", [1], timeout_ms=200)
    asked = provider.call()
    error = client.answer_of(number)["error"]
    assert (error["code"], error["data"]["delivered"]) == (504, "unknown")
    assert provider.cancelled() == asked["id"]


def test_an_id_in_use_is_refused_and_the_first_goes_on(client: Client2, provider: Provider2) -> None:
    for _ in range(2):
        client.send(id="same", method=f"POST /lambda/{provider.id}/m")
    assert client.next()["error"]["code"] == 400
    provider.answer(provider.call(), 1)
    assert client.next()["result"] == 1
    provider.settle()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_cancels_all_its_calls(node: Node, provider: Provider2, how: str) -> None:
    with Client2(node) as client:
        for _ in range(3):
            client.ask(f"POST /lambda/{provider.id}/m")
        numbers = {provider.call()["id"] for _ in range(3)}
        client.ws.http.close() if how == "close" else client.ws.http.reset()
    assert {provider.cancelled() for _ in range(3)} == numbers


def test_a_client_that_leaves_calls_of_its_own_lambda(node: Node, provider: Provider2) -> None:
    """Caller and provider end at once; who calls it from elsewhere waits for it."""
    with Client2(node) as client:
        lambda_id = client.open_lambda()["id"]
        client.ask(f"POST /lambda/{lambda_id}/m")
        client.ask(f"POST /lambda/{provider.id}/m")
        provider.call()
        client.call()
        client.ws.http.reset()
    provider.cancelled()
    until(lambda: node.fetch("GET", f"/lambda/{lambda_id}").json().get("state") == "waiting", "it waits")


def test_events_of_shared_lambdas(node: Node, client: Client2) -> None:
    with EventStream(node.address) as events:
        opened = client.open_lambda()
        name, told = events.of(opened["id"])
        assert (name, told["code"], told["reopened"]) == ("open", "json-rpc-2.0", False)
        client.open_lambda(id=opened["id"], key=opened["resume_key"])
        name, told = events.of(opened["id"])
        assert (name, told["reopened"]) == ("open", True)
        client.result("lambda.close", {"id": opened["id"]})
        assert events.of(opened["id"]) == ("close", {"id": opened["id"], "reason": "closed"})


def test_a_foreign_page_serves_and_calls_and_no_more(shared_node: StartNode) -> None:
    own = shared_node(allow_origin=[APP])
    with Client2(own, headers=[("Origin", APP)]) as page, Client2(own) as other:
        opened = page.open_lambda()
        number = other.ask(f"POST /lambda/{opened['id']}/m", [1])
        page.answer(page.call(), "from a page")
        assert other.answer_of(number)["result"] == "from a page"
        assert page.result(f"GET /lambda/{opened['id']}")["state"] == "open"
        for method in ("GET /lambda", f"DELETE /lambda/{opened['id']}", "GET /peers"):
            assert page.refusal(method)["code"] == 403
        again = {"id": opened["id"]}
        assert page.refusal("lambda.open", again)["code"] == 403
        assert page.open_lambda(**again, key=opened["resume_key"])["id"] == opened["id"]


def test_a_drain(start_node: StartNode) -> None:
    """Calls that run are answered, nothing new is opened or called, then the socket closes for a reconnect."""
    own = start_node(drain_spread_s=0.1)
    with Client2(own) as client:
        opened = client.open_lambda()
        with calling(own, opened["id"]) as caller:
            held = client.call()
            own.signal(signal.SIGTERM)
            until(lambda: any(line.get("event") == "draining" for line in own.logs), "the node drains")
            for method, params in (("lambda.open", None), (f"POST /lambda/{opened['id']}/m", [1])):
                error = client.refusal(method, params)
                assert (error["code"], error["data"]["code"]) == (503, "draining")
            client.answer(held, "done")
            assert caller.answer().json() == "done"
        assert client.ws.close_code() == 4503
    assert own.wait() == 0


def test_the_limits_of_one_caller(shared_node: StartNode) -> None:
    own = shared_node(caller_calls=2, socket_lambdas=1)
    with Provider2(own) as provider, Client2(own) as client:
        provider.accept()
        for _ in range(2):
            client.ask(f"POST /lambda/{provider.id}/m")
        error = client.refusal(f"POST /lambda/{provider.id}/m")
        assert (error["code"], error["data"]["code"], error["data"]["delivered"]) == (429, "overloaded", "no")
        for _ in range(2):
            provider.answer(provider.call())
            assert client.next()["result"] == "ok"
        first = client.open_lambda()
        assert client.refusal("lambda.open")["code"] == 429
        # The same again is not one more.
        assert client.open_lambda(id=first["id"], key=first["resume_key"])["id"] == first["id"]
        client.result("lambda.close", {"id": first["id"]})
        assert client.open_lambda()["id"] != first["id"]


def test_what_is_no_json_rpc_ends_nothing(client: Client2, provider: Provider2) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/m")
    asked = provider.call()
    for text, code in (("hello", -32700), ("[]", -32600), ("[1,{}]", -32600), ("7", -32600), ("{}", -32600)):
        raw(client, text)
        message = json.loads(client.ws.message())
        assert (message["id"], message["error"]["code"]) == (None, code)
    provider.answer(asked, "goes on")
    assert client.answer_of(number)["result"] == "goes on"


def test_a_bad_answer_of_a_shared_lambda_ends_that_call_alone(node: Node, client: Client2) -> None:
    lambda_id = client.open_lambda()["id"]
    with calling(node, lambda_id) as spoiled, calling(node, lambda_id) as other:
        first, second = client.call(), client.call()
        raw(client, f'{{"jsonrpc":"2.0","id":"{first["id"]}","result":NaN}}')
        assert refused(spoiled.answer(), 502, "bad_answer").delivered == "yes"
        client.answer(second, 2)
        assert other.answer().json() == 2
