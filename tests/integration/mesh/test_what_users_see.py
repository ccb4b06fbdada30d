"""What people see of a mesh: within 5 s of a start what was joined or what is wrong, and the commands that list it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambdamesh.ids import parse_lambda_id
from tests.integration.cli.commands import Going, environment, run
from tests.integration.mesh.mishaps import stopped, timed
from tests.json_rpc_2 import Provider2
from tests.meshes import Mesh, peer_row, secret_file
from tests.nats_servers import NatsProcess, free_ports
from tests.nodes import Node, until
from tests.providers import Provider

SAID_S = 6.0
"""Longest until a node says what it has joined, on a busy machine: 5 s after its mesh door listens."""
BAD_CONFIGURATION = 78
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a node and does not wait for it: ``start("--peer", "host:1", mesh_secret_file=...)``."""
    nodes: list[Node] = []

    def start_one(*arguments: str, **settings: object) -> Node:
        number = len(nodes) + 1
        given = {"mesh": "127.0.0.1:0", "host_name": f"node{number}", **settings}
        nodes.append(Node(tmp_path / f"state{number}", given, arguments=arguments))
        return nodes[-1]

    yield start_one
    for node in nodes:
        node.stop()
        assert not node.complaints()


def own_folder(path: Path) -> Path:
    path.mkdir()
    return path


def said(node: Node, event: str) -> dict[str, object]:
    """Wait for what a node says of its mesh; nothing else of that kind may be said before, and it is not late."""
    line = node.wait_log(event, within_s=20.0)
    kinds = [one["event"] for one in node.logs if one.get("event") in ("mesh_joined", "mesh_incomplete", "mesh_empty")]
    assert kinds[0] == event, kinds
    began = next(one for one in node.logs if one.get("door") == "mesh")
    assert _seconds(line["timestamp"]) - _seconds(began["timestamp"]) < SAID_S
    return line


def _seconds(timestamp: str) -> float:
    hours, minutes, seconds = timestamp[11:].rstrip("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_a_node_says_within_5_s_what_is_wrong_and_how_to_mend_it(start: Start, tmp_path: Path) -> None:
    one, other = secret_file(own_folder(tmp_path / "one")), secret_file(own_folder(tmp_path / "other"))
    [port, nats_port] = free_ports(2)
    door = start(mesh_secret_file=one).ready()
    cases = {
        start("--peer", door.mesh_address, "--mesh-secret-file", str(other)): [door.mesh_address, "--mesh-secret-file"],
        start("--peer", f"127.0.0.1:{port}", mesh_secret_file=one): [f"127.0.0.1:{port}", "check that one runs there"],
        start("--peer", "no-such-name.invalid", mesh_secret_file=one): ["no-such-name.invalid:7631", "check the name"],
        start("--peer", _of(door), mesh_secret_file=one): [_of(door), "7631"],
        start("--nats", f"nats://127.0.0.1:{nats_port}", mesh_secret_file=one): [
            f"127.0.0.1:{nats_port}", "is it running", "--nats",
        ],
    }  # fmt: skip
    for node, words in cases.items():
        why = str(said(node, "mesh_incomplete")["why"])
        assert all(word in why for word in words), (why, words)
        # It serves what it can.
        assert node.ready().fetch("GET", "/readyz").json()["why"]
    assert said(door, "mesh_empty")["dial"] == door.mesh_address


def _of(node: Node) -> str:
    """The local door, which somebody might take for the mesh door."""
    return f"{node.host}:{node.port}"


def test_a_node_says_within_5_s_what_it_has_joined(start: Start, tmp_path: Path) -> None:
    path = secret_file(tmp_path)
    server = NatsProcess(tmp_path / "nats").start()
    try:
        one = start("--nats", server.url, mesh_secret_file=path).ready()
        assert said(one, "mesh_empty")
        two = start("--nats", server.url, mesh_secret_file=path).ready()
        assert "node1" in json.dumps(said(two, "mesh_joined"))
        three = start("--peer", one.mesh_address, mesh_secret_file=path).ready()
        line = said(three, "mesh_joined")
        assert line["nodes"] >= 1 and one.mesh_address in json.dumps(line)  # type: ignore[operator]
    finally:
        server.kill()


def test_what_cannot_be_is_told_at_once_with_78(start: Start, tmp_path: Path) -> None:
    path = str(secret_file(tmp_path))
    [port] = free_ports(1)
    taken = start(mesh_secret_file=path).ready().mesh_address
    cases = {
        ("--peer", f"127.0.0.1:{port}"): ["--mesh-secret-file", "lambdamesh secret"],
        ("--peer", "host:port", "--mesh-secret-file", path): ["host:port"],
        ("--nats", "http://127.0.0.1", "--mesh-secret-file", path): ["nats"],
        ("--mesh-secret-file", path, "--mesh", taken): [taken, "--mesh"],
        ("--mesh-secret-file", path, "--mesh-ca", path): ["mesh_ca"],
        ("--mesh-secret-file", path, "--require-directory"): ["--peer", "--nats"],
    }
    nodes = {start(*arguments): words for arguments, words in cases.items()}
    for node, words in nodes.items():
        assert node.wait() == BAD_CONFIGURATION, node.log.text()
        assert all(word in node.log.text() for word in words), (node.log.text(), words)


# -- commands -------------------------------------------------------------------------------------------------------


def on_a_terminal(node: Node, *words: str) -> str:
    """What a command shows people."""
    master, slave = pty.openpty()
    env = environment(node) | {"COLUMNS": "200", "TERM": "xterm"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "lambdamesh", *words], env=env, stdin=slave, stdout=slave, stderr=subprocess.DEVNULL
        )
    finally:
        os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:
        # What a terminal reads as its end once nobody holds the other side.
        pass
    finally:
        os.close(master)
    assert process.wait(20) == 0
    return COLOUR.sub("", shown.decode())


