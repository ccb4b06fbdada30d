"""Nodes and providers that die or stop: every call is answered once, and soon, and the mesh heals by itself."""

from __future__ import annotations

import json
import signal

import pytest

from tests.integration.mesh.conftest import StartMesh
from tests.integration.mesh.mishaps import (
    ANSWERED_S,
    UPGRADE,
    callable_again,
    calls_in_flight,
    link_down,
    lost,
    out_of_reach,
    stopped,
    timed,
)
from tests.json_rpc_2 import Counting, Provider2, calling
from tests.meshes import Mesh, call, counters, holders, peer_row
from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo
from tests.websocket import WebSocket
from tests.wire import RawHttp, refused, request

SOON_S = 6.0
"""How long a node may be silent before its callers are told."""
RECOVERING = {(502, "peer_unreachable"), (503, "recovering")}
KILL = 9


def die(node: Node) -> None:
    """End a process as a crash would, without waiting for it."""
    node.process.kill()


def streaming(entry: Node, provider: Counting, count: int) -> RawHttp:
    """A caller that reads a stream of ``count`` items."""
    http = RawHttp(entry.address)
    http.send(request("POST", f"/lambda/{provider.id}/count", b"%d" % count, [("Accept", "application/x-ndjson")]))
    return http


def moved(home: Node, other: Node) -> Provider2:
    """A lambda of ``home`` whose socket is at ``other``."""
    with Provider2(home).accept() as first:
        return first.again(at=other)


def answered(entry: Node, provider: Provider2) -> bool:
    with calling(entry, provider.id) as http:
        provider.answer(provider.call(), 7)
        return bool(http.answer().json() == 7)


def link_down_or_unknown(node: Node, machine_id: str) -> None:
    """Wait until a node that had a link knows that it is gone; one that had none finds out when it dials."""
    if any(line.get("event") == "link_up" and machine_id in line["node"] for line in node.logs):
        link_down(node, machine_id)


@pytest.mark.parametrize("number", [0, 1], ids=["the one that others dial", "one that dials others"])
def test_callers_of_an_owner_that_is_killed_are_told_at_once(start_mesh: StartMesh, number: int) -> None:
    mesh = start_mesh(3)
    owner = mesh.nodes[number]
    entries = [node for node in mesh if node is not owner]
    with Provider2(owner).accept() as provider:
        callers = [caller for entry in entries for caller in calls_in_flight(entry, provider, 10)]

        def killed() -> None:
            die(owner)
            for caller in callers:
                lost(caller.answer())

        _, took_s = timed(killed)
        print(f"20 callers of a killed owner were told within {took_s * 1000:.1f} ms")
        assert took_s < ANSWERED_S
        assert all(caller.quiet() for caller in callers)
        for entry in entries:
            _, refused_s = timed(lambda entry=entry: out_of_reach(entry, provider.id))  # type: ignore[misc]
            print(f"a new call is refused within {refused_s * 1000:.1f} ms")
    owner.wait()
    again = mesh.restart(owner)
    with Answering(again.address, echo) as provider_again:
        for entry in entries:
            _, healed_s = timed(lambda entry=entry: callable_again(entry, provider_again.id, RECOVERING))  # type: ignore[misc]
            print(f"{healed_s:.2f} s after its start it is called again")
    for entry in entries:
        assert counters(entry)["calls_in_flight"] == 0
        assert not entry.complaints()


def test_the_reader_of_a_stream_is_told_that_its_owner_was_killed(start_mesh: StartMesh) -> None:
    owner, entry = start_mesh(2)
    with Counting(owner) as provider, streaming(entry, provider, 1_000_000) as http:
        assert http.head().status == 200
        text = http.chunk()
        die(owner)
        text += b"".join(iter(http.chunk, b""))
        *items, last = map(json.loads, text.splitlines())
        assert (last["code"], last["delivered"]) == ("lambda_lost", "unknown")
        assert all(item == {"item": 0} for item in items)


def test_everybody_is_told_soon_of_a_node_that_hangs_and_it_heals_by_itself(start_mesh: StartMesh) -> None:
    hanging, well = start_mesh(2)
    with Provider2(hanging).accept() as there, Provider2(well).accept() as here:
        [to_it], [by_it] = calls_in_flight(well, there, 1), calls_in_flight(hanging, here, 1)
        with stopped(hanging):
            (answer, number), took_s = timed(lambda: (to_it.answer(), here.cancelled()))
            print(f"the caller of a node that hangs, and the provider of its callers, were told within {took_s:.2f} s")
            lost(answer)
            assert number == 1
            assert took_s < SOON_S
            for _ in range(3):
                out_of_reach(well, there.id)
        lost(by_it.answer())
        assert there.cancelled() == 1
        until(lambda: well.fetch("GET", f"/lambda/{there.id}").status == 200, "there is a link again", 15)
        assert answered(well, there) and answered(hanging, here)
    assert counters(well)["links_cut_silent"] == 1
    assert not (hanging.complaints() or well.complaints())


def test_a_provider_is_told_that_the_node_of_its_callers_was_killed(start_mesh: StartMesh) -> None:
    owner, entry = start_mesh(2)
    with Provider2(owner).accept() as provider:
        calls_in_flight(entry, provider, 3)
        die(entry)
        numbers, took_s = timed(lambda: {provider.cancelled() for _ in range(3)})
        print(f"the provider was told within {took_s * 1000:.1f} ms that nobody waits")
        assert numbers == {1, 2, 3}
        assert took_s < ANSWERED_S
        with calling(owner, provider.id) as http:
            provider.answer(provider.call())
            assert http.answer().status == 200


