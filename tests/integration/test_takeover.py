"""Re-opening with a key: the last socket to answer wins, and a wrong key changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.events import EventStream
from tests.integration.reopening import KEY_HEADER, PAGE, answers, ended, refusal, refusal_to_page, spoiled
from tests.nodes import Node, until
from tests.providers import Provider
from tests.websocket import handshake
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# With a key


def by_header(provider: Provider) -> tuple[str, dict[str, object]]:
    return f"/lambda/new/{provider.id}", {"headers": [(KEY_HEADER, provider.key)]}


def by_query(provider: Provider) -> tuple[str, dict[str, object]]:
    return f"/lambda/new/{provider.id}?key={provider.key}", {}


def by_subprotocol(provider: Provider) -> tuple[str, dict[str, object]]:
    return f"/lambda/new/{provider.id}", {"subprotocols": (f"key.{provider.key}", "json-rpc")}


def by_page(provider: Provider) -> tuple[str, dict[str, object]]:
    target, how = by_subprotocol(provider)
    return target, {**how, "headers": PAGE}


WAYS = pytest.mark.parametrize("way", [by_header, by_query, by_subprotocol, by_page])
Way = Callable[[Provider], tuple[str, dict[str, object]]]


def test_a_key_is_a_short_word(node: Node, open_lambda: OpenLambda) -> None:
    key = open_lambda(node).key
    raw = base64.b64decode(key + "=" * (-len(key) % 4), altchars=b"-_", validate=True)
    assert 18 <= len(raw) <= 64


@WAYS
def test_the_right_key_takes_over(node: Node, open_lambda: OpenLambda, way: Way) -> None:
    first = open_lambda(node)
    target, how = way(first)
    second = open_lambda(node, target, **how)
    assert second.id == first.id
    assert first.ws.close_code() == 4409
    assert answers(node, second)
    assert first.key not in node.log.text()
    assert first.key not in node.fetch("GET", f"/lambda/{first.id}").body.decode()


def test_the_key_is_renewed(node: Node, open_lambda: OpenLambda) -> None:
    first = open_lambda(node)
    second = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)])
    third = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, second.key)])
    assert answers(node, third)
    fourth = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)])
    assert answers(node, fourth)


def test_nothing_changes_before_the_new_socket_answers(node: Node, open_lambda: OpenLambda) -> None:
    first = open_lambda(node)
    with Provider(node.address, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)]) as second:
        assert second.id == first.id
        first.settle()
        assert answers(node, first)
        second.accept()
        assert first.ws.close_code() == 4409
        assert answers(node, second)


def test_a_new_socket_that_never_answers_changes_nothing(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    own = shared_node(open_timeout_s=0.3)
    first = open_lambda(own)
    with Provider(own.address, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)]) as second:
        assert second.ws.close_code() == 4408
    first.settle()
    assert answers(own, first)


@pytest.mark.parametrize("end", ["refuses", "leaves"])
def test_a_new_socket_that_gives_up_changes_nothing(node: Node, open_lambda: OpenLambda, end: str) -> None:
    first = open_lambda(node)
    with Provider(node.address, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)]) as second:
        if end == "refuses":
            second.ws.send(b'{"id":0,"error":"no"}')
        else:
            second.ws.send_close(1000)
        second.ws.close_code()
    first.settle()
    assert answers(node, first)


def test_the_last_to_answer_wins(node: Node, open_lambda: OpenLambda) -> None:
    owner = open_lambda(node)
    key = [(KEY_HEADER, owner.key)]
    target = f"/lambda/new/{owner.id}"
    with Provider(node.address, target, headers=key) as early, Provider(node.address, target, headers=key) as late:
        late.accept()
        assert owner.ws.close_code() == 4409
        early.accept()
        assert late.ws.close_code() == 4409
        assert answers(node, early)


def test_what_the_old_socket_says_and_does_later_changes_nothing(node: Node, open_lambda: OpenLambda) -> None:
    first = open_lambda(node)
    with RawHttp(node.address) as caller:
        caller.send(request("POST", f"/lambda/{first.id}/m"))
        held = first.next_call()
        second = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)])
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"
        caller.send(request("POST", f"/lambda/{first.id}/m"))
        current = second.next_call()
        assert current.number == (held.number or 0) + 1  # numbers count over the life of the lambda
        first.answer(current, b'"an impostor"')
        first.answer(held, b'"late"')
        first.ws.http.close()
        second.settle()
        second.answer(current, b'"mine"')
        assert caller.answer().json() == "mine"
    assert answers(node, second)


def test_a_takeover_is_one_lambda(node: Node, open_lambda: OpenLambda) -> None:
    with EventStream(node.address) as events:
        first = open_lambda(node)
        assert events.of(first.id)[1]["reopened"] is False
        second = open_lambda(node, f"/lambda/new/{first.id}", headers=[(KEY_HEADER, first.key)])
        first.ws.close_code()
        second.ws.send_close(1000)
        told = [events.of(first.id)]
        while told[-1] != ("close", {"id": first.id, "reason": "closed"}):
            told.append(events.of(first.id))
        assert [data["reopened"] for name, data in told if name == "open"] == [True]


def test_a_wrong_key_is_refused_and_the_owner_notices_nothing(node: Node, open_lambda: OpenLambda) -> None:
    owner, other = open_lambda(node), open_lambda(node)
    for key in (*spoiled(owner.key), other.key):
        assert refusal(node, f"/lambda/new/{owner.id}", [(KEY_HEADER, key)]) == (403, "forbidden")
        assert refusal(node, f"/lambda/new/{owner.id}?key={key}") == (403, "forbidden")
        assert refusal(node, f"/lambda/new/{owner.id}", (), (f"key.{key}", "json-rpc")) == (403, "forbidden")
        assert refusal_to_page(node, f"/lambda/new/{owner.id}", (), (f"key.{key}", "json-rpc")) == 4403
    owner.settle()
    assert answers(node, owner)


def test_a_wrong_key_is_worse_than_none(node: Node, open_lambda: OpenLambda) -> None:
    """Who shows a key is judged by it, also for an id that needs none."""
    first = open_lambda(node)
    key = first.key
    lambda_id = ended(node, first)
    assert refusal(node, f"/lambda/new/{lambda_id}", [(KEY_HEADER, spoiled(key)[0])]) == (403, "forbidden")
    assert open_lambda(node, f"/lambda/new/{lambda_id}", headers=[(KEY_HEADER, key)]).id == lambda_id


def test_a_key_of_another_node_is_no_key(node: Node, start_node: StartNode, open_lambda: OpenLambda) -> None:
    elsewhere = open_lambda(start_node())
    owner = open_lambda(node)
    assert refusal(node, f"/lambda/new/{owner.id}", [(KEY_HEADER, elsewhere.key)]) == (403, "forbidden")


def test_a_key_expires(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node(resume_key_ttl_s=1)
    owner = open_lambda(own)
    key = [(KEY_HEADER, owner.key)]

    def expired() -> bool:
        with RawHttp(own.address) as http:
            http.send(handshake(f"/lambda/new/{owner.id}", key))
            return http.answer().status == 403

    assert not expired()
    until(expired, "the key is refused", within_s=4.0)
    owner.settle()
    assert answers(own, owner)


def test_a_key_outlives_a_restart(start_node: StartNode, open_lambda: OpenLambda) -> None:
    first = start_node()
    provider = open_lambda(first)
    key = [(KEY_HEADER, provider.key)]
    first.kill()
    second = start_node(state=first.state)
    assert refusal(second, f"/lambda/new/{provider.id}", [(KEY_HEADER, spoiled(provider.key)[0])]) == (403, "forbidden")
    again = open_lambda(second, f"/lambda/new/{provider.id}", headers=key)
    assert again.id == provider.id
    assert answers(second, again)


def test_the_original_client_comes_back_after_a_restart(start_node: StartNode, open_lambda: OpenLambda) -> None:
    first = start_node()
    provider = open_lambda(first)
    first.kill()
    second = start_node(state=first.state)
    assert open_lambda(second, f"/lambda/new/{provider.id}").id == provider.id
