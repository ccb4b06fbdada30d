"""A machine that was copied with its state directory: two nodes that are one is what neither may be."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crowds.pace import Pace
from tests.faults.crowds.scale import node_settings
from tests.faults.hardship.conftest import StartMesh
from tests.integration.mesh.mishaps import timed
from tests.meshes import Mesh, call, counters, peer_row
from tests.nats_servers import NatsProcess
from tests.nodes import Node, until
from tests.providers import Answering, echo

BAD_CONFIGURATION = 78
SAID_S = 15.0


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    server = NatsProcess(tmp_path / "nats").start()
    yield server
    server.kill()


def copied(running: Mesh, node: Node, **settings: object) -> Node:
    """Start what a copy of a node's disk, made while it runs, has on it."""
    state = running.folder / "copied"
    shutil.copytree(node.state, state)
    state.chmod(0o700)
    given = {"mesh": "127.0.0.1:0", "mesh_secret_file": running.secret_file, "host_name": "copy", **settings}
    return Node(state, given)


def unharmed(original: Node, other: Node) -> None:
    """Check that the mesh still knows the original as who it is, and calls it."""
    assert peer_row(other, original.machine_id)["address"] == original.mesh_address
    with Answering(original.address, echo) as provider:
        assert call(other, provider.id) == (200, 1)


@pytest.mark.parametrize("number", [0, 1], ids=["the original", "a third"])
def test_a_copy_that_is_told_of_a_peer_stays_alone_and_says_why(start_mesh: StartMesh, number: int) -> None:
    running = start_mesh(2, **node_settings())
    original, other = running
    with Answering(original.address, echo) as provider, Pace((other.host, other.port), provider.id, 50) as pace:
        copy = copied(running, original, peer=running.nodes[number].mesh_address)
        try:
            why = copy.ready().wait_log("link_failed")["why"]
            for said in (original.machine_id, "node1", "--machine-id", "--state" if number == 0 else "state directory"):
                assert said in why + copy.log.text()
            until(lambda: copy.fetch("GET", "/readyz").json()["status"] == "degraded", "it knows that it is alone")
            # It is asked again and again, and never let in.
            until(lambda: counters(copy)["links_failed"] + counters(copy)["links_refused"] >= 2, "it dials again", 20.0)
            assert counters(copy)["links"] == 0
            assert any(line.get("event") == "link_refused" for line in running.nodes[number].logs)
            unharmed(original, other)
        finally:
            copy.stop()
        assert not copy.complaints()
        pace.close()
        assert pace.took and not pace.wrong


def test_a_copy_that_finds_the_others_in_nats(start_mesh: StartMesh, nats: NatsProcess) -> None:
    running = start_mesh(2, nats=nats.url, **node_settings())
    original, other = running
    copy = copied(running, original, nats=nats.url)
    try:
        code, took_s = timed(lambda: copy.wait(SAID_S))
    finally:
        copy.stop()
    print(f"it ended with {code} after {took_s:.1f} s")
    text = copy.log.text()
    assert code == BAD_CONFIGURATION, text
    for said in (original.machine_id, "node1", original.mesh_address, "--state", "--machine-id"):
        assert said in text
    assert re.search(r"since 20\d\d-\d\d-\d\d", text), text
    assert not copy.complaints()
    unharmed(original, other)
