"""What waits for a link: short calls pass beside long bodies, and a node that reads slowly hurts itself alone."""

from __future__ import annotations

import statistics

import pytest

from tests.integration.mesh.bulk import Sink, Source
from tests.integration.mesh.conftest import StartMesh
from tests.integration.mesh.mishaps import stopped, timed
from tests.json_rpc_2 import calling
from tests.meshes import Mesh, call, counters
from tests.nodes import Node, until
from tests.providers import Answering, echo
from tests.wire import RawHttp, refused, request

MIB = 1024 * 1024
SMALL = b'"' + b"y" * 98 + b'"'
TRANSFERS = 4
TRIES = 3
QUEUE_BYTES = 4 * MIB
MOST = 1 / 4
"""Of the time that a large body takes, what a short call beside it may take: one that waits behind it takes all of it."""


def test_short_calls_pass_beside_a_large_body(trio: Mesh) -> None:
    home, entry, _ = trio
    with Sink(home) as sink, Sink(home) as short, RawHttp(entry.address) as http:
        # Who has to wait behind a body does so each time; what else delays a call now and then is the machine's doing.
        assert any(beside_a_large_body(entry, sink.id, short.id, http) < MOST for _ in range(TRIES))


def beside_a_large_body(entry: Node, sink: str, short: str, http: RawHttp) -> float:
    """Make short calls while large bodies pass; the share of a body's time that the slow ones of them took."""
    ask = request("POST", f"/lambda/{short}/m", SMALL)

    def short_call() -> None:
        http.send(ask)
        assert http.answer().body == b"0"

    beside_s: list[float] = []
    with Source(entry, sink, TRANSFERS) as large:
        while large.is_running:
            beside_s.append(timed(short_call)[1])
        took_s = large.took_s()
    print(
        f"beside bodies of 16 MiB: median {_ms(statistics.median(beside_s))}, worst {_ms(max(beside_s))} of {len(beside_s)}"
    )
    print(f"a body of 16 MiB: {', '.join(_ms(one) for one in took_s)}")
    assert len(took_s) == TRANSFERS and len(beside_s) > 50
    # Fewer may be slow than there were bodies to wait behind.
    return sorted(beside_s)[-TRANSFERS] / statistics.median(took_s)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def test_a_large_answer_passes_short_calls_too(trio: Mesh) -> None:
    home, entry, _ = trio
    large = b'"' + b"z" * (8 * MIB) + b'"'
    with (
        Answering(home.address, lambda method, body: large if method == "large" else body) as provider,
        calling(entry, provider.id, "large") as http,
        RawHttp(entry.address) as other,
    ):
        short_s = [timed(lambda: other.ask("POST", f"/lambda/{provider.id}/m", SMALL))[1] for _ in range(20)]
        assert http.answer().body == large
    print(f"beside an answer of 8 MiB: median {_ms(statistics.median(short_s))}, worst {_ms(max(short_s))}")


# -- a node that does not read --------------------------------------------------------------------------------------


@pytest.fixture
def patient(start_mesh: StartMesh) -> Mesh:
    """Nodes that bear silence for long, so that what waits is what is tested."""
    return start_mesh(3, link_silence_s=60.0, link_queue_bytes=QUEUE_BYTES)


BODY = b'"' + b"q" * (MIB - 2) + b'"'


def fill(entry: Node, lambda_id: str) -> list[RawHttp]:
    """Call a lambda of a node that does not read until more waits for it than may; the callers, but for the last."""
    callers: list[RawHttp] = []
    while True:
        assert len(callers) < 64, "nothing waits"
        caller = calling(entry, lambda_id, body=BODY, headers=[("Prefer", "wait=30")])
        # Once it has been read whole it waits for the link, or has been refused.
        ahead = len(callers)
        until(lambda: not caller.quiet() or counters(entry)["link_calls"] > ahead, "it is read")  # noqa: B023
        if not caller.quiet():
            assert refused(caller.answer(), 503, "overloaded").delivered == "no"
            return callers
        callers.append(caller)


def test_the_queue_of_a_node_that_does_not_read_is_bounded(patient: Mesh) -> None:
    slow, entry, third = patient
    with Answering(slow.address, echo) as there, Answering(third.address, echo) as elsewhere:
        assert call(entry, elsewhere.id) == (200, 1)
        with stopped(slow):
            callers = fill(entry, there.id)
            waiting_bytes = counters(entry)["link_waiting_bytes"]
            print(f"{waiting_bytes / MIB:.1f} MiB wait, of {len(callers)} calls")
            assert QUEUE_BYTES - MIB < waiting_bytes < QUEUE_BYTES + 2 * MIB
            before = counters(entry)["overloaded_link"]
            for body in (b"1", BODY):
                answer, took_s = timed(lambda body=body: entry.fetch("POST", f"/lambda/{there.id}/m", body))  # type: ignore[misc]
                assert refused(answer, 503, "overloaded").delivered == "no"
                assert answer.header("Retry-After")
                assert took_s < 2.0
            assert counters(entry)["overloaded_link"] == before + 2
            # Others are served as ever.
            for _ in range(20):
                (status, _), took_s = timed(lambda: call(entry, elsewhere.id, body=SMALL))
                assert status == 200 and took_s < 2.0
        assert all(caller.answer().body == BODY for caller in callers)
        assert call(entry, there.id) == (200, 1)
        until(lambda: counters(entry)["link_waiting_bytes"] == 0, "nothing waits any more")
    assert counters(entry)["links_lost"] == 0
    assert not any(node.complaints() for node in patient)


def test_who_gives_up_takes_its_body_out_of_the_queue(patient: Mesh) -> None:
    slow, entry, _ = patient
    with Answering(slow.address, echo) as there:
        with stopped(slow):
            callers = fill(entry, there.id)
            for caller in callers[-3:]:
                caller.close()
            until(lambda: counters(entry)["link_waiting_bytes"] < QUEUE_BYTES - 2 * MIB, "their bodies wait no longer")
            assert counters(entry)["calls_cancelled"] == 3
        assert all(caller.answer().body == BODY for caller in callers[:-3])
        assert call(entry, there.id) == (200, 1)
