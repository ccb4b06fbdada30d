"""Nodes that find each other by ``--peer``, and by what nodes tell of third ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambdamesh.ids import LambdaId
from tests.integration.mesh.conftest import StartMesh
from tests.integration.mesh.mishaps import timed
from tests.integration.mesh.strangers import Stranger
from tests.meshes import call, counters, peer_row, peers, secret_file
from tests.nats_servers import free_ports
from tests.nodes import Node, until, with_hosts
from tests.providers import Answering, Provider, echo

JOINED_S = 11.0
"""Longest wait for a peer that is started late: it is dialled again every 10 s at least."""

Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a node of one mesh: ``start(peer=...)``."""
    path = secret_file(tmp_path)
    nodes: list[Node] = []

    def start_one(*, is_awaited: bool = True, hosts: Path | None = None, **settings: object) -> Node:
        number = len(nodes) + 1
        given = {"mesh": "127.0.0.1:0", "mesh_secret_file": path, "host_name": f"node{number}", **settings}
        nodes.append(Node(tmp_path / f"state{number}", given, hosts=hosts))
        return nodes[-1].ready() if is_awaited else nodes[-1]

    yield start_one
    for node in nodes:
        node.stop()
        assert not node.complaints()


def up(node: Node, other: Node, within_s: float = 10.0) -> None:
    """Wait until a node has a link to another."""
    until(lambda: peer_row(node, other.machine_id).get("state") == "up", "a link", within_s)


def readiness(node: Node) -> dict[str, str]:
    """What ``/readyz`` says."""
    answer = node.fetch("GET", "/readyz")
    assert answer.status == 200
    said: dict[str, str] = answer.json()
    return said


def test_one_address_is_enough_to_learn_the_mesh(start_mesh: StartMesh) -> None:
    first, second, third = start_mesh(3)
    for one, other in ((second, third), (third, second)):
        until(lambda one=one, other=other: peer_row(one, other.machine_id), "it has heard of it")  # type: ignore[misc]
        row = peer_row(one, other.machine_id)
        assert (row["address"], row["alive"]) == (other.mesh_address, True)
    # They have no link before one is needed.
    assert peer_row(second, third.machine_id)["state"] == "idle"
    with Answering(second.address, echo) as provider:
        assert call(third, provider.id) == (200, 1)
    with Answering(third.address, echo) as provider:
        assert call(second, provider.id) == (200, 1)
    assert peer_row(second, third.machine_id)["state"] == "up"
    assert counters(second)["links"] == 2
    # Without the one that they both knew they go on.
    first.stop()
    with Answering(third.address, echo) as provider:
        assert call(second, provider.id) == (200, 1)


def test_a_node_learns_late_of_one_that_came_after_it(start_mesh: StartMesh) -> None:
    mesh = start_mesh(2)
    second = mesh.nodes[1]
    late = mesh.add()
    until(lambda: peer_row(second, late.machine_id), "it is told of it")
    with Answering(late.address, echo) as provider:
        assert call(second, provider.id) == (200, 1)


def test_an_address_that_is_the_node_itself_is_ignored(start: Start) -> None:
    [port] = free_ports(1)
    node = start(mesh=f"127.0.0.1:{port}", peer=f"127.0.0.1:{port}")
    node.wait_log("mesh_empty")
    assert readiness(node) == {"status": "ready"}
    assert [row["me"] for row in peers(node)] == [True]
    assert counters(node)["links"] == counters(node)["mesh_degraded"] == 0
    assert not [line for line in node.logs if line["level"] in ("warning", "error")]
    other = start(peer=[f"127.0.0.1:{port}", "127.0.0.1:1"], is_awaited=True)
    up(other, node)
    assert "127.0.0.1:1" in readiness(other)["why"]


