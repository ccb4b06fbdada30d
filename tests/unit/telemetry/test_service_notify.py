"""What is sent to the system that started the service, and that nothing of it can hurt."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lambdamesh.telemetry.service_notify import ServiceNotify


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path leaves room in the address of a socket."""
    return tmp_path_factory.mktemp("n")


@pytest.fixture
def reader(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5.0)
        sock.bind(str(folder / "s"))
        yield sock


@pytest.fixture
def notify(reader: socket.socket) -> ServiceNotify:
    return ServiceNotify({"NOTIFY_SOCKET": reader.getsockname()})


def test_each_word_is_one_datagram(notify: ServiceNotify, reader: socket.socket) -> None:
    notify.ready()
    notify.watchdog()
    notify.stopping()
    assert [reader.recv(4096) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_status_is_one_line_and_sets_nothing_else(notify: ServiceNotify, reader: socket.socket) -> None:
    notify.status("3 calls\nMAINPID=1\n in flight \udcff")
    assert reader.recv(4096) == b"STATUS=3 calls MAINPID=1 in flight ?"


def test_a_reload_says_when_it_began(notify: ServiceNotify, reader: socket.socket) -> None:
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
    notify.reloading()
    first, second = reader.recv(4096).decode().split("\n")
    name, _, at_us = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before_us <= int(at_us) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_socket_is_found() -> None:
    name = f"lambdamesh-{secrets.token_hex(6)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        reader.settimeout(5.0)
        reader.bind(f"\0{name}")
        ServiceNotify({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert reader.recv(4096) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "@", "/", "relative", "vsock:2:1234"])
def test_without_a_socket_nothing_happens(address: str | None) -> None:
    environ = {"WATCHDOG_USEC": "3000000"} | ({} if address is None else {"NOTIFY_SOCKET": address})
    notify = ServiceNotify(environ)
    with capture_logs() as logs:
        notify.ready()
        notify.status("all is well")
    assert not notify.is_wanted
    assert notify.watchdog_s is None
    assert logs == []


def test_a_reader_that_has_gone_is_told_of_once(folder: Path) -> None:
    notify = ServiceNotify({"NOTIFY_SOCKET": str(folder / "nobody")})
    with capture_logs() as logs:
        notify.ready()
        notify.stopping()
    assert [line["event"] for line in logs] == ["service_notify_failed"]


def test_a_path_that_is_too_long_hurts_nobody() -> None:
    with capture_logs() as logs:
        ServiceNotify({"NOTIFY_SOCKET": "/" + "x" * 300}).ready()
    assert len(logs) == 1


def test_a_reader_that_never_reads_holds_nobody_up(notify: ServiceNotify) -> None:
    with capture_logs() as logs:
        for _ in range(2_000):
            notify.watchdog()
            if logs:
                break
    assert [line["event"] for line in logs] == ["service_notify_failed"]


@pytest.mark.parametrize(
    ("period", "pid", "watchdog_s"),
    [
        ("30000000", None, 30.0),
        ("30000000", str(os.getpid()), 30.0),
        ("30000000", str(os.getppid()), None),
        ("500000", None, 0.5),
        (None, None, None),
        ("0", None, None),
        ("soon", None, None),
        ("-5", None, None),
    ],
    ids=["anybody", "this one", "another", "half a second", "unset", "zero", "no number", "negative"],
)
def test_the_watchdog_is_for_the_process_it_names(
    reader: socket.socket, period: str | None, pid: str | None, watchdog_s: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": reader.getsockname(), "WATCHDOG_USEC": period, "WATCHDOG_PID": pid}
    assert ServiceNotify({name: text for name, text in environ.items() if text}).watchdog_s == watchdog_s
