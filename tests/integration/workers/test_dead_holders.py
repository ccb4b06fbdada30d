"""A worker dies that holds a lambda of another worker: nobody is told that the lambda is gone for good."""

from __future__ import annotations

from tests.integration.workers.conftest import StartNode
from tests.integration.workers.crew import Crew, entry, moved_to, provider_2_at, served
from tests.wire import refused, request


def test_what_a_dead_worker_held_is_on_its_way_back(start_node: StartNode) -> None:
    own = start_node(workers=2)
    crew = Crew(own)
    with provider_2_at(own, 0) as first, moved_to(1, first) as moved, entry(own, 0) as caller:
        served(moved)
        crew.kill(1)
        crew.replaced(1)
        with entry(own, 1) as other:
            refused(other.ask("POST", f"/lambda/{first.id}/m", b"1"), 503, "recovering")
        answer = refused(caller.ask("POST", f"/lambda/{first.id}/m", b"1"), 503, "recovering")
        assert answer.delivered == "no"
        assert answer.header("Retry-After") is not None
        with moved.again() as back:
            caller.send(request("POST", f"/lambda/{first.id}/m", b"1"))
            back.answer(back.call(), 9)
            assert caller.answer().json() == 9
