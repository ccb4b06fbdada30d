"""Thousands of providers lose their node and come back to it at once; the other nodes hardly notice."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.processes import Child, Cores, allow_open_files, pinned
from tests.faults.crowds.pace import Pace, elapse
from tests.faults.crowds.scale import IS_FULL, node_settings, scaled
from tests.meshes import Mesh, call
from tests.providers import Answering, echo

COUNT = scaled(1_000, 10_000)
BACK_S = 30.0
QUIET_S = scaled(2.0, 15.0)
WORSE = scaled(3.0, 2.0)
"""How much longer calls between the other nodes may take meanwhile. A short run has few windows: it is let off more."""
LEAST_MS = 2.0
"""What is quicker counts as so much: below it the machine's own noise is measured."""
DESCRIPTORS = 12_000


@contextmanager
def started(folder: Path, cores: Cores) -> Iterator[Mesh]:
    """Three nodes: the first on a core of its own, as if it were another machine than the others."""
    running = Mesh(folder, **node_settings())
    try:
        for core in (cores.load, cores.node, cores.node):
            with pinned(core):
                running.add()
        for node in running.nodes[1:]:
            running.await_link(node, running.nodes[0])
        yield running
    finally:
        running.stop()


def said(crowd: Child, key: str, within_s: float) -> Any:
    return crowd.wait_for(key, within_s)


@pytest.mark.timeout(400 if IS_FULL else 120)
def test_a_crowd_comes_back_to_a_node_that_was_killed(tmp_path: Path) -> None:
    if allow_open_files(DESCRIPTORS) < COUNT + 500:
        pytest.skip(f"this machine lets a process open too few files for {COUNT} lambdas")
    cores, ours = Cores.choose(), os.sched_getaffinity(0)
    with ExitStack() as exits:
        running = exits.enter_context(started(tmp_path, cores))
        victim, near, far = running.nodes
        line = [sys.executable, "-m", "tests.faults.crowds.crowd", victim.host, str(victim.port), str(COUNT)]
        crowd = Child("crowd", line, cores.load, tmp_path)
        exits.callback(crowd.stop)
        exits.callback(os.sched_setaffinity, 0, ours)
        os.sched_setaffinity(0, {cores.node})
        ids = said(crowd, "here", 90.0)["ids"]
        provider = exits.enter_context(Answering(near.address, echo))
        pace = exits.enter_context(Pace((far.host, far.port), provider.id))
        elapse(0.5)
        before = elapse(QUIET_S)
        killed_at = time.monotonic()
        victim.kill()
        with pinned(cores.load):
            victim = running.restart(victim)
        report = said(crowd, "here", BACK_S + 10)
        during = (killed_at, max(report["at"], killed_at + 1.0))
        elapse(0.5)
        after = elapse(QUIET_S)
        pace.close()
        base_ms, meanwhile_ms = pace.p99_ms(before, after), pace.p99_ms(during)
        took_s = report["at"] - killed_at
        print(
            f"{COUNT} were back after {took_s:.1f} s (waits: {report['refused']}); p99 between the others "
            f"{base_ms:.2f} ms, meanwhile {meanwhile_ms:.2f} ms (worst window {max(pace.windows_ms(*during)):.1f} ms, "
            f"worst of the quiet time {max(pace.windows_ms(*before) + pace.windows_ms(*after)):.1f} ms)"
        )
        assert took_s <= BACK_S
        assert report["changed"] == 0
        assert victim.fetch("GET", "/lambda?count").json() == {"count": COUNT}
        for lambda_id in ids:
            assert call(far, lambda_id) == (200, 1)
        assert not pace.wrong
        assert meanwhile_ms <= WORSE * max(base_ms, LEAST_MS)
        assert not any(node.complaints() for node in running)
