"""Starting, draining, stopping, starting again; the state directory; running out of descriptors."""

from __future__ import annotations

import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.events import EventStream
from tests.lambda_ids import Id, parse, sibling, stranger
from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo as echo_function
from tests.websocket import WebSocket, handshake
from tests.wire import Answer, RawHttp, refused, request, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# The state directory


def test_the_state_is_for_its_owner_alone(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    provider = open_lambda(own)
    own.fetch("DELETE", f"/lambda/{provider.id}")
    assert stat.S_IMODE(own.state.stat().st_mode) == 0o700
    files = list(own.state.rglob("*"))
    assert files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_second_node_on_the_same_state_exits_78_and_names_the_first(start_node: StartNode) -> None:
    first = start_node()
    second = start_node(state=first.state, ready=False)
    assert second.wait() == 78
    assert str(first.pid) in second.log.text()
    assert first.fetch("GET", "/ping").status == 200


def test_a_state_directory_that_cannot_be(start_node: StartNode, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = start_node(state=tmp_path / "file" / "state", ready=False)
    assert own.wait() == 78
    assert "Traceback" not in own.log.text()
    assert "file" in own.log.text()


def test_a_port_that_is_taken(start_node: StartNode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = start_node(local=f"127.0.0.1:{port}", ready=False)
        assert own.wait() not in (0, None)
        assert str(port) in own.log.text()
        assert "Traceback" not in own.log.text()


# Draining


@pytest.fixture
def draining(start_node: StartNode) -> Iterator[tuple[Node, Provider, RawHttp]]:
    """A node that was asked to end while a call is under way, with the provider that holds it and its caller."""
    own = start_node(drain_s=8, drain_spread_s=0.3)
    with Provider(own.address) as provider, RawHttp(own.address) as caller:
        provider.accept()
        caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        provider.held = provider.next_call()
        own.signal(signal.SIGTERM)
        until(lambda: own.fetch("GET", "/readyz").status == 503, "the node drains")
        yield own, provider, caller


Draining = tuple[Node, Provider, RawHttp]


def test_a_drain_lets_running_calls_finish(draining: Draining) -> None:
    own, provider, caller = draining
    assert provider.held is not None
    provider.answer(provider.held, b'"finished"')
    assert caller.answer().json() == "finished"
    assert provider.ws.close_code() == 4503
    assert own.wait() == 0


def test_a_drain_takes_nothing_new(draining: Draining) -> None:
    own, provider, caller = draining
    assert provider.held is not None
    answer = refused(sound(own.fetch("POST", f"/lambda/{provider.id}/m")), 503, "draining")
    assert answer.delivered == "no"
    assert int(answer.header("Retry-After") or 0) >= 1
    assert own.fetch("GET", "/healthz").status == 200
    with RawHttp(own.address) as http:
        http.send(handshake("/lambda/new"))
        assert int(refused(sound(http.answer()), 503, "draining").header("Retry-After") or 0) >= 1
    with WebSocket.open(own.address, "/lambda/new", headers=[("Origin", "http://localhost")]) as ws:
        assert ws.close_code() == 4503
    provider.settle()
    provider.answer(provider.held)
    assert caller.answer().status == 200
    assert provider.ws.close_code() == 4503
    assert own.wait() == 0


def test_a_second_signal_ends_a_drain_at_once(draining: Draining) -> None:
    own, _, caller = draining
    began_at = time.monotonic()
    own.signal(signal.SIGTERM)
    own.wait(3.0)
    assert time.monotonic() - began_at < 2.0
    assert b"HTTP/1.1 200" not in caller.rest()


def test_a_drain_does_not_wait_for_ever(start_node: StartNode, open_lambda: OpenLambda) -> None:
    drain_s = 4.0
    own = start_node(drain_s=drain_s, drain_spread_s=0.2, close_timeout_s=0.5)
    provider = open_lambda(own)
    with RawHttp(own.address) as caller:
        caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        provider.next_call()
        began_at = time.monotonic()
        own.signal(signal.SIGTERM)
        answer = caller.answer()
        # Once, and not once more when all callers know of it: the service is killed that takes longer than it said.
        assert drain_s * 0.9 < time.monotonic() - began_at < drain_s * 1.8
        assert (answer.status, answer.delivered) in ((502, "unknown"), (503, "unknown"))
    assert own.wait() == 0


def test_every_socket_hears_of_a_drain(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node(drain_spread_s=0.3)
    providers = [open_lambda(own) for _ in range(10)]
    with WebSocket.open(own.address, "/connect") as caller, EventStream(own.address) as events:
        own.signal(signal.SIGTERM)
        assert [provider.ws.close_code() for provider in providers] == [4503] * 10
        assert caller.close_code() == 4503
        drained = {events.next_event()[1]["id"] for _ in providers}
        assert drained == {provider.id for provider in providers}
    assert own.wait() == 0


def test_events_of_a_drain(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node(drain_spread_s=0.1)
    provider = open_lambda(own)
    with EventStream(own.address) as events:
        own.signal(signal.SIGTERM)
        assert provider.ws.close_code() == 4503
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "drained"})


def test_idle_connections_do_not_hold_a_drain(start_node: StartNode) -> None:
    own = start_node()
    with RawHttp(own.address) as idle, RawHttp(own.address):
        assert idle.ask("GET", "/ping").status == 200
        began_at = time.monotonic()
        own.signal(signal.SIGTERM)
        assert own.wait() == 0
        assert time.monotonic() - began_at < 3.0
        assert idle.rest() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_with_nothing_to_do_ends_at_once(start_node: StartNode, number: signal.Signals) -> None:
    own = start_node()
    own.signal(number)
    assert own.wait(3.0) == 0
    assert "Traceback" not in own.log.text()


# Starting again


def test_a_restart_keeps_the_machine_and_never_repeats_an_id(start_node: StartNode, open_lambda: OpenLambda) -> None:
    state, seen = None, []
    for _ in range(3):
        own = start_node(state=state)
        seen += [parse(open_lambda(own).id) for _ in range(3)]
        own.kill()
        state = own.state
    assert len({one.machine for one in seen}) == 1
    assert [one.uid for one in seen] == sorted({one.uid for one in seen})


def test_two_nodes_are_two_machines(start_node: StartNode, open_lambda: OpenLambda) -> None:
    ids = [parse(open_lambda(start_node()).id).machine for _ in range(2)]
    assert ids[0] != ids[1]


def test_deleted_ids_stay_deleted(start_node: StartNode, open_lambda: OpenLambda) -> None:
    first = start_node()
    provider = open_lambda(first)
    assert first.fetch("DELETE", f"/lambda/{provider.id}").status == 200
    first.kill()
    second = start_node(state=first.state)
    for headers in ([], [("Lambda-Resume-Key", provider.key)]):
        with RawHttp(second.address) as http:
            http.send(handshake(f"/lambda/new/{provider.id}", headers))
            assert http.answer().status in (403, 410)
    refused(second.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone")


def test_a_node_recovers_for_a_while(start_node: StartNode, open_lambda: OpenLambda) -> None:
    first = start_node()
    provider = open_lambda(first)
    first.stop()
    second = start_node(state=first.state, recovering_s=2.0)

    def call() -> Answer:
        return second.fetch("POST", f"/lambda/{provider.id}/m", b"1")

    answer = refused(sound(call()), 503, "recovering")
    assert answer.delivered == "no"
    assert int(answer.header("Retry-After") or 0) >= 1
    refused(second.fetch("POST", f"/lambda/{sibling(provider.id)}/m"), 404, "lambda_not_found")
    refused(second.fetch("POST", f"/lambda/{stranger(provider.id)}/m"), 404, "lambda_not_found")
    until(lambda: call().status == 404, "it has recovered")


def test_a_lambda_that_comes_back_is_there_while_others_recover(start_node: StartNode, open_lambda: OpenLambda) -> None:
    first = start_node()
    provider = open_lambda(first)
    first.kill()
    second = start_node(state=first.state)
    assert second.fetch("POST", f"/lambda/{provider.id}/m").status == 503
    with Answering(second.address, echo_function, f"/lambda/new/{provider.id}") as again:
        assert again.id == provider.id
        assert second.fetch("POST", f"/lambda/{provider.id}/m", b"5").json() == 5


def test_an_old_id_of_a_new_machine_recovers_too(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node()
    machine = parse(open_lambda(own).id).machine
    old = str(Id(machine, int(time.time() * 1000) - 60_000))
    refused(own.fetch("POST", f"/lambda/{old}/m"), 503, "recovering")


# Names


@pytest.mark.parametrize(("host", "letters"), [("my-h0st", "MYH"), ("a", "AXX"), ("42", "XXX"), ("UPPER", "UPP")])
def test_a_ray_ends_with_letters_of_the_host(start_node: StartNode, host: str, letters: str) -> None:
    own = start_node(host_name=host)
    assert own.fetch("GET", "/ping").json() == host
    assert (own.fetch("GET", "/ping").header("X-Ray") or "").endswith(f"-{letters}")


def test_a_machine_id_can_be_given(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node(machine_id="46301aae")
    provider = open_lambda(own)
    assert parse(provider.id).machine == 0x46301AAE
    assert provider.id.startswith("rhow")
    assert own.fetch("GET", "/peers").json()[0]["machine_id"] == "46301aae"


# What is remembered


def test_the_oldest_of_too_many_closed_ids_is_forgotten(start_node: StartNode) -> None:
    own = start_node(gone_ids=2)
    ids = []
    for _ in range(4):
        with Answering(own.address, echo_function) as provider:
            ids.append(provider.id)
        until(lambda: own.fetch("GET", f"/lambda/{ids[-1]}").status == 410, "it is gone")
    assert [own.fetch("GET", f"/lambda/{lambda_id}").status for lambda_id in ids] == [404, 404, 410, 410]


def test_closed_ids_are_forgotten_with_time_but_deleted_ones_are_not(start_node: StartNode) -> None:
    own = start_node(gone_ttl_s=0.5)
    with Answering(own.address, echo_function) as deleted:
        own.fetch("DELETE", f"/lambda/{deleted.id}")
    with Answering(own.address, echo_function) as closed:
        pass
    until(lambda: own.fetch("GET", f"/lambda/{closed.id}").status == 410, "it is gone")
    until(lambda: own.fetch("GET", f"/lambda/{closed.id}").status == 404, "it is forgotten")
    assert own.fetch("GET", f"/lambda/{deleted.id}").status == 410


# Descriptors


def test_out_of_descriptors(start_node: StartNode) -> None:
    """Calls under way go on, newcomers wait or hear 503, nobody spins, and it passes."""
    own = start_node(nofile=96)
    with Answering(own.address, echo_function) as provider, RawHttp(own.address) as steady, ExitStack() as crowd:
        assert steady.ask("POST", f"/lambda/{provider.id}/m", b"1").json() == 1
        logged = len(own.logs)
        newcomers = [crowd.enter_context(RawHttp(own.address)) for _ in range(150)]
        for http in newcomers:
            http.send(request("GET", "/ping"))
        for number in range(50):
            assert steady.ask("POST", f"/lambda/{provider.id}/m", b"%d" % number).json() == number
        served = [http for http in newcomers if not http.quiet(for_s=0.001)]
        assert 0 < len(served) <= 150
        assert {http.answer().status for http in served} <= {200, 503}
        assert own.open_files() <= 96
        crowd.close()
        until(lambda: own.open_files() < 60, "the crowd has gone")
        with Provider(own.address) as another, RawHttp(own.address) as http:
            another.accept()
            assert http.ask("POST", f"/lambda/{provider.id}/m", b"2").json() == 2
    complaints = [line for line in own.logs[logged:] if line.get("level") in ("warning", "error", "critical")]
    assert len(complaints) == 1, complaints


def test_a_full_node_does_not_spin(start_node: StartNode) -> None:
    """While no descriptor is free the process is idle."""
    own = start_node(nofile=96)
    with RawHttp(own.address) as steady, ExitStack() as crowd:
        assert steady.ask("GET", "/ping").status == 200
        for _ in range(150):
            crowd.enter_context(RawHttp(own.address))
        steady.ask("GET", "/ping")
        before = cpu_s(own.pid)
        assert steady.quiet(for_s=1.0)
        assert cpu_s(own.pid) - before < 0.3


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used (Linux; in ticks of 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_an_idle_node_is_idle(node: Node) -> None:
    with RawHttp(node.address) as http:
        assert http.ask("GET", "/ping").status == 200
        before = cpu_s(node.pid)
        assert http.quiet(for_s=1.0)
        assert cpu_s(node.pid) - before < 0.2


def test_connections_are_bounded(start_node: StartNode) -> None:
    own = start_node(connections=5)
    with ExitStack() as crowd:
        for _ in range(5):
            assert crowd.enter_context(RawHttp(own.address)).ask("GET", "/ping").status == 200
        extra = crowd.enter_context(RawHttp(own.address))
        extra.send(request("GET", "/ping"))
        if not extra.quiet(for_s=0.2):
            assert extra.answer().status == 503
    until(lambda: own.open_files() < 30, "they have gone")
    until(lambda: own.fetch("GET", "/ping").status == 200, "there is room again")


def test_many_connections_that_end_in_all_ways_leave_nothing(node: Node) -> None:
    with RawHttp(node.address) as http:
        assert http.ask("GET", "/ping").status == 200
        before = node.open_files()
        for number in range(100):
            with RawHttp(node.address) as short:
                short.send((request("GET", "/ping"), b"GET /pi", handshake("/connect"), b"")[number % 4])
                if number % 3 == 0:
                    short.reset()
        until(lambda: node.open_files() <= before, "all descriptors are back")
        assert http.ask("GET", "/ping").status == 200


def test_callers_and_providers_that_come_and_go_together(node: Node) -> None:
    """Every call has exactly one of the outcomes that can be, while its lambda may end at any time."""
    outcomes: list[int] = []

    def call_on(lambda_id: str) -> None:
        with RawHttp(node.address) as http:
            for _ in range(10):
                outcomes.append(http.ask("POST", f"/lambda/{lambda_id}/m", b"1").status)

    for _ in range(10):
        with Answering(node.address, echo_function) as provider:
            callers = [threading.Thread(target=call_on, args=(provider.id,), daemon=True) for _ in range(4)]
            for caller in callers:
                caller.start()
            until(lambda: len(provider.calls) >= 5, "calls are coming")
        for caller in callers:
            caller.join(10.0)
            assert not caller.is_alive()
    assert len(outcomes) == 400
    assert set(outcomes) <= {200, 410, 502}
