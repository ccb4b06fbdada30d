"""A JSON-RPC 2.0 library that is not ours, and refuses whatever the standard does not name, answers for a lambda."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from jsonrpc import Dispatcher, JSONRPCResponseManager  # type: ignore[import-untyped]

from tests.integration.calling import call
from tests.json_rpc_2 import Client2, Provider2, Talking, calling
from tests.nodes import Node, until
from tests.websocket import Closed
from tests.wire import RawHttp, WireError, refused

STANDARD = {"jsonrpc", "method", "params", "id"}


def open_lambda(opened: dict[str, object]) -> str:
    """Answer ``open`` as somebody who only wants to be called."""
    assert opened["id"]
    return "ok"


def add(pair: list[int]) -> int:
    return pair[0] + pair[1]


class Strict(Talking):
    """A provider that has the library answer, from a thread. ``messages`` are those that came, ``answers`` its own."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, "/lambda/new")
        self.seen: list[object] = []
        self.messages: list[str] = []
        self.answers: list[str] = []
        self._held = threading.Event()
        handlers: dict[str, Callable[..., object]] = {
            "open": open_lambda,
            "echo": lambda body: body,
            "add": add,
            "seen": self.seen.append,
            "hold": self._hold,
        }
        self._handlers = Dispatcher(handlers)
        self._one()
        self.id: str = json.loads(self.messages[0])["params"][0]["id"]
        self.settle()
        self.ws.http.socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _hold(self, body: object) -> object:
        self._held.wait(5.0)
        return body

    def release(self) -> None:
        """Let the handlers go on that hold."""
        self._held.set()

    def _one(self) -> None:
        text = self.ws.message().decode()
        self.messages.append(text)
        response = JSONRPCResponseManager.handle(text, self._handlers)
        if response is not None:
            self.answers.append(response.json)
            self.ws.send(response.json.encode())

    def _serve(self) -> None:
        with contextlib.suppress(Closed, WireError, OSError):
            while True:
                self._one()
        self.ws.close()

    def close(self) -> None:
        """Leave with a close frame; the node ends the connection and with it the thread."""
        self.release()
        with contextlib.suppress(OSError):
            self.ws.send_close(1000)
        self._thread.join(5.0)
        super().close()


@pytest.fixture
def strict(node: Node) -> Iterator[Strict]:
    """Whatever a test does, the library has understood all that it was sent."""
    with Strict(node) as provider:
        yield provider
        until(lambda: call(node, provider.id, b"1", query="?timeout=2").status == 400, "all before is answered")
        for message in map(json.loads, provider.messages):
            assert message.keys() <= STANDARD
            assert not message["method"].startswith("$/")
        assert not [answer for answer in provider.answers if '"code": -32600' in answer or '"code": -32700' in answer]


@pytest.mark.parametrize("body", [b"1", b"null", b"[1,2]", b'{"a":{"b":[]}}', b'"\xc3\xbc"', b""])
def test_calls(node: Node, strict: Strict, body: bytes) -> None:
    answer = node.fetch("POST", f"/lambda/{strict.id}/echo", body)
    assert (answer.status, answer.json()) == (200, json.loads(body or b"null"))


def test_errors_of_the_library(node: Node, strict: Strict) -> None:
    assert node.fetch("POST", f"/lambda/{strict.id}/add", b"[1,2]").json() == 3
    missing = refused(node.fetch("POST", f"/lambda/{strict.id}/nothing", b"1"), 400, "method_not_found")
    assert missing.json()["rpc_code"] == -32601
    raised = refused(node.fetch("POST", f"/lambda/{strict.id}/add", b"[]"), 400, "lambda_error").json()
    assert (raised["rpc_code"], raised["data"]["type"]) == (-32000, "IndexError")


def test_notifications(node: Node, strict: Strict) -> None:
    for number in range(3):
        answer = node.fetch("POST", f"/lambda/{strict.id}/seen", b"%d" % number, [("Prefer", "respond-async")])
        assert answer.status == 202
    until(lambda: strict.seen == [0, 1, 2], "they have come")


def test_one_that_asks_for_a_stream_gets_the_result(node: Node, strict: Strict) -> None:
    answer = node.fetch("POST", f"/lambda/{strict.id}/echo", b"7", [("Accept", "text/event-stream")])
    assert answer.body == b"event: result\ndata: 7\n\n"


def test_calls_over_connect(node: Node, strict: Strict) -> None:
    with Client2(node) as client:
        params = {"timeout_ms": 5000, "stream": True, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        number = client.ask(f"POST /lambda/{strict.id}/add", [[1, 2]], **params)
        assert client.answer_of(number)["result"] == 3


def test_it_hears_nothing_of_callers_that_leave(node: Node, strict: Strict) -> None:
    with calling(node, strict.id, "hold") as caller:
        until(lambda: len(strict.messages) == 2, "the call is there")
        caller.close()
    refused(node.fetch("POST", f"/lambda/{strict.id}/echo?timeout=0.1", b"1"), 504, "timeout")
    strict.release()
    assert node.fetch("POST", f"/lambda/{strict.id}/echo", b"2").json() == 2
    assert [json.loads(message)["method"] for message in strict.messages] == ["open", "hold", "echo", "echo"]


# The same for a provider that asked for more


@pytest.mark.parametrize("kind", ["provider", "connect"])
@pytest.mark.parametrize("how", ["close", "reset", "deadline", "half"])
def test_one_that_asked_for_meta_is_told(node: Node, kind: str, how: str) -> None:
    talking: Provider2 | Client2
    if kind == "provider":
        talking = Provider2(node).accept()
        lambda_id = talking.id
    else:
        talking = Client2(node)
        lambda_id = talking.open_lambda()["id"]
    with talking:
        caller = calling(node, lambda_id, "m?timeout=0.3" if how == "deadline" else "m")
        asked = talking.call()
        _leave(caller, how)
        assert talking.cancelled() == asked["id"]
        talking.answer(asked, "late")
        talking.fail(asked, -32800, "cancelled")
        talking.settle()
        with calling(node, lambda_id) as again:
            talking.answer(talking.call(), "still here")
            assert again.answer().json() == "still here"


def _leave(caller: RawHttp, how: str) -> None:
    if how == "deadline":
        assert refused(caller.answer(), 504, "timeout").delivered == "unknown"
    elif how == "reset":
        caller.reset()
    elif how == "close":
        caller.close()
    else:
        # A caller that has closed its half has closed: the node ends the connection.
        caller.socket.shutdown(1)
        assert caller.rest() == b""
