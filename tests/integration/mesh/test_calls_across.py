"""Calls that enter one node for a lambda on another: the same answers, byte for byte, as on its own."""

from __future__ import annotations

import json

import pytest

from tests.integration.mesh.conftest import StartMesh
from tests.json_rpc_2 import Client2, Counting, Provider2, calling
from tests.meshes import Mesh, call, counters, peers
from tests.nodes import until
from tests.providers import Answering, Provider, echo
from tests.wire import refused

BODIES = [
    b'{"hello":"world"}',
    b"null",
    b"12345678901234567890123",
    b'"\\ud800"',
    '"ä€𝄞"'.encode(),
    b"[" * 512 + b"]" * 512,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:12].decode("ascii", "replace"))
def test_a_body_crosses_byte_for_byte(trio: Mesh, body: bytes) -> None:
    home, entry, _ = trio
    with Answering(home.address, echo) as provider:
        answer = entry.fetch("POST", f"/lambda/{provider.id}/any%20method", body)
        assert (answer.status, answer.body) == (200, body)
        assert provider.calls[-1].method == "any method"


def test_a_large_body_crosses(trio: Mesh) -> None:
    home, entry, _ = trio
    body = b'"' + b"x" * (3 * 1024 * 1024) + b'"'
    with Answering(home.address, echo) as provider:
        assert entry.fetch("POST", f"/lambda/{provider.id}/m", body).body == body


def test_every_pair_of_nodes_finds_each_other(trio: Mesh) -> None:
    for home in trio:
        with Answering(home.address, echo) as provider:
            for entry in trio:
                assert call(entry, provider.id) == (200, 1)


def test_the_provider_is_told_ray_trace_and_time_left(trio: Mesh) -> None:
    home, entry, _ = trio
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = [("Prefer", "wait=7"), ("traceparent", trace)]
    with Provider2(home).accept() as provider, calling(entry, provider.id, headers=headers) as http:
        message = provider.call()
        assert message["meta"]["traceparent"] == trace
        assert 0 < message["meta"]["deadline_ms"] <= 7001
        provider.answer(message)
        assert http.answer().header("X-Ray") == message["meta"]["ray"]


def test_an_error_of_the_provider_crosses_whole(trio: Mesh) -> None:
    home, entry, _ = trio
    with Provider2(home).accept() as provider, calling(entry, provider.id) as http:
        message = provider.call()
        provider.send(id=message["id"], error={"code": -32602, "message": "no", "data": {"path": ["a", 1]}})
        answer = http.answer()
        assert refused(answer, 400, "invalid_params").delivered == "yes"
        assert answer.json()["data"] == {"path": ["a", 1]}


def test_a_deadline_is_kept_and_cancels_at_the_provider(trio: Mesh) -> None:
    home, entry, _ = trio
    with Provider2(home).accept() as provider, calling(entry, provider.id, headers=[("Prefer", "wait=0.2")]) as http:
        message = provider.call()
        assert refused(http.answer(), 504, "timeout").delivered == "unknown"
        assert provider.cancelled() == message["id"]


def test_a_caller_that_leaves_cancels_at_the_provider(trio: Mesh) -> None:
    home, entry, _ = trio
    with Provider2(home).accept() as provider:
        with calling(entry, provider.id):
            message = provider.call()
        assert provider.cancelled() == message["id"]


def test_streams_keep_to_their_credit_across(trio: Mesh) -> None:
    home, entry, _ = trio
    with Counting(home) as provider:
        answer = entry.fetch("POST", f"/lambda/{provider.id}/count", b"500", [("Accept", "application/x-ndjson")])
        lines = answer.body.splitlines()
        assert len(lines) == 501
        assert json.loads(lines[-1]) == {"result": None}


def test_connect_reaches_other_nodes(trio: Mesh) -> None:
    home, entry, _ = trio
    with Answering(home.address, echo) as provider, Client2(entry) as client:
        assert client.result(f"POST /lambda/{provider.id}/m", [{"a": 1}]) == {"a": 1}
        assert client.result(f"GET /lambda/{provider.id}")["id"] == provider.id
        assert client.refusal("POST /lambda/AQAAAAAAAAAAAAAA/m")["data"]["code"] == "lambda_not_found"


def test_a_notification_says_whether_there_is_such_a_lambda(trio: Mesh) -> None:
    home, entry, _ = trio
    prefer = [("Prefer", "respond-async")]
    with Provider2(home).accept() as provider:
        answer = entry.fetch("POST", f"/lambda/{provider.id}/seen", b"42", prefer)
        assert (answer.status, answer.body) == (202, b"{}")
        assert (provider.next()["method"]) == "seen"
        entry.fetch("DELETE", f"/lambda/{provider.id}")
    refused(entry.fetch("POST", f"/lambda/{provider.id}/seen", b"42", prefer), 410, "lambda_gone")


def test_a_lambda_is_shown_and_deleted_from_afar(trio: Mesh) -> None:
    home, entry, third = trio
    with Provider(home.address).accept() as provider:
        assert entry.fetch("GET", f"/lambda/{provider.id}").json() == home.fetch("GET", f"/lambda/{provider.id}").json()
        head = entry.fetch("HEAD", f"/lambda/{provider.id}")
        assert (head.status, head.body) == (200, b"")
        assert entry.fetch("DELETE", f"/lambda/{provider.id}").body == b"{}"
        assert provider.ws.close_code() == 4410
    assert refused(third.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone").delivered == "no"


def test_no_such_machine_is_not_found_and_a_closed_lambda_gone(trio: Mesh) -> None:
    home, entry, _ = trio
    refused(entry.fetch("POST", "/lambda/AQAAAAAAAAAAAAAA/m"), 404, "lambda_not_found")
    with Provider(home.address).accept() as provider:
        pass
    until(lambda: call(entry, provider.id)[0] == 410, "the end of the lambda is known")


def test_the_listing_of_the_mesh_has_every_node(trio: Mesh) -> None:
    with Provider(trio.nodes[0].address).accept() as first, Provider(trio.nodes[1].address).accept() as second:
        for node in trio:
            listing = node.fetch("GET", "/lambda?scope=mesh")
            assert {first.id, second.id} <= set(listing.json())
            assert listing.header("Lambda-Unreachable") is None
            assert node.fetch("GET", "/lambda?scope=mesh&count").json()["count"] == len(listing.json())
            cut = node.fetch("GET", "/lambda?scope=mesh&limit=1")
            assert (len(cut.json()), cut.header("Lambda-Truncated")) == (1, "true")
        assert trio.nodes[2].fetch("GET", "/lambda").json() == {}
    refused(trio.nodes[0].fetch("GET", "/lambda?scope=moon"), 400, "bad_request")


def test_peers_say_how_things_stand(trio: Mesh) -> None:
    for node in trio:
        rows = peers(node)
        assert len(rows) == 3
        assert [row["me"] for row in rows] == [True, False, False]
        assert all(row["alive"] for row in rows)
        assert {row["host"] for row in rows} == {"node1", "node2", "node3"}
    assert counters(trio.nodes[0])["links"] == 2


def test_a_passage_is_counted(start_mesh: StartMesh) -> None:
    home, entry = start_mesh(2)
    with Answering(home.address, echo) as provider:
        assert call(entry, provider.id) == (200, 1)
    assert counters(entry)["calls_passed"] == 1
