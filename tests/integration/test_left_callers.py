"""Callers that leave while nothing of theirs is read: the node notices, and goes on with the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.metering import metric
from tests.integration.reopening import answers
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


@pytest.fixture(scope="module")
def narrow(shared_node: StartNode, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node that reads one request ahead."""
    path: Path = tmp_path_factory.mktemp("door") / "s"
    return shared_node(pipeline_requests=1, local=["127.0.0.1:0", f"unix:{path}"])


@pytest.mark.parametrize("door", [0, 1], ids=["tcp", "unix"])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("behind", [0, 1, 200], ids=lambda count: f"{count} unread")
def test_a_caller_that_leaves_a_full_pipeline_is_noticed(
    narrow: Node, open_lambda: OpenLambda, door: int, how: str, behind: int
) -> None:
    provider = open_lambda(narrow)
    target = f"/lambda/{provider.id}/m"
    before = metric(narrow, "calls_cancelled_total")
    with RawHttp(narrow.addresses[door]) as http:
        http.send(request("POST", target, b"1"))
        assert provider.next_call().body == b"1"
        http.send(request("POST", target, b"2"))
        http.send(request("POST", target, b"3") * behind)
        if how == "close":
            http.close()
        else:
            http.reset()
        until(lambda: metric(narrow, "calls_cancelled_total") == before + 1, "its call is cancelled", within_s=2.5)
    # What stood in the queue is not called.
    assert answers(narrow, provider)


def test_a_caller_that_stays_gets_its_answers(narrow: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(narrow)
    target = f"/lambda/{provider.id}/m"
    with RawHttp(narrow.address) as http:
        http.send(b"".join(request("POST", target, b"%d" % number) for number in range(5)))
        for number in range(5):
            call = provider.next_call()
            assert call.body == b"%d" % number
            provider.answer(call, call.body)
            assert http.answer().json() == number
