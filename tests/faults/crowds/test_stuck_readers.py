"""Readers that never read and handshakes that never end: the node keeps its memory, and honest callers their time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import allow_open_files
from tests.faults.crowds.pace import Pace, elapse
from tests.faults.crowds.scale import IS_FULL, node_settings, scaled
from tests.faults.crowds.strangers import ITEM, Strangers, big_or_echo
from tests.integration.metering import memory_kib, metric
from tests.json_rpc_2 import Counting
from tests.meshes import Mesh, mesh
from tests.nodes import Node, until
from tests.providers import Answering, echo

STUCK, HALF_OPEN = scaled(40, 100), scaled(1_000, 5_000)
ROUNDS, WINDOW_S = scaled(3, 5), scaled(1.0, 3.0)
MORE_KIB = 150 * 1024
"""What all of them may cost."""
WORSE = scaled(2.0, 1.5)
"""How much longer honest calls may take while they are held. The short run has few windows: it is let off more."""
LEAST_MS = 2.0
"""What is quicker counts as so much: below it the machine's own noise is measured."""
PATIENCE_S = scaled(4.0, 20.0)
LIMITS: dict[str, object] = {
    "stream_stall_s": PATIENCE_S,
    "write_deadline_s": scaled(4.0, 10.0),
    "silent_timeout_s": PATIENCE_S,
    "head_timeout_s": PATIENCE_S,
}
"""How long they are borne: until all of them are there, on a machine that has much else to do."""
GONE_S = scaled(20.0, 60.0)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Mesh]:
    """A node with a mesh door."""
    with mesh(tmp_path, 1, **LIMITS, **node_settings()) as running:
        yield running


def costs_little(node: Node, before_kib: int) -> int:
    """Check what the node holds more than before; how much."""
    more_kib = memory_kib(node) - before_kib
    assert more_kib <= MORE_KIB, f"{more_kib / 1024:.0f} MiB more"
    return more_kib


@pytest.mark.timeout(400 if IS_FULL else 120)
def test_those_who_hold_a_node_up_cost_it_little(alone: Mesh) -> None:
    allow_open_files(2 * HALF_OPEN)
    [node] = alone
    with (
        Answering(node.address, big_or_echo) as big,
        Counting(node, ITEM) as counting,
        Answering(node.address, echo) as honest,
        Pace((node.host, node.port), honest.id) as pace,
    ):
        elapse(0.5)
        base, before_kib, most_kib = node.open_files(), memory_kib(node), 0
        quiet, held = [], []
        strangers = Strangers(node, big.id, counting.id)
        for number in range(ROUNDS):
            quiet.append(elapse(WINDOW_S))
            strangers.half_open(HALF_OPEN)
            strangers.stuck(STUCK)
            # All are there, and so are the answers that nobody takes.
            until(lambda: node.open_files() - base >= HALF_OPEN * 8 // 10, "they are let in", 15.0)
            held.append(elapse(WINDOW_S))
            most_kib = max(most_kib, costs_little(node, before_kib))
            if number < ROUNDS - 1:
                strangers.close()
                until(lambda: node.open_files() <= base, "they have gone")
        # The last ones stay: it is the node that ends them.
        began_at = time.monotonic()
        until(lambda: node.open_files() <= base, f"{node.open_files()} descriptors are {base}", GONE_S)
        took_s = time.monotonic() - began_at
        assert metric(node, "websockets") == 3
        strangers.close()
        after_kib = memory_kib(node) - before_kib
        pace.close()
    quiet_ms, held_ms = pace.calm_p99_ms(*quiet), pace.calm_p99_ms(*held)
    print(
        f"{STUCK} stuck readers and {HALF_OPEN} half-open handshakes: at most {most_kib / 1024:.0f} MiB more "
        f"({after_kib / 1024:.0f} MiB behind them); p99 {quiet_ms:.2f} ms without, {held_ms:.2f} ms with them "
        f"(all windows: {pace.p99_ms(*quiet):.2f} and {pace.p99_ms(*held):.2f}); all cut {took_s:.1f} s after the last"
    )
    assert not pace.wrong
    assert held_ms <= WORSE * max(quiet_ms, LEAST_MS)
    assert not node.complaints()
