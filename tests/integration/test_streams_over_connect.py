"""Streams over `/connect`: by the caller's credit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.calling import call
from tests.integration.streaming import wait_cancelled
from tests.json_rpc_2 import Client2, Counting, Provider2
from tests.nodes import Node, until
from tests.providers import Provider
from tests.websocket import TEXT, frame

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


def test_a_stream_over_connect(provider: Provider2, client: Client2) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/count", [3], stream=True)
    asked = provider.call("count")
    assert asked["meta"]["credit"] == 16
    for value in range(16):
        provider.item(asked, value)
        assert client.next()["params"] == {"token": number, "value": value}
    provider.settle()
    client.send(method="$/credit", params={"id": number, "add": 5})
    assert provider.credited() == (asked["id"], 5)
    provider.item(asked, 16)
    assert client.next()["params"]["value"] == 16
    provider.answer(asked, "done")
    assert client.next() == {"jsonrpc": "2.0", "id": number, "result": "done"}


def test_credit_over_connect_is_capped(provider: Provider2, client: Client2) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/m", stream=True, credit=1000)
    asked = provider.call()
    assert asked["meta"]["credit"] == 16
    client.send(method="$/credit", params={"id": number, "add": 1_000_000})
    assert provider.credited() == (asked["id"], 256 - 16)
    client.send(method="$/credit", params={"id": number, "add": 1})
    client.settle()
    provider.settle()


@pytest.mark.parametrize("beyond", [0, 1, 50])
def test_an_item_beyond_the_credit_ends_the_stream(provider: Provider2, client: Client2, beyond: int) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/m", stream=True, credit=3)
    asked = provider.call()
    form = b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%d,"value":1}}' % asked["id"]
    provider.ws.http.send(frame(TEXT, form) * (3 + beyond))
    assert [client.next()["method"] for _ in range(3)] == ["$/progress"] * 3
    if beyond:
        wait_cancelled(provider, asked)
        error = client.next()["error"]
        assert (error["code"], error["data"]["code"], error["data"]["delivered"]) == (502, "bad_answer", "yes")
        provider.settle()
    else:
        provider.answer(asked, None)
        assert client.next()["id"] == number


def test_an_error_of_a_stream_over_connect(provider: Provider2, client: Client2) -> None:
    number = client.ask(f"POST /lambda/{provider.id}/m", stream=True)
    asked = provider.call()
    provider.item(asked, 0)
    provider.fail(asked)
    assert client.next()["method"] == "$/progress"
    message = client.next()
    assert (message["id"], message["error"]["code"], message["error"]["data"]["rpc_code"]) == (number, 400, -32000)


@pytest.mark.parametrize("how", ["cancel", "close", "reset"])
def test_a_client_that_leaves_its_stream_cancels_it(node: Node, provider: Provider2, how: str) -> None:
    with Client2(node) as client:
        number = client.ask(f"POST /lambda/{provider.id}/m", stream=True)
        asked = provider.call()
        provider.item(asked, 0)
        client.next()
        if how == "cancel":
            client.send(method="$/cancelRequest", params={"id": number})
            wait_cancelled(provider, asked)
            provider.item(asked, 1)
            provider.answer(asked, None)
            provider.settle()
            client.settle()
            return
        client.ws.http.close() if how == "close" else client.ws.http.reset()
    wait_cancelled(provider, asked)


def test_the_deadline_of_a_stream_over_connect(provider: Provider2, client: Client2) -> None:
    """It is the provider's silence that counts: where the caller gives no credit, none passes."""
    number = client.ask(f"POST /lambda/{provider.id}/m", stream=True, credit=1, timeout_ms=400)
    asked = provider.call()
    provider.item(asked, 0)
    client.next()
    assert client.ws.http.quiet(for_s=1.0)
    client.send(method="$/credit", params={"id": number, "add": 1})
    assert provider.credited() == (asked["id"], 1)
    error = client.next()["error"]
    assert (error["code"], error["data"]["code"]) == (504, "timeout")
    wait_cancelled(provider, asked)


def test_a_slow_client_slows_only_its_stream(start_node: StartNode) -> None:
    """One item at a time, by credit; the other calls of both sockets go on."""
    own = start_node(write_deadline_s=0.5)
    with Counting(own) as counting, Client2(own) as client:
        number = client.ask(f"POST /lambda/{counting.id}/count", [100_000], stream=True, credit=1)
        for _ in range(3):
            assert client.next()["params"]["token"] == number
            assert client.result(f"POST /lambda/{counting.id}/echo", [5]) == 5
            assert call(own, counting.id, b"1").json() == 1
            assert client.ws.http.quiet(for_s=0.4)
            client.send(method="$/credit", params={"id": number, "add": 1})
        until(lambda: counting.sent == 4, "the fourth item is sent")


def test_a_stream_between_lambdas_of_one_socket(client: Client2) -> None:
    lambda_id = client.open_lambda()["id"]
    number = client.ask(f"POST /lambda/{lambda_id}/m", [1], stream=True)
    asked = client.call()
    assert asked["meta"]["stream"] is True
    client.item(asked, "a")
    assert client.next()["params"] == {"token": number, "value": "a"}
    client.answer(asked, "end")
    assert client.next()["result"] == "end"
