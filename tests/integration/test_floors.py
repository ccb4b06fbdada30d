"""The floor under a node's ids: ahead of the clock, and on a disk that does not always take it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.integration.reopening import answers, refusal
from tests.lambda_ids import Id, parse
from tests.nodes import Node
from tests.providers import Provider

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


def test_an_id_that_was_minted_under_a_floor_ahead_is_taken_after_a_restart(
    start_node: StartNode, open_lambda: OpenLambda
) -> None:
    own = start_node()
    own.stop()
    floor_ms = int(time.time() * 1000) + 60_000
    (own.state / "floor-0").write_text(f"{floor_ms}\n")
    own = start_node(state=own.state)
    first = open_lambda(own)
    assert parse(first.id).at_ms >= floor_ms
    own.kill()
    own = start_node(state=own.state)
    again = open_lambda(own, f"/lambda/new/{first.id}")
    assert again.id == first.id
    assert answers(own, again)
    never = str(Id(parse(first.id).machine, floor_ms + 60_000))
    assert refusal(own, f"/lambda/new/{never}") == (403, "forbidden")


def test_a_floor_that_could_not_be_written_is_tried_again(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    file = own.state / "floor-0"
    file.unlink(missing_ok=True)
    file.mkdir()
    open_lambda(own)
    assert str(file) in own.wait_log("floor_not_written")["why"]
    file.rmdir()
    last = open_lambda(own)
    assert int(file.read_text()) > parse(last.id).at_ms
    own.kill()
    own = start_node(state=own.state)
    assert parse(open_lambda(own).id).uid > parse(last.id).uid
