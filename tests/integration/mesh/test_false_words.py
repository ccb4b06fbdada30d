"""A node of the mesh that tells what is not its to tell: it is not believed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lambdamesh.access.holding_proofs import HoldingProofs
from lambdamesh.ids import LambdaId
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link_frames import Kind, call_frame, topic_frame
from tests.integration.mesh.strangers import Stranger
from tests.json_rpc_2 import Provider2, calling
from tests.meshes import Mesh, call, holders, peer_row
from tests.nodes import Node, until
from tests.wire import refused


@pytest.fixture
def stranger(pair: Mesh) -> Iterator[Stranger]:
    """A node by hand, which is up at the first of the pair."""
    with Stranger.with_secret(pair.nodes[0], pair.secret_file) as one:
        one.met()
        yield one


@pytest.fixture
def moved(pair: Mesh) -> Iterator[Provider2]:
    """A lambda of the first node, held by the second."""
    home, holder = pair
    with Provider2(home).accept() as first, first.again(at=holder) as second:
        assert first.ws.close_code() == 4409
        yield second


@pytest.fixture
def at_home(pair: Mesh) -> Iterator[Provider2]:
    """A lambda of the first node, and held there."""
    with Provider2(pair.nodes[0]).accept() as provider:
        yield provider


def still_there(pair: Mesh, provider: Provider2, holder: Node) -> None:
    """Check that nothing has happened to a lambda."""
    for entry in pair:
        with calling(entry, provider.id) as http:
            provider.answer(provider.call(), 7)
            assert http.answer().json() == 7
    assert holders(pair.nodes, provider.id) == [holder]


ANOTHERS_PROOF = HoldingProofs(bytes(32)).mint(b"rhowRuuCUoE5vlcA", 1, 1)
EPOCHS = [-1, 0, 1, 2**62]


@pytest.mark.parametrize("epoch", EPOCHS)
def test_only_the_holder_says_that_a_lambda_has_left(
    pair: Mesh, stranger: Stranger, moved: Provider2, at_home: Provider2, epoch: int
) -> None:
    for provider in (moved, at_home):
        stranger.tell("left", {"id": provider.id, "epoch": epoch, "number": 0})
    stranger.settle()
    still_there(pair, moved, pair.nodes[1])
    still_there(pair, at_home, pair.nodes[0])


@pytest.mark.parametrize("epoch", EPOCHS)
def test_only_the_home_takes_a_lambda_away(pair: Mesh, at_home: Provider2, moved: Provider2, epoch: int) -> None:
    for node in pair:
        with Stranger.with_secret(node, pair.secret_file) as stranger:
            stranger.met()
            for provider in (moved, at_home):
                stranger.tell("evict", {"id": provider.id, "epoch": epoch, "code": 4410})
                stranger.send(topic_frame(Kind.ASK, 9, "release", json.dumps({"id": provider.id}).encode()))
                assert json.loads(stranger.next(Kind.RESULT).payload)["number"] is None
            stranger.settle()
    still_there(pair, moved, pair.nodes[1])
    still_there(pair, at_home, pair.nodes[0])


@pytest.mark.parametrize("epoch", EPOCHS)
def test_who_says_that_it_holds_nothing_takes_nothing_away(
    pair: Mesh, stranger: Stranger, moved: Provider2, epoch: int
) -> None:
    stranger.tell("holding", {"lambdas": []})
    stranger.tell("holding", {"lambdas": [[LambdaId(0x99, 1 << 22).text.decode(), epoch, ANOTHERS_PROOF]]})
    stranger.settle()
    still_there(pair, moved, pair.nodes[1])
    answer = pair.nodes[0].fetch("POST", f"/lambda/{LambdaId(0x99, 1 << 22).text.decode()}/m", b"1")
    refused(answer, 404, "lambda_not_found")


@pytest.mark.parametrize("epoch", EPOCHS)
def test_a_lambda_is_not_another_nodes_because_that_says_so(
    pair: Mesh, stranger: Stranger, moved: Provider2, at_home: Provider2, epoch: int
) -> None:
    stranger.tell("holding", {"lambdas": [[moved.id, epoch, ANOTHERS_PROOF], [at_home.id, epoch, ANOTHERS_PROOF]]})
    stranger.settle()
    still_there(pair, at_home, pair.nodes[0])
    still_there(pair, moved, pair.nodes[1])


def test_who_says_with_its_hello_that_it_holds_a_lambda_is_corrected(pair: Mesh, at_home: Provider2) -> None:
    with Stranger.with_secret(pair.nodes[0], pair.secret_file) as stranger:
        words = json.dumps({"lambdas": [[at_home.id, 0, ANOTHERS_PROOF]]}).encode()
        # In one piece: the node has no link yet when it reads the second.
        stranger.greet(behind=topic_frame(Kind.TELL, 1, "holding", words))
        while not (told := stranger.next(Kind.TELL).payload).startswith(b"\x05evict"):
            pass
        assert json.loads(told[6:]) == {"id": at_home.id, "epoch": 0, "code": 4409}
    still_there(pair, at_home, pair.nodes[0])


def test_a_lambda_is_taken_with_its_key_only(pair: Mesh, stranger: Stranger, moved: Provider2) -> None:
    for key in ("", "AAAA", moved.key[:-2] + "AA"):
        words = json.dumps({"id": moved.id, "key": key, "door": "local"}).encode()
        for topic in ("claim", "take"):
            stranger.send(topic_frame(Kind.ASK, 5, topic, words))
            assert json.loads(stranger.next(Kind.FAULT).payload)["code"] == "forbidden"
    still_there(pair, moved, pair.nodes[1])


def test_what_a_peer_tells_of_third_ones_is_not_believed_of_who_they_are(pair: Mesh, stranger: Stranger) -> None:
    door, other = pair
    hint = {"machine": "77777705", "address": other.mesh_address, "host": "nowhere", "instance": "1"}
    stranger.tell("peers", [hint])
    until(lambda: peer_row(door, "77777705"), "it has heard of it")
    status, body = call(door, LambdaId(0x77777705, 1 << 22).text.decode())
    assert (status, body["code"], body["delivered"]) == (502, "peer_unreachable", "no")
    assert other.machine_id not in [line.get("machine") for line in door.logs]
    assert peer_row(door, other.machine_id)["address"] == other.mesh_address


def test_a_peer_tells_a_node_nothing_about_itself_or_those_it_has_met(pair: Mesh, stranger: Stranger) -> None:
    door, other = pair
    hints = [
        {"machine": node.machine_id, "address": "127.0.0.1:9", "host": "liar", "instance": "2", "started_at": 9e12}
        for node in pair
    ]
    stranger.tell("peers", hints)
    stranger.settle()
    for node in pair:
        assert peer_row(door, node.machine_id)["state"] in ("me", "up")
    with Provider2(other).accept() as provider, calling(door, provider.id) as http:
        provider.answer(provider.call(), 7)
        assert http.answer().json() == 7


@pytest.mark.parametrize(("passages", "status"), [(2, None), (3, 508), (200, 508)])
def test_a_call_that_has_come_through_three_nodes_goes_no_further(
    pair: Mesh, stranger: Stranger, passages: int, status: int | None
) -> None:
    with Provider2(pair.nodes[1]).accept() as provider:
        passed = Call(provider.id.encode(), b'"m"', b"1", 5.0, b"ray", passages=passages)
        stranger.send(call_frame(Kind.CALL, 77, passed))
        if status is None:
            provider.answer(provider.call(), 7)
            assert stranger.next(Kind.RESULT).payload == b"7"
        else:
            fault = json.loads(stranger.next(Kind.FAULT).payload)
            assert (fault["status"], fault["code"], fault["delivered"]) == (status, "loop", "no")
