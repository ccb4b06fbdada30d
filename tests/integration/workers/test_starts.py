"""How a node with workers starts, and why it does not: addresses, states, settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.workers.conftest import StartNode
from tests.integration.workers.crew import children, entry, provider_at, worker_of
from tests.nodes import START_S, Log, Node, command, environment, until
from tests.wire import RawHttp

BAD_CONFIGURATION = 78


def refused(node: Node) -> str:
    """Wait for a node to end as one that is configured wrongly; what it wrote."""
    assert node.wait(20.0) == BAD_CONFIGURATION
    text = node.log.text()
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("workers", ["0", "65", "-1", "x", "1.5"])
def test_a_number_of_workers_that_cannot_be(start_node: StartNode, workers: str) -> None:
    text = refused(start_node(workers=workers, ready=False))
    assert "workers" in text


@pytest.mark.parametrize(("workers", "code"), [("0", 2), ("65", 2), ("x", 2)])
def test_a_flag_that_cannot_be_is_named(tmp_path: Path, workers: str, code: int) -> None:
    line = [*command(tmp_path / "state", {}), "--workers", workers]
    done = subprocess.run(line, env=environment({}), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (code, BAD_CONFIGURATION)
    assert "workers" in (done.stderr + done.stdout).lower()
    assert "Traceback" not in done.stderr


def test_auto_is_one_for_each_processor(start_node: StartNode) -> None:
    own = start_node(workers="auto")
    cores = len(os.sched_getaffinity(0))
    assert own.fetch("GET", "/readyz").json() == {"status": "ready"}
    if cores == 1:
        pytest.skip("this machine has one processor: there is one worker, and no supervisor")
    assert len(children(own)) == cores
    assert own.wait_log("node_started")["workers"] == cores


@pytest.mark.parametrize("others", [1, 2])
def test_an_address_that_another_node_has_is_taken(start_node: StartNode, others: int) -> None:
    first = start_node(workers=others)
    text = refused(start_node(workers=2, local=first.authority, ready=False))
    assert f"local = {first.authority}: cannot listen there" in text
    assert "--local" in text
    assert first.fetch("GET", "/ping").status == 200


def test_one_worker_does_not_take_the_address_of_several(start_node: StartNode) -> None:
    first = start_node(workers=2)
    assert "cannot listen there" in refused(start_node(local=first.authority, ready=False))


def test_a_state_that_another_node_has_is_taken(start_node: StartNode) -> None:
    first = start_node(workers=2)
    for workers in (1, 2):
        text = refused(start_node(state=first.state, workers=workers, ready=False))
        assert f"held by the node with pid {first.pid}" in text
    assert len(children(first)) == 2


def test_what_a_worker_cannot_use_ends_the_node_and_is_told_once(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "mesh.secret"
    path.write_text("nonsense\n")
    path.chmod(0o600)
    own = start_node(workers=3, mesh="127.0.0.1:0", mesh_secret_file=path, ready=False)
    text = refused(own)
    assert text.count(str(path)) == 1, text
    assert not [line for line in own.logs if line.get("event") in ("worker_lost", "node_failed")]


def test_port_0_is_one_port_for_all(start_node: StartNode) -> None:
    own = start_node(workers=3, local="127.0.0.1:0,[::1]:0")
    assert len(own.addresses) == 2
    for address in own.addresses:
        hit = set()
        for _ in range(80):
            with RawHttp(address) as http:
                hit.add(worker_of(http.ask("GET", "/ping")))
        assert hit == {0, 1, 2}


def test_a_unix_door_is_there_until_the_last_worker_has_ended(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "door"
    own = start_node(workers=2, local=f"unix:{path}", drain_s=8.0)
    assert path.stat().st_mode & 0o777 == 0o600
    assert own.fetch("GET", "/ping").status == 200
    held = children(own)
    with provider_at(own, 0) as provider, entry(own, 0) as caller:
        caller.send(b"POST /lambda/%b/m HTTP/1.1\r\nHost: localhost\r\n\r\n" % provider.id.encode())
        call = provider.next_call()
        own.signal(signal.SIGTERM)
        until(lambda: children(own) == held[:1], "the other worker has ended", 10.0)
        assert path.exists()
        assert own.fetch("GET", "/readyz").status == 503
        provider.answer(call)
        assert caller.answer().status == 200
    assert own.wait() == 0
    assert not path.exists()


def test_a_unix_door_outlives_a_worker(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "door"
    own = start_node(workers=2, local=f"unix:{path}")
    for pid in children(own):
        os.kill(pid, signal.SIGKILL)
    assert own.fetch("GET", "/ping").status == 200
    assert path.exists()


def test_workers_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    """Where the node itself does not: a service may be started in a directory that anybody can write."""
    (tmp_path / "ssl.py").write_text("raise SystemExit('a stranger wrote this')\n")
    (tmp_path / "secrets.py").write_text("raise SystemExit('a stranger wrote this')\n")
    script = Path(sys.executable).parent / "lambdamesh"
    settings = {"workers": 2}
    line = [str(script), *command(tmp_path / "state", settings)[3:]]
    process = subprocess.Popen(
        line, cwd=tmp_path, env=environment(settings), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        log = Log(process.stderr)
        log.wait("listening", within_s=START_S)
        assert "stranger" not in log.text()
        process.terminate()
        assert process.wait(15.0) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_every_line_of_the_log_is_one_and_says_which_worker_wrote_it(start_node: StartNode) -> None:
    own = start_node(workers=3, log_level="debug")
    for worker in range(3):
        with provider_at(own, worker):
            pass
    own.stop()
    assert not [line for line in own.logs if "text" in line]
    of_supervisor = {"node_started", "listening", "stopping", "stopped"}
    for line in own.logs:
        assert line.get("worker") in (0, 1, 2) or line["event"] in of_supervisor, line
