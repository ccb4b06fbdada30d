"""A process that may not run is seen, and one that does not want to is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.judge import STARVED
from tests.faults.starving import LOOK_S, STARVED_S, Starving
from tests.nodes import until

SPIN = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(flush=True)\nwhile True: pass"


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not say who waited (schedstat)")
def test_who_waits_for_a_processor_is_seen() -> None:
    spinners = [
        subprocess.Popen(["nice", "-n", nice, sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
        for nice in ("0", "19")
    ]
    idle = subprocess.Popen(["sleep", "100"])
    try:
        for spinner in spinners:
            assert spinner.stdout is not None
            spinner.stdout.readline()
        starving = Starving()
        nodes = {"node1": [spinners[1].pid], "node2": [idle.pid]}
        with starving.watching(lambda: nodes):
            until(lambda: starving.seen, "one has waited", 20)
        seen = starving.seen[0]
        assert (seen.kind, seen.target) == (STARVED, "node1")
        assert seen.until - seen.since >= LOOK_S + STARVED_S
    finally:
        for process in (*spinners, idle):
            process.kill()
            process.communicate()


def test_processes_that_are_not_there_are_passed_over() -> None:
    starving = Starving()
    for now in (100.0, 101.0):
        starving.look(now, {"node1": [2**22 + 1]})
    assert starving.seen == []
