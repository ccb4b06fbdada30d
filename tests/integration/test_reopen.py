"""Re-opening with the 1.0 codec, without a key: who may have an id again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.events import EventStream
from tests.integration.reopening import KEY_HEADER, answers, ended, refusal, refusal_to_page
from tests.lambda_ids import NEEDS_KEY, parse, sibling, stranger
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import WebSocket
from tests.wire import refused

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Without a key: the reference's client


@pytest.mark.parametrize("code", [None, 1000, 1001], ids=str)
def test_the_original_client_gets_its_id_back(node: Node, open_lambda: OpenLambda, code: int | None) -> None:
    first = open_lambda(node)
    assert answers(node, first)
    first.ws.send_close(code)
    first.ws.close_code()
    second = open_lambda(node, f"/lambda/new/{first.id}")
    assert second.id == first.id
    assert answers(node, second)


def test_after_a_lost_connection_too(node: Node, open_lambda: OpenLambda) -> None:
    lambda_id = ended(node, open_lambda(node))
    second = open_lambda(node, f"/lambda/new/{lambda_id}")
    assert second.id == lambda_id
    assert node.fetch("GET", f"/lambda/{lambda_id}").json()["state"] == "open"
    assert lambda_id in node.fetch("GET", "/lambda").json()


def test_ids_of_the_original_codec_need_no_key(node: Node, open_lambda: OpenLambda) -> None:
    assert not parse(open_lambda(node).id).field & NEEDS_KEY


def test_events_say_reopened(node: Node, open_lambda: OpenLambda) -> None:
    lambda_id = ended(node, open_lambda(node))
    with EventStream(node.address) as events:
        open_lambda(node, f"/lambda/new/{lambda_id}")
        name, data = events.of(lambda_id)
        assert (name, data["reopened"]) == ("open", True)


def test_it_is_not_callable_before_it_answers(node: Node, open_lambda: OpenLambda) -> None:
    lambda_id = ended(node, open_lambda(node))
    with Provider(node.address, f"/lambda/new/{lambda_id}") as second:
        assert node.fetch("POST", f"/lambda/{lambda_id}/m").status == 410
        second.accept()
        assert answers(node, second)


@pytest.mark.parametrize("after_s", [-3600.0, 0.0, 10.0], ids=str)
def test_an_id_that_the_node_forgot_may_come_back(
    node: Node, open_lambda: OpenLambda, echo: Provider, after_s: float
) -> None:
    """There is no stored list of ids; up to 15 s ahead an id is not of the future."""
    lambda_id = sibling(echo.id, after_s=after_s)
    assert open_lambda(node, f"/lambda/new/{lambda_id}").id == lambda_id


def test_new_ids_never_repeat_one_that_came_back_from_the_future(
    node: Node, open_lambda: OpenLambda, echo: Provider
) -> None:
    ahead = open_lambda(node, f"/lambda/new/{sibling(echo.id, after_s=5.0)}").id
    assert ahead not in {open_lambda(node).id for _ in range(5)}


def test_an_id_of_the_future_is_refused(node: Node, echo: Provider) -> None:
    status, _ = refusal(node, f"/lambda/new/{sibling(echo.id, after_s=60.0)}")
    assert status in (403, 404)
    assert refusal_to_page(node, f"/lambda/new/{sibling(echo.id, after_s=60.0)}") in (4403, 4404)


def test_an_id_that_is_held_is_refused_and_its_owner_notices_nothing(node: Node, open_lambda: OpenLambda) -> None:
    owner = open_lambda(node)
    assert refusal(node, f"/lambda/new/{owner.id}") == (403, "forbidden")
    assert refusal_to_page(node, f"/lambda/new/{owner.id}") == 4403
    owner.settle()
    assert answers(node, owner)


def test_an_id_that_needs_a_key_is_refused(node: Node, echo: Provider) -> None:
    lambda_id = sibling(echo.id, field=NEEDS_KEY)
    assert refusal(node, f"/lambda/new/{lambda_id}") == (403, "forbidden")
    assert refusal_to_page(node, f"/lambda/new/{lambda_id}") == 4403


def test_a_deleted_id_never_comes_back(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    key = [(KEY_HEADER, provider.key)]
    node.fetch("DELETE", f"/lambda/{provider.id}")
    assert provider.ws.close_code() == 4410
    for headers in ([], key):
        assert refusal(node, f"/lambda/new/{provider.id}", headers)[0] in (403, 410)
        assert refusal_to_page(node, f"/lambda/new/{provider.id}", headers) in (4403, 4410)
    refused(node.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone")


def test_a_foreign_page_needs_a_key(shared_node: StartNode, open_lambda: OpenLambda) -> None:
    own = shared_node(allow_origin=["https://app.example"])
    first = open_lambda(own)
    lambda_id = ended(own, first)
    foreign = [("Origin", "https://app.example")]
    with WebSocket.open(own.address, f"/lambda/new/{lambda_id}", headers=foreign) as ws:
        assert ws.close_code() == 4403
    assert open_lambda(own, f"/lambda/new/{lambda_id}", headers=[*foreign, (KEY_HEADER, first.key)]).id == lambda_id


def test_an_id_of_a_machine_that_is_not_there(node: Node, echo: Provider) -> None:
    status, code = refusal(node, f"/lambda/new/{stranger(echo.id)}")
    assert (status, code) in ((404, "lambda_not_found"), (502, "peer_unreachable"))
    assert refusal_to_page(node, f"/lambda/new/{stranger(echo.id)}") in (4404, 4503)


@pytest.mark.parametrize("lambda_id", ["x", "rhowRuuCUoE5vlcAA", "rhowRuuCUoE5vl!A"])
def test_a_bad_id(node: Node, lambda_id: str) -> None:
    assert refusal(node, f"/lambda/new/{lambda_id}") == (400, "bad_request")


def test_without_an_upgrade_426(node: Node, echo: Provider) -> None:
    refused(node.fetch("GET", f"/lambda/new/{echo.id}"), 426, "upgrade_required")
