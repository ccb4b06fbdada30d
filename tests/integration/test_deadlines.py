"""How long a call may take, and how many at once: ``Prefer``, ``?timeout``, notifications, caps."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.calling import answered, call
from tests.lambda_ids import sibling, stranger
from tests.nodes import Node, until
from tests.providers import Answering, Call, Provider
from tests.websocket import WebSocket
from tests.wire import Headers, RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Prefer and ?timeout


@pytest.mark.parametrize(
    "preference",
    [
        "wait=1",
        "wait=10, return=minimal",
        "WAIT=5",
        "handling=lenient; foo",
        'foo="a, b", wait=3',
        "wait = 2",
        "return=minimal",
    ],
)
def test_good_preferences(node: Node, echo: Answering, preference: str) -> None:
    assert call(node, echo.id, b"1", [("Prefer", preference)]).status == 200


@pytest.mark.parametrize(
    "preference",
    ["wait=abc", "wait=-1", "wait=0", "wait=", "wait", "wait=nan", "wait=inf", "wait=1e9", "wait=3601", ",;=", '"'],
)
def test_bad_preferences_are_ignored(node: Node, echo: Answering, preference: str) -> None:
    """A preference is no order (RFC 7240, 2): the call is made, with the deadline that it would have had."""
    assert call(node, echo.id, b"1", [("Prefer", preference)]).status == 200


@pytest.mark.parametrize("timeout", ["1", "1.5", "0.5", "3600", "0.30000000000000004", "2.50"])
def test_good_timeouts(node: Node, echo: Answering, timeout: str) -> None:
    assert call(node, echo.id, b"1", query=f"?timeout={timeout}").status == 200


@pytest.mark.parametrize("timeout", ["abc", "-1", "0", "", "nan", "inf", "1e9", "3601", "1s", "0x1", "1_0"])
def test_bad_timeouts_get_400(node: Node, echo: Answering, timeout: str) -> None:
    answer = call(node, echo.id, b"1", query=f"?timeout={timeout}")
    assert refused(answer, 400, "bad_request").delivered == "no"


def time_out(node: Node, provider: Provider, headers: Headers = (), query: str = "") -> float:
    """Seconds until a call that nobody answers gets its 504."""
    with RawHttp(node.address) as http:
        http.ask("GET", "/ping")
        began_at = time.monotonic()
        answer = http.ask("POST", f"/lambda/{provider.id}/m{query}", b"1", headers)
        took_s = time.monotonic() - began_at
    assert refused(answer, 504, "timeout").delivered == "unknown"
    return took_s


def test_a_timeout_is_never_early_and_hardly_late(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    due_s = [round(0.2 + step / 100, 2) for step in range(7)]
    late_s = [time_out(node, provider, query=f"?timeout={due}") - due for due in due_s]
    assert min(late_s) >= 0.0
    # What a busy machine makes late now and then, it does not each time.
    assert sorted(late_s)[len(late_s) // 4] <= 0.05
    assert max(late_s) <= 1.0


def test_wait_is_a_deadline_too(node: Node, open_lambda: OpenLambda) -> None:
    assert 1.0 <= time_out(node, open_lambda(node), headers=[("Prefer", "wait=1")]) <= 1.25


def test_the_default_deadline_is_a_limit(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    brief = shared_node(call_timeout_s=0.3)
    assert 0.3 <= time_out(brief, open_lambda(brief)) <= 0.55


def test_a_late_answer_is_dropped(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    time_out(node, provider, query="?timeout=0.1")
    late = provider.next_call()
    provider.answer(late, b'"late"')
    assert answered(node, provider, b'{"id":%d,"result":"in time"}').json() == "in time"


def test_a_deadline_that_passes_frees_its_place(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    narrow = shared_node(lambda_calls=1)
    provider = open_lambda(narrow)
    time_out(narrow, provider, query="?timeout=0.1")
    provider.next_call()
    assert answered(narrow, provider, b'{"id":%d,"result":1}').json() == 1


def test_many_deadlines_each_at_its_time(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    due_s = [round(0.2 + number / 50, 2) for number in range(20)]
    callers = [RawHttp(node.address) for _ in due_s]
    began_at = time.monotonic()
    for due, http in zip(due_s, callers, strict=True):
        http.send(request("POST", f"/lambda/{provider.id}/m?timeout={due}"))
    for due, http in zip(due_s, callers, strict=True):
        assert http.answer().status == 504
        assert time.monotonic() - began_at >= due
        http.close()
    assert time.monotonic() - began_at < 3.0


# Prefer: respond-async


@pytest.mark.parametrize(
    "preference", ["respond-async", "Respond-Async", "respond-async, wait=5", "foo, respond-async"]
)
def test_respond_async_is_a_notification(node: Node, open_lambda: OpenLambda, preference: str) -> None:
    provider = open_lambda(node)
    answer = call(node, provider.id, b'{"n":1}', [("Prefer", preference)])
    assert (answer.status, answer.body) == (202, b"{}")
    assert provider.next_call() == Call("m", b'{"n":1}', None, b'{"method":"m","params":[{"n":1}],"id":null}')


def test_a_notification_takes_no_place(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    narrow = shared_node(lambda_calls=1)
    provider = open_lambda(narrow)
    for _ in range(10):
        assert call(narrow, provider.id, b"1", [("Prefer", "respond-async")]).status == 202
    assert [provider.next_call().number for _ in range(10)] == [None] * 10
    assert answered(narrow, provider, b'{"id":%d,"result":1}').status == 200


@pytest.mark.parametrize("preference", ["respond-async", "wait=5"])
def test_no_lambda_is_404(node: Node, echo: Answering, preference: str) -> None:
    for lambda_id in (sibling(echo.id), stranger(echo.id)):
        answer = call(node, lambda_id, b"1", [("Prefer", preference)])
        assert refused(answer, 404, "lambda_not_found").delivered == "no"


def test_respond_async_checks_the_body(node: Node, echo: Answering) -> None:
    refused(call(node, echo.id, b"nul", [("Prefer", "respond-async")]), 400, "bad_request")


# Caps


def test_calls_over_the_cap_of_a_lambda_get_503(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    narrow = shared_node(lambda_calls=4)
    provider, other = open_lambda(narrow), open_lambda(narrow)
    callers = [RawHttp(narrow.address) for _ in range(4)]
    for http in callers:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
    held = [provider.next_call() for _ in callers]
    answer = refused(call(narrow, provider.id), 503, "overloaded")
    assert answer.delivered == "no"
    assert int(answer.header("Retry-After") or 0) >= 1
    assert answered(narrow, other, b'{"id":%d,"result":1}').status == 200
    provider.answer(held[2], b"2")
    assert callers[2].answer().json() == 2
    assert answered(narrow, provider, b'{"id":%d,"result":5}').json() == 5
    for http in callers:
        http.close()


def test_calls_over_the_cap_of_a_caller_get_429(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    narrow = shared_node(caller_calls=4)
    provider = open_lambda(narrow)
    with WebSocket.open(narrow.address, "/connect") as ws:
        for number in range(5):
            ws.send(b'{"id":%d,"method":"POST /lambda/%b/m","params":[1]}' % (number, provider.id.encode()))
        error = ws.json()
        assert error["id"] == 4
        assert error["error"].startswith("error 429: ")
        provider.answer(provider.next_call(), b"0")
        assert ws.json() == {"id": 0, "result": 0, "error": None}


@pytest.mark.parametrize("leave", [RawHttp.close, RawHttp.reset], ids=["FIN", "RST"])
def test_a_caller_that_hangs_up_frees_its_place(
    shared_node: StartNode, open_lambda: OpenLambda, leave: Callable[[RawHttp], None]
) -> None:
    narrow = shared_node(lambda_calls=1)
    provider = open_lambda(narrow)
    caller = RawHttp(narrow.address)
    caller.send(request("POST", f"/lambda/{provider.id}/m"))
    abandoned = provider.next_call()
    assert call(narrow, provider.id).status == 503
    leave(caller)
    with RawHttp(narrow.address) as http:

        def taken() -> bool:
            http.send(request("POST", f"/lambda/{provider.id}/next"))
            if http.quiet(for_s=0.05):
                return True
            return http.answer().status != 503

        until(taken, "the place is free")
        following = provider.next_call()
        assert following.method == "next"
        provider.answer(abandoned, b'"nobody listens"')
        provider.answer(following, b"1")
        assert http.answer().json() == 1
