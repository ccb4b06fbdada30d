"""Nodes that are killed and started again, quickly and often: ids keep their meaning."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.reopening import KEY_HEADER, answers, ended, refusal, refusal_to_page
from tests.lambda_ids import Id, parse, sibling
from tests.nodes import Node
from tests.providers import Answering, Provider
from tests.wire import refused

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]

FUTURE_S = 15.0


def ahead_s(lambda_id: str) -> float:
    """How far an id is ahead of the clock."""
    return parse(lambda_id).at_ms / 1000 - time.time()


def test_ids_do_not_run_away_over_quick_restarts(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    ids: list[str] = []
    for _ in range(8):
        provider = open_lambda(own)
        assert ahead_s(provider.id) <= FUTURE_S
        ids.append(provider.id)
        own.kill()
        own = start_node(state=own.state)
        for lambda_id in ids:
            refused(own.fetch("POST", f"/lambda/{lambda_id}/m"), 503, "recovering")
    assert ids == sorted(set(ids), key=lambda text: parse(text).uid)
    for lambda_id in ids:
        again = open_lambda(own, f"/lambda/new/{lambda_id}")
        assert again.id == lambda_id
        assert answers(own, again)


def test_a_node_that_ends_properly_leaves_no_floor_ahead(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    for _ in range(3):
        lambda_id = ended(own, open_lambda(own))
        assert ahead_s(lambda_id) < 0.5
        own.stop()
        own = start_node(state=own.state)
    assert ahead_s(open_lambda(own).id) < 0.5


@pytest.mark.parametrize("after_s", [0.5, 5.0, 12.0])
def test_an_id_that_was_claimed_ahead_is_never_minted(
    start_node: StartNode, open_lambda: OpenLambda, after_s: float
) -> None:
    own = start_node()
    first = open_lambda(own)
    ahead = open_lambda(own, f"/lambda/new/{sibling(first.id, after_s=after_s)}")
    following = [open_lambda(own).id for _ in range(3)]
    assert all(parse(one).uid > parse(ahead.id).uid for one in following)
    own.kill()
    second = start_node(state=own.state)
    refused(second.fetch("POST", f"/lambda/{ahead.id}/m"), 503, "recovering")
    assert parse(open_lambda(second).id).uid > max(parse(one).uid for one in following)
    assert open_lambda(second, f"/lambda/new/{ahead.id}").id == ahead.id


def test_claims_do_not_push_one_another_into_the_future(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    first = open_lambda(own)
    machine = parse(first.id).machine
    ahead = open_lambda(own, f"/lambda/new/{sibling(first.id, after_s=14.0)}")
    further = str(Id(machine, parse(ahead.id).at_ms + 14_000))
    assert refusal(own, f"/lambda/new/{further}") == (403, "forbidden")
    assert ahead_s(open_lambda(own).id) <= FUTURE_S


# -- files that a crash of the machine has left empty ------------------------------------------------------------


def test_an_empty_floor_repeats_no_id_that_ran_ahead(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    ahead = open_lambda(own, f"/lambda/new/{sibling(open_lambda(own).id, after_s=14.0)}")
    last = open_lambda(own)
    assert parse(last.id).uid > parse(ahead.id).uid
    own.kill()
    (own.state / "floor-0").write_text("")
    assert parse(open_lambda(start_node(state=own.state)).id).uid > parse(last.id).uid


@pytest.mark.parametrize("content", ["", "\n", "nonsense\n"])
def test_an_empty_floor_repeats_no_id(start_node: StartNode, open_lambda: OpenLambda, content: str) -> None:
    own = start_node()
    before = [open_lambda(own).id for _ in range(3)]
    own.kill()
    (own.state / "floor-0").write_text(content)
    second = start_node(state=own.state)
    after = [open_lambda(second).id for _ in range(3)]
    assert min(parse(one).uid for one in after) > max(parse(one).uid for one in before)
    refused(second.fetch("POST", f"/lambda/{before[0]}/m"), 503, "recovering")
    assert all(ahead_s(one) <= 2 * FUTURE_S + 1 for one in after)


def test_an_empty_floor_counts_from_when_it_was_written(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    first = open_lambda(own).id
    own.stop()
    floor = own.state / "floor-0"
    floor.write_text("")
    written_s = time.time() - 3600
    os.utime(floor, (written_s, written_s))
    second = open_lambda(start_node(state=own.state)).id
    assert abs(ahead_s(second)) < 1.0
    assert parse(second).uid > parse(first).uid


def test_an_empty_machine_id_exits_78_and_is_named(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    machine = parse(open_lambda(own).id).machine
    own.stop()
    file = own.state / "machine-id"
    text = file.read_text()
    file.write_text("")
    broken = start_node(state=own.state, ready=False)
    assert broken.wait() == 78
    assert str(file) in broken.log.text()
    assert "Traceback" not in broken.log.text()
    assert file.read_text() == ""
    file.write_text(text)
    assert parse(open_lambda(start_node(state=own.state)).id).machine == machine


# -- deletions ---------------------------------------------------------------------------------------------------


def stays_deleted(node: Node, provider: Provider) -> None:
    """Neither its id nor its key opens it again, and its callers hear that it is gone."""
    for headers in ([], [(KEY_HEADER, provider.key)]):
        assert refusal(node, f"/lambda/new/{provider.id}", headers) == (410, "lambda_gone")
        assert refusal_to_page(node, f"/lambda/new/{provider.id}", headers) == 4410
    refused(node.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone")


def test_to_delete_what_has_closed_voids_its_key(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    provider = open_lambda(own)
    ended(own, provider)
    refused(own.fetch("DELETE", f"/lambda/{provider.id}"), 410, "lambda_gone")
    stays_deleted(own, provider)
    own.kill()
    stays_deleted(start_node(state=own.state), provider)


def test_to_delete_goes_on_where_that_cannot_be_written(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    file: Path = own.state / "deleted"
    file.unlink(missing_ok=True)
    file.mkdir()
    for _ in range(3):
        provider = open_lambda(own)
        answer = own.fetch("DELETE", f"/lambda/{provider.id}")
        assert (answer.status, answer.json()) == (200, {})
        assert provider.ws.close_code() == 4410
        stays_deleted(own, provider)
    failures = [line for line in own.logs if line.get("level") == "error"]
    assert [line["event"] for line in failures] == ["deletion_not_written"]
    file.rmdir()
    provider = open_lambda(own)
    assert own.fetch("DELETE", f"/lambda/{provider.id}").json() == {}
    own.kill()
    stays_deleted(start_node(state=own.state), provider)


def test_an_id_that_nobody_minted_is_no_grave(node: Node, echo: Answering) -> None:
    never = str(Id(parse(echo.id).machine, int(time.time() * 1000) + 5000, sequence=0xABD))
    refused(node.fetch("DELETE", f"/lambda/{never}"), 404, "lambda_not_found")
