"""A node that is started again with another number of workers is the same node: ids, keys, what was deleted."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

from tests.integration.reopening import answers
from tests.integration.workers.conftest import StartNode
from tests.integration.workers.crew import Crew, children, home_of, is_whole, taken_back
from tests.json_rpc_2 import Provider2
from tests.lambda_ids import parse
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import refused

NUMBERS = (1, 3, 2, 1)


def opened(node: Node, workers: int, stack: ExitStack) -> list[Provider]:
    """Lambdas of every worker."""
    providers: list[Provider] = []
    while {home_of(one.id, workers) for one in providers} != set(range(workers)):
        providers.append(stack.enter_context(Provider(node.address)).accept())
    return providers


def test_a_node_stays_itself_with_any_number_of_workers(start_node: StartNode) -> None:
    own = start_node(workers=NUMBERS[0])
    machine_id, state = own.machine_id, own.state
    uids: list[int] = []
    deleted: list[str] = []
    kept: str | None = None
    for count, workers in enumerate(NUMBERS):
        if count:
            own = start_node(state=state, workers=workers)
        assert own.machine_id == machine_id
        for lambda_id in deleted:
            refused(own.fetch("POST", f"/lambda/{lambda_id}/m", b"1"), 410, "lambda_gone")
        with ExitStack() as stack:
            if kept is not None:
                assert answers(own, stack.enter_context(taken_back(own, kept)))
            providers = opened(own, workers, stack)
            uids += [parse(one.id).uid for one in providers]
            for one in providers:
                assert own.fetch("DELETE", f"/lambda/{one.id}").status == 200
                deleted.append(one.id)
            kept = stack.enter_context(Provider(own.address)).accept().id
            uids.append(parse(kept).uid)
            # Every other time it has no time to write anything more.
            if count % 2:
                own.kill()
            else:
                own.stop()
    assert len(uids) == len(set(uids))
    own = start_node(state=state, workers=2)
    for lambda_id in deleted:
        refused(own.fetch("POST", f"/lambda/{lambda_id}/m", b"1"), 410, "lambda_gone")


def test_keys_outlive_a_change_of_the_number(start_node: StartNode) -> None:
    own = start_node(workers=3)
    with ExitStack() as stack:
        before = [stack.enter_context(Provider2(own)).accept() for _ in range(6)]
        own.stop()
        own = start_node(state=own.state, workers=2)
        for one in before:
            back = stack.enter_context(one.again(at=own))
            assert back.id == one.id
            assert own.fetch("GET", f"/lambda/{one.id}").status == 200
        assert own.fetch("GET", "/lambda?count").json() == {"count": 6}


def test_ids_never_repeat_over_crashes_of_a_worker(start_node: StartNode) -> None:
    own = start_node(workers=2)
    crew = Crew(own)
    uids: list[int] = []
    for worker in (0, 1, 0, 1):
        with ExitStack() as stack:
            uids += [parse(one.id).uid for one in opened(own, 2, stack)]
            crew.kill(worker)
            crew.replaced(worker)
    with ExitStack() as stack:
        uids += [parse(one.id).uid for one in opened(own, 2, stack)]
    assert len(uids) == len(set(uids))


def test_what_was_deleted_at_a_worker_is_so_for_the_next_one(start_node: StartNode) -> None:
    own = start_node(workers=2)
    with ExitStack() as stack:
        ids = [one.id for one in opened(own, 2, stack)]
        for lambda_id in ids:
            assert own.fetch("DELETE", f"/lambda/{lambda_id}").status == 200
    before = children(own)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(before) & set(children(own)) and is_whole(own), "two others", 15.0)
    for lambda_id in ids * 3:
        refused(own.fetch("POST", f"/lambda/{lambda_id}/m", b"1"), 410, "lambda_gone")
