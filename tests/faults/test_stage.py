"""The stage of the ledger leaves nothing behind, whatever state it is in when it is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.stage import Actor, Stage, StageSpec, stage
from tests.nodes import until

NETWORKS = Path("/run/netns")


def living(folder: Path, others: list[int]) -> list[int]:
    """Processes that were started with something of ``folder``, and those of ``others`` that have not ended."""
    found = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in _text_of(path)]
    return found + [pid for pid in others if _text_of(Path(f"/proc/{pid}/cmdline"))]


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def networks() -> set[str]:
    return {path.name for path in NETWORKS.iterdir()} if NETWORKS.is_dir() else set()


def break_it(on: Stage) -> None:
    """Stop one node and an actor, kill the supervisor of the other node, and have the end of an actor fail."""
    on.begin()
    on.actors["provider1"].signal(signal.SIGSTOP)
    for pid in on.processes_of("node1"):
        os.kill(pid, signal.SIGSTOP)
    for pid in on.workers_of("node2"):
        os.kill(pid, signal.SIGSTOP)
    on.orphan("node2")
    on.nodes["node2"].kill()


def test_a_run_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = Actor.remove

    def remove(self: Actor) -> None:
        removed(self)
        raise OSError(f"{self.name} cannot be ended")

    workers: list[int] = []
    hosts: set[str] = set()

    def fail() -> None:
        with stage(tmp_path, StageSpec(1, workers=2, nodes=2)) as on:
            workers.extend(pid for name in on.nodes for pid in on.workers_of(name))
            if on.network is not None:
                hosts.update(host.name for host in (on.network.switch, *on.network.hosts.values()))
                assert hosts <= networks()
            monkeypatch.setattr(Actor, "remove", remove)
            break_it(on)
            said = on.complaints()
            assert any(line.startswith("nobody: ") for line in said), "stopped workers outlive their supervisor"

    with pytest.raises(OSError, match="cannot be ended"):
        fail()
    until(lambda: not living(tmp_path, workers), "all of them have ended")
    assert not hosts & networks()