def test_a_peer_that_is_started_late_is_joined(start: Start) -> None:
    [port] = free_ports(1)
    early = start(peer=f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in early.wait_log("link_failed")["why"]
    said = readiness(early)
    assert said["status"] == "degraded" and f"127.0.0.1:{port}" in said["why"]
    with Answering(early.address, echo) as provider:
        assert call(early, provider.id) == (200, 1)
        late = start(mesh=f"127.0.0.1:{port}")
        _, took_s = timed(lambda: up(early, late, JOINED_S))
        print(f"a peer that was started late was joined after {took_s:.2f} s")
        assert call(late, provider.id) == (200, 1)
    assert readiness(early) == {"status": "ready"}
    assert counters(early)["mesh_degraded"] == 0


def test_require_directory_waits_for_every_peer(start: Start) -> None:
    [port] = free_ports(1)
    early = start(peer=f"127.0.0.1:{port}", require_directory=True, is_awaited=False)
    assert f"127.0.0.1:{port}" in early.wait_log("link_failed")["why"]
    assert not [line for line in early.logs if line.get("door") == "local"]
    late = start(mesh=f"127.0.0.1:{port}")
    early.ready()
    up(early, late)


def test_a_name_that_is_nobodys_is_named(start: Start) -> None:
    node = start(peer="no-such-name.invalid:7631")
    assert node.wait_log("peer_not_found")["peer"] == "no-such-name.invalid:7631"
    why = readiness(node)["why"]
    assert "no-such-name.invalid:7631" in why and "check the name" in why


def test_a_name_is_as_many_peers_as_it_has_addresses(start: Start, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 many.example\n127.0.0.3 many.example\n", "ascii")
    if subprocess.run([*with_hosts(hosts), "true"], capture_output=True, check=False).returncode:
        reason = "a name with several addresses needs an /etc/hosts of its own: only root may have one"
        print(reason)
        pytest.skip(reason)
    [port] = free_ports(1)
    two, three = start(mesh=f"127.0.0.2:{port}"), start(mesh=f"127.0.0.3:{port}")
    node = start(peer=f"many.example:{port}", hosts=hosts)
    up(node, two)
    up(node, three)
    assert readiness(node) == {"status": "ready"}


def test_a_name_is_a_peer(start: Start) -> None:
    one = start()
    node = start(peer=one.mesh_address.replace("127.0.0.1", "localhost"))
    up(node, one)
    with Answering(one.address, echo) as provider:
        assert call(node, provider.id) == (200, 1)


def test_a_node_that_leaves_is_missed_at_once_and_found_again(start_mesh: StartMesh) -> None:
    mesh = start_mesh(2)
    first, second = mesh
    with Answering(second.address, echo) as provider:
        assert call(first, provider.id) == (200, 1)
    second.stop()
    until(lambda: peer_row(first, second.machine_id)["state"] in ("idle", "down", "dead"), "it is missed")
    status, body = call(first, provider.id)
    assert (status, body["code"], body["delivered"]) == (502, "peer_unreachable", "no")
    again = mesh.restart(second)
    with Answering(again.address, echo) as provider_2:
        until(lambda: call(first, provider_2.id) == (200, 1), "it is called again", 10)


def test_a_link_that_is_not_used_closes_and_one_to_a_peer_stays(start_mesh: StartMesh) -> None:
    first, second, third = start_mesh(3, link_idle_s=0.5, link_ping_s=0.2)
    with Answering(second.address, echo) as provider:
        until(lambda: peer_row(third, second.machine_id), "it has heard of it")
        for _ in range(2):
            assert call(third, provider.id) == (200, 1)
            assert peer_row(third, second.machine_id)["state"] == "up"
            until(lambda: peer_row(third, second.machine_id)["state"] == "idle", "it was idle")
    assert peer_row(third, first.machine_id)["state"] == "up"
    assert counters(third)["links_lost"] == 0


def test_a_node_to_which_others_come_denies_nobody_right_after_its_start(start: Start) -> None:
    seed = start(recovering_s=1.0)
    stranger = LambdaId(0x51000000, 5).text.decode()
    status, body = call(seed, stranger)
    assert (status, body["code"]) == (502, "peer_unreachable")
    assert readiness(seed) == {"status": "ready"}
    until(lambda: call(seed, stranger)[0] == 404, "it knows by now who is there")


def test_a_node_hears_out_whoever_answers_before_it_denies_anybody(start_mesh: StartMesh) -> None:
    mesh = start_mesh(3)
    _, second, third = mesh
    with Provider(third.address).accept() as provider:
        until(lambda: peer_row(second, third.machine_id), "it has heard of it")
        # Started anew it has a link to the first at once, or is refused while the first still has the old one.
        second.kill()
        again = mesh.restart(second)
        statuses: list[int] = []

        def is_called() -> bool:
            statuses.append(call(again, provider.id, headers=[("Prefer", "wait=0.2")])[0])
            return statuses[-1] == 504

        until(is_called, "the call comes to the provider")
        assert set(statuses) <= {502, 504}


@pytest.fixture
def gossip(start_mesh: StartMesh) -> Iterator[tuple[Node, Node, Stranger]]:
    """Two nodes, and a stranger with their secret who has a link to the first and says what is not so."""
    mesh = start_mesh(2)
    first, second = mesh
    with Stranger.with_secret(first, mesh.secret_file) as stranger:
        stranger.met(address="127.0.0.1:0")
        yield first, second, stranger
    for node in mesh:
        assert not node.complaints()


def test_addresses_that_nobody_can_dial_are_not_believed(gossip: tuple[Node, Node, Stranger]) -> None:
    first, second, stranger = gossip
    row = peer_row(first, f"{stranger.machine:08x}")
    assert row["address"] == ""
    addresses = ("garbage", "10.0.0.1:99999", "a..b:7631", "host:port", ":7631")
    hints = [
        {"machine": f"{0x51000000 + at:08x}", "address": bad, "instance": "i", "started_at": 1.0}
        for at, bad in enumerate(addresses)
    ]
    stranger.tell("peers", [*hints, {"machine": "52000000", "address": "127.0.0.1:1", "instance": "i"}])
    stranger.settle()
    for node in (first, second):
        until(lambda node=node: peer_row(node, "52000000"), "what can be dialled is believed")  # type: ignore[misc]
        assert not [row for row in peers(node) if row["machine_id"].startswith("510000")]
    status, body = call(first, LambdaId(0x52000000, 5).text.decode())
    assert (status, body["code"]) == (502, "peer_unreachable")


def test_whatever_is_told_the_nodes_can_be_listed(gossip: tuple[Node, Node, Stranger]) -> None:
    first, second, stranger = gossip
    odd = [{"age_s": 1e300}, {"age_s": 1e9}, {"age_s": -1e300}, {"started_at": 1e300}, {"started_at": -1.0}]
    hints = [
        {"machine": f"{0x53000000 + at:08x}", "address": "127.0.0.1:1", "instance": "i", **members}
        for at, members in enumerate(odd)
    ]
    # It takes the machine id of one that is there, too, and is not believed.
    now_s = 1e10
    claimed = {"machine": second.machine_id, "address": "127.0.0.1:1", "instance": "i", "started_at": now_s}
    stranger.tell("peers", [*hints, claimed])
    stranger.settle()
    until(lambda: peer_row(second, "53000004"), "they are spread")
    for node in (first, second):
        assert not peer_row(node, "53000000")
        assert node.fetch("GET", "/lambda?scope=mesh").status == 200
    row = peer_row(first, second.machine_id)
    assert (row["address"], row["state"]) == (second.mesh_address, "up")