def test_peers_lists_every_node(trio: Mesh) -> None:
    first, second, third = trio
    rows = json.loads(run(second, "peers").stdout)
    assert {row["host"] for row in rows} == {"node1", "node2", "node3"}
    assert [row["host"] for row in rows if row["me"]] == ["node2"]
    table = on_a_terminal(second, "peers")
    for node in (first, second, third):
        [row] = [line for line in table.splitlines() if node.machine_id in line]
        assert node.mesh_address in row
    assert "node2 *" in table and "STATE" in table
    [row] = [line for line in table.splitlines() if first.machine_id in line]
    assert " up " in row


def test_ls_lists_the_lambdas_of_the_mesh(trio: Mesh) -> None:
    first, second, third = trio
    with Provider(first.address).accept() as one, Provider2(third, "/lambda/new?grace=0").accept() as two:
        listed = json.loads(run(second, "ls", "--mesh").stdout)
        assert set(listed) == {one.id, two.id}
        assert json.loads(run(second, "ls").stdout) == {}
        assert json.loads(run(second, "ls", "--mesh", "--count").stdout) == {"count": 2}
        table = on_a_terminal(second, "ls", "--mesh")
        [row] = [line for line in table.splitlines() if one.id in line]
        assert first.machine_id in row and "json-rpc" in row
        [row] = [line for line in table.splitlines() if two.id in line]
        assert third.machine_id in row and "json-rpc-2.0" in row


def test_events_follows_the_whole_mesh(trio: Mesh) -> None:
    first, second, third = trio
    is_seen = threading.Event()

    def open_again_and_again() -> None:
        # Until somebody listens: it is not told when it does.
        while not is_seen.is_set():
            for node in trio:
                with Provider(node.address).accept():
                    pass

    opening = threading.Thread(target=open_again_and_again)
    going = Going(second, "events", "--mesh")
    opening.start()
    try:
        seen: set[str] = set()
        while seen != {node.machine_id for node in (first, second, third)}:
            line = going.event(lambda line: line["event"] == "open")
            assert parse_lambda_id(line["id"].encode()).machine == int(line["node"], 16)
            seen.add(line["node"])
        assert going.interrupt() in (0, 130)
    finally:
        is_seen.set()
        opening.join(10)
        going.end()


def test_a_node_that_does_not_answer_is_named(trio: Mesh) -> None:
    first, second, third = trio
    with (
        Provider(first.address).accept() as one,
        Provider(third.address).accept() as other,
        Provider(second.address).accept() as own,
    ):
        # There are links to both.
        assert set(second.fetch("GET", "/lambda?scope=mesh").json()) == {one.id, other.id, own.id}
        with stopped(third):
            for target in ("/lambda?scope=mesh", "/lambda?scope=mesh&count"):
                answer, took_s = timed(lambda target=target: second.fetch("GET", target))  # type: ignore[misc]
                assert answer.status == 200
                assert answer.header("Lambda-Unreachable") == third.machine_id
                assert 0 <= took_s < 3.0
                print(f"{target} was answered within {took_s:.2f} s although one node hangs")
                found = answer.json()
                assert found == {"count": 2} or set(found) == {one.id, own.id}
        done = run(second, "ls", "--mesh")
        assert done.returncode == 0
    until(lambda: peer_row(second, third.machine_id)["state"] in ("up", "idle"), "it is well again", 15)


def test_ls_says_who_does_not_answer(trio: Mesh) -> None:
    _, second, third = trio
    with Provider(third.address).accept() as other:
        assert set(second.fetch("GET", "/lambda?scope=mesh").json()) == {other.id}
        with stopped(third):
            done = run(second, "ls", "--mesh")
            assert done.returncode == 0
            assert third.machine_id in done.stderr and "lambdamesh peers" in done.stderr
            assert json.loads(done.stdout) == {}
    until(lambda: second.fetch("GET", "/lambda?scope=mesh").header("Lambda-Unreachable") is None, "it is well", 15)
