"""Re-opening on another node: the home decides, exactly one socket has the lambda, and its calls go on."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from tests.events import EventStream
from tests.integration.mesh.conftest import StartMesh
from tests.json_rpc_2 import Client2, Provider2, calling
from tests.meshes import Mesh, call, holders
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import refused


def answered(entry: Node, provider: Provider2, value: int = 7) -> bool:
    """Whether a call that enters ``entry`` is answered by ``provider``."""
    with calling(entry, provider.id) as http:
        provider.answer(provider.call(), value)
        return bool(http.answer().json() == value)


def test_a_lambda_moves_to_another_node(trio: Mesh) -> None:
    home, other, third = trio
    with Provider2(home).accept() as first, first.again(at=other) as second:
        assert second.id == first.id
        assert first.ws.close_code() == 4409
        assert holders(trio.nodes, second.id) == [other]
        assert all(answered(entry, second) for entry in trio)
        with second.again(at=third) as last:
            assert second.ws.close_code() == 4409
            assert holders(trio.nodes, last.id) == [third]
            assert all(answered(entry, last) for entry in trio)
            with last.again(at=home) as back:
                assert last.ws.close_code() == 4409
                assert holders(trio.nodes, back.id) == [home]
                assert all(answered(entry, back) for entry in trio)


def test_a_key_that_another_node_told_is_right_at_every_node(trio: Mesh) -> None:
    home, other, third = trio
    with Provider2(home).accept() as first, first.again(at=other) as second:
        assert second.key
        with second.again(at=third) as last, last.again(at=other):
            pass


def test_a_wrong_key_is_refused_from_afar_and_nobody_notices(trio: Mesh) -> None:
    home, other, _ = trio
    with Provider2(home).accept() as first, Provider2(home).accept() as foreign:
        upgrade = [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]  # fmt: skip
        for key in (foreign.key, "AAAA", ""):
            answer = other.fetch("GET", f"/lambda/new/{first.id}?key={key}", headers=upgrade)
            refused(answer, 403, "forbidden")
        assert answered(home, first)


@pytest.mark.parametrize("to", [0, 1, 2])
@pytest.mark.parametrize("entry", [0, 1, 2])
def test_calls_in_flight_are_answered_after_the_move(trio: Mesh, to: int, entry: int) -> None:
    home, other, _ = trio
    way = trio.nodes[entry]
    with (
        Provider2(home).accept() as first,
        first.again(at=other) as second,
        calling(way, first.id) as one,
        calling(way, first.id) as two,
    ):
        calls = [second.call(), second.call()]
        again = Provider2(trio.nodes[to], f"/lambda/new/{second.id}?key={second.key}")
        assert sorted(again.opened["pending"]) == sorted(call["id"] for call in calls)
        with again.accept({"meta": True, "keep": [calls[0]["id"]]}):
            again.answer(calls[0], "kept")
            outcomes = [one.answer(), two.answer()]
            assert sorted(outcome.status for outcome in outcomes) == [200, 502]
            refusal = next(outcome for outcome in outcomes if outcome.status == 502)
            assert refused(refusal, 502, "lambda_lost").delivered == "unknown"
            # Numbers go on over the life of the lambda.
            with calling(home, again.id):
                assert again.call()["id"] == calls[1]["id"] + 1


def test_an_answer_right_behind_open_is_not_lost(trio: Mesh) -> None:
    home, other, third = trio
    with Provider2(home).accept() as first, first.again(at=other) as second, calling(home, first.id) as http:
        one = second.call()
        again = Provider2(third, f"/lambda/new/{second.id}?key={second.key}")
        again.send(id=0, result={"meta": True, "keep": [one["id"]]})
        again.answer(one, "at once")
        assert http.answer().json() == "at once"
        again.close()


def test_calls_wait_while_a_lambda_waits_on_another_node(trio: Mesh) -> None:
    home, other, third = trio
    with Provider2(home).accept() as first, first.again(at=other) as second:
        second.ws.http.close()
        until(lambda: home.fetch("GET", f"/lambda/{first.id}").json()["state"] == "waiting", "it waits")
        with calling(third, first.id) as waiting:
            until(
                lambda: "lambdamesh_calls_in_flight 1" in other.fetch("GET", "/metrics").body.decode(), "a call waits"
            )
            with second.again(at=third) as last:
                last.answer(last.call(), "late")
                assert waiting.answer().json() == "late"
    until(lambda: not holders(trio.nodes, first.id), "it has closed", 20)


def test_a_lambda_that_closes_on_another_node_is_gone_everywhere(trio: Mesh) -> None:
    home, other, _ = trio
    with Provider2(home).accept() as first, first.again(at=other) as second:
        second.ws.send_close(1000)
        until(lambda: all(call(node, first.id)[0] == 410 for node in trio), "all know that it is gone")


def test_a_deleted_lambda_is_deleted_wherever_it_is(trio: Mesh) -> None:
    home, other, third = trio
    with Provider2(home).accept() as first, first.again(at=other) as second:
        assert third.fetch("DELETE", f"/lambda/{first.id}").status == 200
        assert second.ws.close_code() == 4410
        assert all(call(node, first.id)[0] == 410 for node in trio)


def test_two_that_claim_one_id_leave_one_owner(trio: Mesh) -> None:
    home, other, third = trio
    for _ in range(10):
        with Provider2(home).accept() as first:
            rivals = [Provider2(node, f"/lambda/new/{first.id}?key={first.key}") for node in (other, third, other)]
            threads = [threading.Thread(target=rival.send, kwargs={"id": 0, "result": "ok"}) for rival in rivals]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            until(lambda: len(holders(trio.nodes, first.id)) == 1, "one has it")
            for rival in rivals:
                rival.close()


def test_lambdas_of_a_shared_socket_move_too(trio: Mesh) -> None:
    home, other, third = trio
    with Client2(home) as first, Client2(other) as second:
        opened = first.open_lambda()
        with calling(third, opened["id"]) as http:
            one = first.call()
            again = second.open_lambda(id=opened["id"], key=opened["resume_key"], keep=[1])
            assert again["id"] == opened["id"] and again["pending"] == [1]
            second.send(id=one["id"], result="moved")
            assert http.answer().json() == "moved"
        closed = first.next()
        assert closed["method"] == "lambda.closed" and closed["params"]["code"] == 4409
        with calling(third, opened["id"]) as http:
            second.answer(second.call(), 2)
            assert http.answer().json() == 2


def test_events_of_the_mesh_come_from_every_node(trio: Mesh) -> None:
    home, other, third = trio
    with EventStream(third.address, "/events?scope=mesh") as events:
        telling = {events.comment() for _ in range(3)}
        assert {f": the node {node.machine_id} tells its events".encode() for node in (home, other)} < telling
        with Provider2(other).accept() as first:
            name, fields = events.of(first.id)
            assert (name, fields["node"], fields["reopened"]) == ("open", other.machine_id, False)
            with first.again(at=home) as second:
                name, fields = events.of(first.id)
                assert (name, fields["node"], fields["reopened"]) == ("open", home.machine_id, True)
                second.ws.send_close(1000)
                assert events.of(first.id) == ("close", {"id": first.id, "reason": "closed", "node": home.machine_id})


def test_a_plain_provider_re_opens_afar_without_a_key(trio: Mesh) -> None:
    home, other, _ = trio
    with Provider(home.address).accept() as first:
        pass
    until(lambda: call(other, first.id)[0] == 410, "it has closed")
    with Provider(other.address, f"/lambda/new/{first.id}").accept() as second:
        assert second.id == first.id
        assert holders(trio.nodes, first.id) == [other]
        assert json.loads(other.fetch("GET", f"/lambda/{first.id}").body)["code"] == "json-rpc"


def test_a_lambda_outlives_the_drain_of_its_holder(start_mesh: StartMesh) -> None:
    running = start_mesh(3)
    home, holder, third = running
    with Provider2(home).accept() as first, first.again(at=holder) as second:
        holder.stop()
        assert second.ws.close_code() == 4503
        until(lambda: home.fetch("GET", f"/lambda/{first.id}").json().get("state") == "waiting", "its home keeps it")
        with calling(third, first.id) as waiting, second.again(at=third) as last:
            last.answer(last.call(), "late")
            assert waiting.answer().json() == "late"
            assert holders([home, third], first.id) == [third]


def test_calls_that_pass_through_a_node_that_drains_are_answered(start_mesh: StartMesh) -> None:
    home, entry = start_mesh(2)
    with Provider2(home).accept() as provider, calling(entry, provider.id) as http:
        message = provider.call()
        entry.signal(signal.SIGTERM)
        entry.wait_log("draining")
        refused(entry.fetch("POST", f"/lambda/{provider.id}/m", b"1"), 503, "draining")
        provider.answer(message, "in time")
        assert http.answer().json() == "in time"
        assert entry.wait() == 0