def test_callers_from_afar_are_told_that_the_provider_died(trio: Mesh) -> None:
    home, entry, third = trio
    with Provider(home.address).accept() as provider:
        with calling(entry, provider.id) as one, calling(third, provider.id) as two:
            assert {provider.next_call().number, provider.next_call().number} == {1, 2}
            provider.ws.http.reset()
            _, took_s = timed(lambda: [lost(caller.answer()) for caller in (one, two)])
            print(f"callers of a provider that died were told within {took_s * 1000:.1f} ms")
            assert took_s < ANSWERED_S
        assert refused(entry.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone").delivered == "no"


def test_a_home_that_starts_again_learns_who_holds_its_lambdas(start_mesh: StartMesh) -> None:
    mesh = start_mesh(3)
    home, holder, third = mesh
    with moved(home, holder) as provider:
        assert answered(third, provider)
        die(home)
        home.wait()
        assert answered(holder, provider)
        out_of_reach(third, provider.id)
        again = mesh.restart(home)

        def is_known() -> bool:
            assert answered(holder, provider)
            status, body = (answer := third.fetch("GET", f"/lambda/{provider.id}")).status, answer.json()
            assert status == 200 or (status, body["code"]) in RECOVERING, body
            return status == 200

        _, took_s = timed(lambda: until(is_known, "the home knows its holder", 15))
        print(f"{took_s:.2f} s after its start the home knows its holder")
        for entry in (again, holder, third):
            assert answered(entry, provider)
        assert holders((again, holder, third), provider.id) == [holder]
        # The key is still right, and the home still decides.
        with provider.again(at=third) as back:
            assert provider.ws.close_code() == 4409
            assert answered(again, back)


def test_a_lambda_is_not_re_opened_while_its_home_is_out_of_reach(start_mesh: StartMesh) -> None:
    home, other, third = start_mesh(3)
    with Provider2(home).accept() as provider:
        pass
    die(home)
    home.wait()
    for entry in (other, third):
        link_down_or_unknown(entry, home.machine_id)
        target = f"/lambda/new/{provider.id}?key={provider.key}"
        answer, took_s = timed(lambda entry=entry, target=target: entry.fetch("GET", target, headers=UPGRADE))  # type: ignore[misc]
        refused(answer, 502, "peer_unreachable")
        assert took_s < 5.0
        page = [("Origin", "http://localhost")]
        with WebSocket.open(entry.address, target, headers=page, subprotocols=("json-rpc-2.0",)) as socket:
            assert socket.close_code() == 4503
        # A new id is always to be had.
        with Answering(entry.address, echo) as fresh:
            assert call(entry, fresh.id) == (200, 1)


def test_a_lambda_whose_holder_was_killed_is_re_opened_elsewhere(start_mesh: StartMesh) -> None:
    home, holder, third = start_mesh(3)
    with moved(home, holder) as provider:
        assert answered(third, provider) and answered(home, provider)
        callers = [*calls_in_flight(home, provider, 120), *calls_in_flight(third, provider, 80)]
        die(holder)
        for caller in callers:
            lost(caller.answer())
        out_of_reach(home, provider.id)
        with provider.again(at=third) as again:
            assert again.opened["pending"] == []
            for entry in (home, third):
                with calling(entry, again.id) as http:
                    message = again.call()
                    # 202 were called before: whatever comes late of those is to none of these.
                    assert message["id"] > 202
                    again.answer(message, "moved")
                    assert http.answer().json() == "moved"
            assert holders((home, third), again.id) == [third]


def test_a_holder_that_starts_again_is_corrected(start_mesh: StartMesh) -> None:
    mesh = start_mesh(2)
    home, holder = mesh
    with moved(home, holder) as provider:
        die(holder)
        holder.wait()
        with provider.again(at=home) as back:
            again = mesh.restart(holder)
            mesh.await_link(again, home)
            for entry in (home, again):
                assert answered(entry, back)
            assert holders((home, again), back.id) == [home]


def test_a_holder_that_hung_while_its_lambda_moved_is_corrected(start_mesh: StartMesh) -> None:
    home, holder, third = start_mesh(3, link_silence_s=1.0)
    with moved(home, holder) as provider:
        with stopped(holder):
            with calling(home, provider.id) as caller:
                lost(caller.answer())
            back = provider.again(at=third)
            assert answered(home, back)
        with back:
            # Two would answer now, if the home did not correct the one that has missed it.
            assert provider.ws.close_code() == 4409
            until(lambda: holders((home, holder, third), back.id) == [third], "one has it")
            assert answered(home, back) and answered(third, back)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_home_that_is_nobodys_peer_learns_its_holders_again(start_mesh: StartMesh, how: signal.Signals) -> None:
    mesh = start_mesh(3)
    seed, home, holder = mesh
    with Provider2(home).accept() as first, first.again(at=holder) as second:
        with calling(seed, second.id) as http:
            second.answer(second.call(), 1)
            assert http.answer().json() == 1
        home.signal(how)
        home.wait()
        again = mesh.restart(home)
        until(lambda: peer_row(again, holder.machine_id).get("state") == "up", "the holder has dialled it", 10)
        until(lambda: again.fetch("GET", f"/lambda/{second.id}").status == 200, "and told what it holds")
        for entry in (again, seed):
            with calling(entry, second.id) as http:
                second.answer(second.call(), 2)
                assert http.answer().json() == 2
