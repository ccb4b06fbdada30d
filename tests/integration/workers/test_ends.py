"""How a node with workers ends, and what other signals do."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.workers.conftest import StartNode
from tests.integration.workers.crew import Crew, children, entry, is_running, provider_at, reader_at
from tests.meshes import secret, secret_file
from tests.nodes import Node, command, environment, until
from tests.wire import RawHttp, refused, request

DRAINING_PATIENCE_S = 4.0
DRAINING = {"drain_s": 8.0, "drain_spread_s": 0.1, "close_timeout_s": DRAINING_PATIENCE_S}


@pytest.fixture
def own(start_node: StartNode) -> Node:
    return start_node(workers=2, **DRAINING)


@pytest.mark.parametrize("to_all", [False, True], ids=["supervisor", "every process"])
def test_sigterm_drains_all(own: Node, to_all: bool) -> None:
    held = children(own)
    with ExitStack() as opened:
        providers = [opened.enter_context(provider_at(own, worker)) for worker in range(2)]
        callers = [opened.enter_context(entry(own, 1 - worker)) for worker in range(2)]
        others = [opened.enter_context(entry(own, worker)) for worker in (0, 1) * 3]
        calls = []
        for provider, caller in zip(providers, callers, strict=True):
            caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
            calls.append(provider.next_call())
        for pid in (*held, own.pid) if to_all else (own.pid,):
            os.kill(pid, signal.SIGTERM)
        own.wait_log("draining", count=2)
        for other in others[:2]:
            assert other.ask("GET", "/readyz").status == 503
        for other, provider in zip(others[2:], [*providers, *reversed(providers)], strict=True):
            answer = refused(other.ask("POST", f"/lambda/{provider.id}/m", b"1"), 503, "draining")
            assert answer.delivered == "no"
        for provider, caller, call in zip(providers, callers, calls, strict=True):
            provider.answer(call, b'"done"')
            assert (caller.answer().status, caller.quiet()) == (200, True)
        for provider in providers:
            assert provider.ws.close_code() == 4503
    assert own.wait() == 0
    assert [line["hurried"] for line in own.logs if line.get("event") == "stopped" and "worker" in line] == [False] * 2
    assert not any(map(is_running, held))


def test_the_second_sigterm_ends_it_at_once(own: Node) -> None:
    with provider_at(own, 0) as provider, entry(own, 1) as caller:
        caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        provider.next_call()
        own.signal(signal.SIGTERM)
        own.wait_log("draining", count=2)
        began_at = time.monotonic()
        own.signal(signal.SIGTERM)
        assert own.wait() == 0
        assert time.monotonic() - began_at < 5.0
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"


def test_nobody_is_lost_at_the_door_of_a_worker_that_has_ended(own: Node) -> None:
    with provider_at(own, 0) as provider, entry(own, 0) as caller:
        caller.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
        call = provider.next_call()
        own.signal(signal.SIGTERM)
        # One worker ends at once, the other has a call to wait for: whoever comes meanwhile is answered by that one.
        answers = [own.fetch("GET", "/healthz").status for _ in range(150)]
        assert answers == [200] * 150
        assert len(own.log.wait("stopped", count=1)) == 1
        late = entry(own, 0)
        provider.answer(call)
        assert caller.answer().status == 200
        # It waits for the connection that is left, and takes no other.
        until(lambda: not _listens(own), "the door is shut", 0.5 * DRAINING_PATIENCE_S)
        assert own.process.poll() is None
        late.close()
    assert own.wait() == 0


def _listens(node: Node) -> bool:
    try:
        RawHttp(node.address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_events_tell_of_the_drain_and_end(own: Node) -> None:
    with reader_at(own, 0) as events, provider_at(own, 0) as provider:
        own.signal(signal.SIGTERM)
        assert provider.ws.close_code() == 4503
        assert events.of(provider.id)[0] == "open"
        assert events.of(provider.id) == ("close", {"id": provider.id, "reason": "drained"})
        assert events.http.rest() == b""
    assert own.wait() == 0


def test_ctrl_c_is_heard_once(tmp_path: Path) -> None:
    """A terminal sends it to the whole process group in front, of which workers are no part."""
    main, side = pty.openpty()
    settings = {"workers": 2, **DRAINING}
    process = subprocess.Popen(
        command(tmp_path / "state", settings),
        env=environment(settings),
        stdin=side,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_be_in_front,
    )
    os.close(side)
    try:
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or '"listening"' not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        os.write(main, b"\x03")
        rest = process.communicate(timeout=15)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(main)
    assert process.returncode == 0
    assert rest.count('"draining"') == 2
    assert rest.count('"hurried": false') == 2
    assert "Traceback" not in rest


def _be_in_front() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_sighup_has_every_worker_read_the_secret_again(start_node: StartNode, tmp_path: Path) -> None:
    path = secret_file(tmp_path)
    own = start_node(workers=2, mesh="127.0.0.1:0", mesh_secret_file=path)
    held = children(own)
    for pid in (*held, own.pid):
        os.kill(pid, signal.SIGHUP)
    assert sorted(line["worker"] for line in own.log.wait("mesh_trust_reloaded", count=2)) == [0, 1]
    path.write_text("nonsense\n")
    own.signal(signal.SIGHUP)
    assert sorted(line["worker"] for line in own.log.wait("mesh_trust_not_reloaded", count=2)) == [0, 1]
    assert children(own) == held
    path.write_text(f"{secret()}\n")


def test_a_stop_while_workers_start(start_node: StartNode) -> None:
    own = start_node(workers=2, ready=False)
    until(lambda: len(children(own)) == 2, "both are being started", 10.0)
    held = children(own)
    own.signal(signal.SIGTERM)
    assert own.wait(15.0) == 0
    assert not any(map(is_running, held))
    assert not own.complaints()


def test_a_stop_while_a_worker_is_started_again(own: Node) -> None:
    crew = Crew(own)
    crew.kill(1)
    own.wait_log("worker_lost")
    own.signal(signal.SIGTERM)
    assert own.wait(15.0) == 0
    assert not own.complaints()


def test_drained_workers_leave_no_descriptor_behind(start_node: StartNode) -> None:
    own = start_node(workers=2, close_timeout_s=0.2)
    crew = Crew(own)
    _renew(crew, 2)
    before = _open_files(own, crew)
    _renew(crew, 6)
    until(lambda: _open_files(own, crew) <= before, f"no more than {before} descriptors are open")


def _renew(crew: Crew, times: int) -> None:
    for _ in range(times):
        crew.signal(1, signal.SIGTERM)
        crew.replaced(1)


def _open_files(node: Node, crew: Crew) -> tuple[int, int]:
    return node.open_files(), len(list(Path(f"/proc/{crew.pids[0]}/fd").iterdir()))
