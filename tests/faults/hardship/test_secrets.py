"""The mesh's secret is changed while calls run between all of its nodes: none of them is lost."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.faults.crowds.pace import Pace, elapse
from tests.faults.crowds.scale import node_settings, scaled
from tests.faults.hardship.conftest import StartMesh
from tests.integration.mesh.strangers import Ended, Stranger
from tests.meshes import counters, secret, secret_file
from tests.nodes import Node
from tests.providers import Answering, echo

A_SECOND = 30
STEP_S = scaled(0.7, 5.0)
NODES = 3


def test_a_change_under_load_loses_no_call(start_mesh: StartMesh, tmp_path: Path) -> None:
    running = start_mesh(NODES, **node_settings())
    old, new = running.secret_file.read_text("ascii").split()[0], secret()

    def write(*lines: str) -> None:
        """Change the file that all of them read, and have them read it, one after the other."""
        running.secret_file.write_text("".join(f"{line}\n" for line in lines), "ascii")
        for node in running:
            done = sum(line.get("event") == "mesh_trust_reloaded" for line in node.logs)
            node.signal(signal.SIGHUP)
            node.wait_log("mesh_trust_reloaded", count=done + 1)
            elapse(STEP_S / NODES)

    with ExitStack() as exits:
        providers = [exits.enter_context(Answering(node.address, echo)) for node in running]
        paces = [
            exits.enter_context(Pace((node.host, node.port), provider.id, A_SECOND))
            for node in running
            for provider in providers
        ]
        write(old, new)
        write(new, old)
        assert met(running.nodes[0], old) and met(running.nodes[0], new)
        # Who comes now has the new one alone, and calls the others.
        late = running.add(mesh_secret_file=folder(tmp_path / "late", new))
        running.await_link(late, running.nodes[0])
        paces += [exits.enter_context(Pace((late.host, late.port), one.id, A_SECOND)) for one in providers]
        running.nodes.remove(late)
        write(new)
        running.nodes.append(late)
        elapse(STEP_S)
        for node in running.nodes[:NODES]:
            assert met(node, new)
            assert not met(node, old)
        for pace in paces:
            pace.close()
        wrong = [one for pace in paces for one in pace.wrong]
        assert not wrong, wrong[:10]
        answered = [len(pace.took) for pace in paces]
        assert min(answered) > 0
        print(f"{sum(answered)} calls, none lost")
    for node in running:
        assert counters(node)["links_failed"] == 0
        for text in (old, new):
            assert text not in node.log.text()


def folder(path: Path, *lines: str) -> Path:
    """A file of its own with secrets."""
    path.mkdir()
    return secret_file(path, *lines)


def met(node: Node, text: str) -> bool:
    """Whether a node takes one that has this secret."""
    with Stranger.with_secret(node, text) as stranger:
        try:
            stranger.met()
        except Ended:
            return False
        return True
