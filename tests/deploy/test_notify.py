"""``Type=notify`` without systemd: the test listens where systemd would, and hears the node itself."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import StartNode
from tests.nodes import Node
from tests.wire import RawHttp, request

WATCHDOG_S = 0.9
HEARD_S = 20.0
"""Longest wait for a word."""
PER_PERIOD = 3
"""How often a node says within the time of its watchdog that it lives."""
_CREDENTIALS = struct.Struct("3i")

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="who speaks can be seen on Linux only")


class System:
    """What the system that starts services hears."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.settimeout(HEARD_S)
        self._socket.bind(str(path))
        self.path = path

    def hear(self) -> tuple[list[str], int]:
        """The next words, and the process that says them."""
        said, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(_CREDENTIALS.size))
        [(_, _, credentials)] = ancillary
        return said.decode().split("\n"), _CREDENTIALS.unpack(credentials)[0]

    def wait_for(self, word: str, node: Node, count: int = 1) -> list[str]:
        """All words up to ``word``, which the node's own process must say. Raises: TimeoutError."""
        heard: list[str] = []
        while heard.count(word) < count:
            words, pid = self.hear()
            assert pid == node.pid, (words, pid)
            heard += words
        return heard

    def is_left_in_silence(self, node: Node, for_s: float) -> bool:
        """Whether ``node`` says no more than what was on its way, and then nothing for so long."""
        self._socket.settimeout(for_s)
        try:
            self.wait_for("WATCHDOG=1", node, count=PER_PERIOD)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


Watch = Callable[..., tuple[Node, System]]


@pytest.fixture
def watch(start_node: StartNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Start a node as systemd would."""
    systems: list[System] = []

    def start(**settings: object) -> tuple[Node, System]:
        system = System(tmp_path_factory.mktemp("n") / "s")
        systems.append(system)
        period_us = int(WATCHDOG_S * 1_000_000)
        return start_node(ready=False, NOTIFY_SOCKET=system.path, WATCHDOG_USEC=period_us, **settings), system

    yield start
    for system in systems:
        system.close()


@pytest.mark.parametrize("settings", [{}, {"workers": 2}], ids=["alone", "workers"])
def test_a_service_says_how_it_is(watch: Watch, settings: dict[str, object]) -> None:
    node, system = watch(**settings)
    before = system.wait_for("READY=1", node)
    assert "WATCHDOG=1" not in before
    node.ready()
    with RawHttp(node.address) as http:
        http.send(request("GET", "/readyz"))
        assert http.answer().status == 200
    system.wait_for("WATCHDOG=1", node, count=2 * PER_PERIOD)
    node.signal(signal.SIGTERM)
    system.wait_for("STOPPING=1", node)
    assert node.wait(20) == 0


def test_ready_is_said_once_every_door_listens(watch: Watch, tmp_path: Path) -> None:
    door = tmp_path / "door"
    node, system = watch(local=f"127.0.0.1:0,unix:{door}")
    system.wait_for("READY=1", node)
    with RawHttp(str(door)) as http:
        http.send(request("GET", "/readyz"))
        assert http.answer().status == 200


def test_a_node_that_hangs_is_silent(watch: Watch) -> None:
    node, system = watch()
    system.wait_for("WATCHDOG=1", node)
    os.kill(node.pid, signal.SIGSTOP)
    try:
        assert system.is_left_in_silence(node, 2 * WATCHDOG_S)
    finally:
        os.kill(node.pid, signal.SIGCONT)
