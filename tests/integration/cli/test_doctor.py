"""``lambdamesh doctor`` beside real nodes, real NATS servers and strangers, none of which it disturbs."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nats
import pytest
import trustme

from tests.integration.cli.commands import run
from tests.meshes import Mesh, mesh, peers, secret, secret_file
from tests.nats_servers import NatsProcess, free_ports
from tests.nodes import Node, environment
from tests.organisation import private
from tests.terminals import OnTerminal

StartNode = Callable[..., Node]


class Told(NamedTuple):
    """What ``doctor`` told: its exit code, what it found, and all of it as text."""

    code: int
    found: list[dict[str, Any]]
    text: str

    def of(self, check: str) -> list[tuple[str, str]]:
        """State and sentence of each finding of one check."""
        return [(found["state"], found["what"]) for found in self.found if found["check"] == check]

    def fixes(self, check: str) -> list[str]:
        return [found["fix"] for found in self.found if found["check"] == check and found["fix"]]


def ask(node: Node | None = None, *flags: object, **variables: str) -> Told:
    """Ask ``doctor``, in the environment of ``node`` where there is one."""
    given = {} if node is None else {**node.settings, "local": f"{node.host}:{node.port}", "state": node.state}
    if node is not None and node.mesh_address:
        given["mesh"] = node.mesh_address
    line = [sys.executable, "-m", "lambdamesh", "doctor", *map(str, flags)]
    done = subprocess.run(line, env=environment(given) | variables, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return Told(done.returncode, json.loads(done.stdout), done.stdout)


def snapshot(path: Path) -> list[tuple[str, int, int]]:
    return [(each.name, each.stat().st_mode, each.stat().st_size) for each in sorted(path.iterdir())]


def test_a_node_that_runs_is_well(start_node: StartNode) -> None:
    node = start_node()
    before = snapshot(node.state)
    told = ask(node)
    assert told.code == 0, told.text
    assert {found["state"] for found in told.found} <= {"ok", "warning"}
    assert told.of("state directory")[-1] == ("ok", f"the node with pid {node.pid} runs with it")
    assert told.of("addresses") == [
        ("ok", f"{node.authority} (the local door) is held by the node with pid {node.pid}")
    ]
    [(how, what)] = told.of("node")
    assert how == "ok"
    assert re.search(r"version \S+, up \d+s$", what)
    assert snapshot(node.state) == before


def test_a_second_node_on_the_same_address(start_node: StartNode, tmp_path: Path) -> None:
    node = start_node()
    told = ask(node, "--state", tmp_path / "other")
    assert told.code == 1
    [(how, what)] = told.of("addresses")
    assert how == "wrong"
    assert "another node (" in what
    assert str(node.pid) in what
    assert told.fixes("addresses")[0].startswith(f"kill {node.pid}")
    assert not (tmp_path / "other").exists()


def test_a_node_that_was_killed_left_nothing_that_is_wrong(start_node: StartNode) -> None:
    node = start_node()
    node.kill()
    told = ask(node)
    assert told.code == 0, told.text
    assert "no node runs with it" in told.of("state directory")[-1][1]
    assert [how for how, _ in told.of("node")] == ["warning"]


def test_the_token_of_a_door_is_read_from_its_file(start_node: StartNode, tmp_path: Path) -> None:
    token = private(tmp_path / "token", b"hush-hush-hush-hush\n")
    told = ask(start_node(local_token_file=token))
    assert [how for how, _ in told.of("node")] == ["ok"]
    assert "hush" not in told.text


# -- peers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Mesh]:
    with mesh(tmp_path, 2) as running:
        yield running


def test_a_peer_of_the_same_mesh(two: Mesh) -> None:
    one, other = two
    before = {row["machine_id"] for row in peers(one)}
    told = ask(other)
    assert told.code == 0, told.text
    assert told.of("peers") == [("ok", f"{one.mesh_address} is machine {one.machine_id} of this mesh")]
    assert told.of("mesh trust")[0][1].startswith(f"machine {other.machine_id}; trusted: CN=lambdamesh ")
    itself = ask(one, "--peer", one.mesh_address)
    assert itself.of("peers") == [("ok", f"{one.mesh_address} is this node itself, or one with its machine id")]
    assert {row["machine_id"] for row in peers(one)} == before, "nobody took it for a node"
    two.await_link(other, one)


def test_a_peer_of_another_mesh(two: Mesh, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    theirs = secret_file(tmp_path / "stranger", secret())
    told = ask(None, "--peer", two.nodes[0].mesh_address, "--mesh-secret-file", theirs, "--state", tmp_path / "new")
    assert told.code == 1
    [(how, what)] = told.of("peers")
    assert how == "wrong"
    assert "another mesh" in what
    assert told.fixes("peers") == ["give both nodes the same --mesh-secret-file"]
    assert theirs.read_text().strip() not in told.text


def test_peers_that_are_not_there(tmp_path: Path) -> None:
    [port] = free_ports(1)
    flags = ("--peer", f"127.0.0.1:{port}", "--peer", "nowhere.invalid", "--mesh-secret-file", secret_file(tmp_path))
    told = ask(None, *flags, "--state", tmp_path / "new", "--mesh", "127.0.0.1:0")
    assert told.code == 1
    warned, refused, unknown = told.of("peers")
    assert warned[0] == "warning"
    assert "can be reached from this machine alone" in warned[1]
    assert refused == ("wrong", f"127.0.0.1:{port}: Connection refused")
    assert "nowhere.invalid cannot be looked up" in unknown[1]
    assert "getent hosts nowhere.invalid" in told.fixes("peers")


def test_a_peer_that_is_no_node(node: Node, tmp_path: Path) -> None:
    flags = ("--peer", node.authority, "--mesh-secret-file", secret_file(tmp_path), "--state", tmp_path / "new")
    [(how, what)] = ask(None, *flags).of("peers")
    assert how == "wrong"
    assert what.startswith(f"{node.authority}: ")


# -- NATS -------------------------------------------------------------------------------------------------------

USERS = 'authorization { users: [ {user: "me", password: "hush"}, {user: "few", password: "hush", permissions: {publish: "x"}} ] }'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., NatsProcess]]:
    started: list[NatsProcess] = []

    def start(config: str = "", **how: Any) -> NatsProcess:
        started.append(NatsProcess(tmp_path / f"nats{len(started)}", config, **how))
        return started[-1].start()

    yield start
    for each in started:
        each.kill()


def ask_with_nats(tmp_path: Path, url: str, *flags: object) -> Told:
    place = ("--mesh-secret-file", secret_file(tmp_path), "--state", tmp_path / "new", "--mesh", "127.0.0.1:0")
    return ask(None, *place, "--local", "127.0.0.1:0", *flags, LAMBDAMESH_NATS=url)


def test_nats_lets_it_in_and_nothing_is_made_there(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    nats_server = server(USERS)
    url = f"nats://me:hush@{nats_server.place}"
    told = ask_with_nats(tmp_path, url)
    assert told.code == 0, told.text
    [(how, what)] = told.of("NATS")
    assert how == "ok"
    assert "the bucket lambdamesh is not there yet" in what
    assert "hush" not in told.text

    async def streams() -> list[str]:
        client = await nats.connect(url)
        try:
            return [info.config.name or "" for info in await client.jetstream().streams_info()]
        finally:
            await client.close()

    assert asyncio.run(streams()) == []


def test_the_bucket_of_a_mesh(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    url = server().url
    with mesh(tmp_path, 1, nats=url) as running:
        [one] = running
        one.wait_log("mesh_empty")
        told = ask(one)
        assert told.of("NATS") == [
            ("ok", f"{url.removeprefix('nats://')} lets this node in, and has the bucket lambdamesh")
        ]
        assert [how for how, _ in told.of("clock")] == ["ok"], "both have the same clock"
        twin = ask(one, "--state", tmp_path / "copy", "--machine-id", one.machine_id)
        assert [how for how, _ in twin.of("NATS")] == ["ok", "warning"]
        assert f"has machine id {one.machine_id}" in twin.of("NATS")[1][1]


def test_nats_that_refuses(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    place = server(USERS).place
    wrong = ask_with_nats(tmp_path, f"nats://me:whisper@{place}")
    assert wrong.code == 1
    [(how, what)] = wrong.of("NATS")
    assert (how, "refused who we say we are" in what) == ("wrong", True)
    assert "whisper" not in wrong.text
    few = ask_with_nats(tmp_path, f"nats://few:hush@{place}")
    assert "does not let this user use the bucket" in few.of("NATS")[0][1]


def test_nats_without_jetstream_and_nats_that_is_not_there(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    plain, [port] = server(has_jetstream=False), free_ports(1)
    told = ask_with_nats(tmp_path, f"{plain.url},nats://127.0.0.1:{port}")
    assert told.code == 1
    assert [how for how, _ in told.of("NATS")] == ["wrong", "wrong"]
    assert "has no JetStream for us" in told.of("NATS")[0][1]
    assert "cannot be reached" in told.of("NATS")[1][1]


def test_one_nats_server_of_two_will_do(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    [port] = free_ports(1)
    told = ask_with_nats(tmp_path, f"nats://127.0.0.1:{port},{server().url}")
    assert [how for how, _ in told.of("NATS")] == ["warning", "ok"]
    assert told.code == 0


def test_nats_over_tls(server: Callable[..., NatsProcess], tmp_path: Path) -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    cert = private(tmp_path / "cert", b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key = private(tmp_path / "key", issued.private_key_pem.bytes())
    trusted = private(tmp_path / "ca", ca.cert_pem.bytes())
    secured = server(f'tls {{ cert_file: "{cert}", key_file: "{key}" }}', scheme="tls")
    assert [how for how, _ in ask_with_nats(tmp_path, secured.url, "--nats-tls-ca", trusted).of("NATS")] == ["ok"]
    [(how, what)] = ask_with_nats(tmp_path, secured.url).of("NATS")
    assert (how, "shows a certificate that is not trusted" in what) == ("wrong", True)


# -- what people see --------------------------------------------------------------------------------------------


def test_on_a_terminal(start_node: StartNode, tmp_path: Path) -> None:
    node = start_node()
    flags = f"--local {node.authority} --state {shlex.quote(str(tmp_path / 'other'))}"
    environ = {name: text for name, text in environment({}).items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    environ["COLUMNS"] = "100"
    printed = OnTerminal(f"exec {shlex.quote(sys.executable)} -m lambdamesh doctor {flags}", environ)
    text = printed.finish()
    assert printed.end() == 1
    assert "\x1b[32mok" in text
    assert "\x1b[1;31mwrong" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert re.search(rf"^    kill {node.pid}, or lambdamesh serve --local HOST:PORT$", plain, re.MULTILINE)
    assert re.search(r"^\d+ wrong, \d+ warnings?, \d+ ok$", plain, re.MULTILINE)


def test_the_same_flags_as_serve(node: Node) -> None:
    done = run(node, "doctor", "--url", node.url, "--json", "--log-level", "debug", "--dev")
    found = json.loads(done.stdout)
    assert found[0]["what"] == "2 given: dev (flag --dev), log_level (flag --log-level)"
    assert any(one["what"].startswith(f"{node.url}: version") for one in found)
    assert done.stderr == ""
