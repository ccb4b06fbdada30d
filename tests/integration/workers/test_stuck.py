"""A worker that stands still: the others answer without it, and it is ended and replaced."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

from tests.integration.workers.conftest import StartNode
from tests.integration.workers.crew import Crew, answering_at, entry, provider_at, taken_back
from tests.nodes import until
from tests.wire import refused

SILENT_S = 10.0
"""After so long without a word a worker is ended."""


def test_a_worker_that_stands_still(start_node: StartNode) -> None:
    own = start_node(workers=2)
    crew = Crew(own)
    with ExitStack() as opened:
        mine = opened.enter_context(answering_at(own, 0))
        theirs = opened.enter_context(provider_at(own, 1))
        http = opened.enter_context(entry(own, 0))
        crew.signal(1, signal.SIGSTOP)
        stopped_at = time.monotonic()

        listed = http.ask("GET", "/lambda")
        took_s = time.monotonic() - stopped_at
        assert (listed.status, listed.header("Lambda-Unreachable")) == (200, own.machine_id)
        assert list(listed.json()) == [mine.id]
        counted = http.ask("GET", "/lambda?count")
        assert (counted.json(), counted.header("Lambda-Unreachable")) == ({"count": 1}, own.machine_id)
        ready = http.ask("GET", "/readyz")
        assert ready.status == 200
        assert ready.json()["status"] == "degraded"
        assert "worker 1 does not answer" in ready.json()["why"]
        assert b"\nlambdamesh_workers 1.0\n" in http.ask("GET", "/metrics").body
        assert took_s < 3.0, took_s
        assert http.ask("GET", "/healthz").status == 200
        assert http.ask("POST", f"/lambda/{mine.id}/m", b"[1]").body == b"[1]"
        call = http.ask("POST", f"/lambda/{theirs.id}/m?timeout=0.5", b"1")
        # Its deadline, or the link whose pings are not answered, or no link any more.
        assert (call.status, call.delivered) in ((504, "unknown"), (502, "unknown"), (503, "no"))

        line = own.wait_log("worker_stuck", within_s=SILENT_S + 10)
        assert time.monotonic() - stopped_at >= SILENT_S - 1.5
        assert (line["worker"], line["pid"]) == (1, crew.pids[1])
        crew.replaced(1)
        assert own.wait_log("worker_lost")["why"] == "killed by SIGKILL"
        again = opened.enter_context(taken_back(own, theirs.id))
        assert http.ask("POST", f"/lambda/{again.id}/m", b"1", [("Prefer", "respond-async")]).status == 202
        assert again.next_call().body == b"1"


def test_one_that_stood_still_for_a_moment_goes_on(start_node: StartNode) -> None:
    own = start_node(workers=2)
    crew = Crew(own)
    with answering_at(own, 1) as theirs, entry(own, 0) as http:
        crew.signal(1, signal.SIGSTOP)
        answer = http.ask("POST", f"/lambda/{theirs.id}/m?timeout=0.3", b"1")
        assert refused(answer, 504, "timeout").delivered == "unknown"
        crew.signal(1, signal.SIGCONT)
        until(lambda: http.ask("POST", f"/lambda/{theirs.id}/m", b"2").status == 200, "it answers again")
    assert not [line for line in own.logs if line.get("event") == "worker_lost"]


def test_a_drain_does_not_wait_for_one_that_stands_still(start_node: StartNode) -> None:
    serving, starting = start_node(workers=2), start_node(workers=2)
    Crew(serving).signal(1, signal.SIGSTOP)
    crew = Crew(starting)
    crew.kill(1)
    starting.wait_log("worker_lost")
    until(lambda: len(crew.fresh()) == 1, "another process")
    # It has not said a word yet.
    os.kill(crew.fresh()[0], signal.SIGSTOP)
    for own in (serving, starting):
        own.signal(signal.SIGTERM)
    for own in (serving, starting):
        assert own.wait(SILENT_S + 10) == 0
        assert own.wait_log("worker_stuck")["worker"] == 1
