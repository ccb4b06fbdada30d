"""The metrics of a node, from those of its workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

from lambdamesh.core.words import MeasuresWords
from lambdamesh.telemetry.metrics import GAUGES, Exposition


def gauges(**values: float) -> dict[str, float]:
    return {name: 0.0 for name, _, _ in GAUGES} | values


def written(own: Mapping[str, float], *siblings: MeasuresWords) -> dict[str, float]:
    """The values of a worker of a node that has counted 3 calls, and of its siblings, by name."""
    text = Exposition(lambda: {"calls": 3}, lambda: own)(siblings).decode()
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+) (\S+)$", text, re.MULTILINE)}


def sibling(pid: int = 0, **values: float) -> MeasuresWords:
    return MeasuresWords(pid, gauges(**values))


def test_of_one_worker_they_are_its_own() -> None:
    values = written(gauges(lambdas=2, workers=1, ready=1))
    assert values["lambdamesh_calls_total"] == 3
    assert (values["lambdamesh_lambdas"], values["lambdamesh_workers"], values["lambdamesh_ready"]) == (2, 1, 1)


def test_of_several_what_each_has_is_added() -> None:
    values = written(gauges(lambdas=2, workers=1), sibling(lambdas=5, workers=1), sibling(workers=1))
    assert values["lambdamesh_calls_total"] == 3
    assert (values["lambdamesh_lambdas"], values["lambdamesh_workers"]) == (7, 3)


def test_what_all_of_them_see_is_not_added() -> None:
    values = written(
        gauges(nodes=4, nodes_alive=2, ready=1, mesh_degraded=0, loop_block_seconds=0.1),
        sibling(nodes=3, nodes_alive=3, ready=0, mesh_degraded=1, loop_block_seconds=0.4),
    )
    assert (values["lambdamesh_nodes"], values["lambdamesh_nodes_alive"]) == (4, 3)
    assert (values["lambdamesh_ready"], values["lambdamesh_mesh_degraded"]) == (0, 1)
    assert values["lambdamesh_loop_block_seconds"] == 0.4


def test_a_sibling_of_another_release_adds_what_it_has() -> None:
    values = written(gauges(lambdas=2), MeasuresWords(0, {"unheard_of": 7.0, "lambdas": 1.0}))
    assert values["lambdamesh_lambdas"] == 3
    assert "lambdamesh_unheard_of" not in values


def test_processes_are_added_and_the_oldest_tells_the_age() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        alone, together = written(gauges()), written(gauges(), sibling(pid=other.pid))
        other.communicate(b"\n")
    assert together["process_open_fds"] > alone["process_open_fds"]
    assert together["process_resident_memory_bytes"] > alone["process_resident_memory_bytes"]
    assert together["process_start_time_seconds"] == alone["process_start_time_seconds"]
    assert written(gauges(), sibling(pid=other.pid))["process_open_fds"] > 0
    assert os.getpid() != other.pid
