"""Nodes that find each other in a real NATS server: with it, without it, and when it comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.mesh.mishaps import callable_again, timed
from tests.meshes import call, counters, peer_row, peers, secret_file
from tests.nats_servers import NatsProcess
from tests.nodes import Node, until
from tests.providers import Answering, echo

BAD_CONFIGURATION = 78
PASSWORD = "correct-horse-battery-staple"
FOUND_S = 20.0
"""Time to find NATS again: attempts at it come with growing pauses."""

Start = Callable[..., Node]


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    """A server that is not started yet, and wants a password."""
    server = NatsProcess(tmp_path / "nats", f'authorization {{ user: "mesh", password: "{PASSWORD}" }}')
    yield server
    server.kill()


@pytest.fixture
def start(tmp_path: Path, nats: NatsProcess) -> Iterator[Start]:
    """Starts a node that knows NATS alone: ``start()``."""
    path = secret_file(tmp_path)
    nodes: list[Node] = []

    def start_one(*, is_awaited: bool = True, **settings: object) -> Node:
        number = len(nodes) + 1
        given = {
            "mesh": "127.0.0.1:0",
            "mesh_secret_file": path,
            "host_name": f"node{number}",
            "nats": f"nats://mesh:{PASSWORD}@{nats.place}",
            **settings,
        }
        nodes.append(Node(tmp_path / f"state{number}", given))
        return nodes[-1].ready() if is_awaited else nodes[-1]

    yield start_one
    for node in nodes:
        node.stop()
        assert not node.complaints()
        assert PASSWORD not in node.log.text()


def several(start: Start, count: int) -> list[Node]:
    """Start nodes at the same time."""
    nodes = [start(is_awaited=False) for _ in range(count)]
    return [node.ready() for node in nodes]


def ready(node: Node, within_s: float = FOUND_S) -> None:
    """Wait until a node sees the whole mesh."""
    until(lambda: node.fetch("GET", "/readyz").json() == {"status": "ready"}, "it is ready", within_s)
    assert counters(node)["mesh_degraded"] == 0


def degraded(node: Node) -> str:
    """Wait until a node knows that it does not see the whole mesh; why."""
    until(lambda: node.fetch("GET", "/readyz").json()["status"] == "degraded", "it is degraded", FOUND_S)
    answer = node.fetch("GET", "/readyz")
    assert answer.status == 200
    assert counters(node)["mesh_degraded"] == 1
    return str(answer.json()["why"])


def test_nodes_find_each_other_by_nats_alone(start: Start, nats: NatsProcess) -> None:
    nats.start()
    nodes = several(start, 3)
    for node in nodes:
        until(lambda node=node: len(peers(node)) == 3, "it knows the others")  # type: ignore[misc]
        assert all(row["alive"] for row in peers(node))
        ready(node)
    for home in nodes:
        with Answering(home.address, echo) as provider:
            assert all(call(entry, provider.id) == (200, 1) for entry in nodes)
    # A stop in order is seen by the others, and its machine is still one of the mesh.
    gone = nodes.pop()
    with Answering(gone.address, echo) as provider:
        pass
    gone.stop()
    for node in nodes:
        until(lambda node=node: not peer_row(node, gone.machine_id)["alive"], "it is seen to go")  # type: ignore[misc]
        status, body = call(node, provider.id)
        assert (status, body["code"], body["delivered"]) == (502, "peer_unreachable", "no")


def test_with_nats_gone_the_mesh_goes_on(start: Start, nats: NatsProcess) -> None:
    nats.start()
    one, two = several(start, 2)
    for node in (one, two):
        until(lambda node=node: len(peers(node)) == 2, "it knows the other")  # type: ignore[misc]
    with Answering(one.address, echo) as provider:
        nats.kill()
        for node in (one, two):
            why = degraded(node)
            assert nats.place in why and PASSWORD not in why
            assert call(node, provider.id) == (200, 1)
            assert all(row["alive"] for row in peers(node))
        # A bucket that was lost with it is made anew.
        nats.wipe()
        nats.start()
        for node in (one, two):
            _, took_s = timed(lambda node=node: ready(node))  # type: ignore[misc]
            print(f"NATS was found again after {took_s:.2f} s")
            assert call(node, provider.id) == (200, 1)
        three = start()
        ready(three)
        assert call(three, provider.id) == (200, 1)


def test_a_node_starts_without_nats_and_joins_later(start: Start, nats: NatsProcess) -> None:
    one, two = several(start, 2)
    for node in (one, two):
        assert nats.place in node.wait_log("nats_unreachable")["why"]
        assert "is it running" in degraded(node)
    with Answering(one.address, echo) as provider:
        assert call(one, provider.id) == (200, 1)
        status, body = call(two, provider.id)
        assert (status, body["code"], body["delivered"]) == (502, "peer_unreachable", "no")
        nats.start()
        for node in (one, two):
            ready(node)
        callable_again(two, provider.id, {(502, "peer_unreachable"), (404, "lambda_not_found")})


def test_require_directory_waits_for_nats(start: Start, nats: NatsProcess) -> None:
    node = start(require_directory=True, is_awaited=False)
    assert nats.place in node.wait_log("nats_unreachable")["why"]
    assert not [line for line in node.logs if line.get("door") == "local"]
    nats.start()
    node.log.wait("listening", count=2, within_s=FOUND_S)
    node.ready()
    assert node.fetch("GET", "/readyz").json() == {"status": "ready"}


def test_a_node_that_waits_for_nats_can_be_stopped(start: Start) -> None:
    node = start(require_directory=True, is_awaited=False)
    node.wait_log("nats_unreachable")
    node.process.terminate()
    assert node.wait() == 0


def test_a_wrong_password_is_told_and_not_shown(start: Start, nats: NatsProcess) -> None:
    nats.start()
    wrong = "staple-battery-horse-correct"
    node = start(nats=f"nats://mesh:{wrong}@{nats.place}")
    why = node.wait_log("nats_unreachable")["why"]
    assert nats.place in why and "--nats" in why
    assert wrong not in node.log.text() and wrong not in degraded(node)


def test_a_machine_id_that_is_taken_exits_78(start: Start, nats: NatsProcess) -> None:
    nats.start()
    one = start(machine_id="00c0ffee")
    ready(one)
    two = start(machine_id="00c0ffee", is_awaited=False)
    assert two.wait() == BAD_CONFIGURATION
    text = two.log.text()
    assert "00c0ffee" in text and "node1" in text and one.mesh_address in text and "--machine-id" in text
    ready(one)
    # The id is free again once its node has gone, even without a word.
    one.kill()
    three = start(machine_id="00c0ffee")
    ready(three)


@pytest.mark.parametrize("url", ["mesh:{password}@{place}", "nats://nats-0.invalid,nats://mesh:{password}@{place}"])
def test_nobody_is_given_an_address_without_a_host(start: Start, nats: NatsProcess, url: str) -> None:
    nats.start()
    given = url.format(password=PASSWORD, place=nats.place)
    one, two = (start(mesh="0.0.0.0:0", nats=given) for _ in range(2))
    for node, other in ((one, two), (two, one)):
        until(lambda node=node, other=other: peer_row(node, other.machine_id), "it knows the other")  # type: ignore[misc]
        host, _, port = peer_row(node, other.machine_id)["address"].rpartition(":")
        assert host and port == other.mesh_address.rpartition(":")[2]
        # Here all of them are on this machine, which says nothing about the way to it from others.
        line = node.wait_log("address_guessed")
        assert line["address"] and "--advertise HOST:PORT" in line["why"] and line["level"] == "warning"
        with Answering(other.address, echo) as provider:
            assert call(node, provider.id) == (200, 1)


def test_a_node_that_is_told_what_to_advertise_does_not_guess(start: Start, nats: NatsProcess) -> None:
    nats.start()
    one, two = start(mesh="0.0.0.0:0", advertise="localhost:7631"), start()
    until(lambda: peer_row(two, one.machine_id), "it knows the other")
    assert peer_row(two, one.machine_id)["address"] == "localhost:7631"
    for node in (one, two):
        assert not [line for line in node.logs if line["event"] == "address_guessed"]


def test_who_has_no_nats_learns_of_the_others_from_one_that_has(start: Start, nats: NatsProcess) -> None:
    nats.start()
    one, two = several(start, 2)
    until(lambda: peer_row(one, two.machine_id), "it knows the other")
    third = start(nats="", peer=one.mesh_address)
    until(lambda: peer_row(third, one.machine_id).get("state") == "up", "a link")
    with Answering(two.address, echo) as provider:
        assert call(third, provider.id) == (200, 1)
