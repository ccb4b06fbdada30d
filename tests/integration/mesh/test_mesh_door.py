"""The mesh door under strangers that hold places: nodes get in meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.mesh.conftest import StartMesh
from tests.integration.mesh.mishaps import timed
from tests.integration.mesh.strangers import Stranger, knock, place, refusals
from tests.meshes import Mesh, counters, mesh
from tests.nodes import Node, until

PLACES, OF_ONE = 12, 4
AT_ONCE_S = 3.0
"""Less than the time for a hello."""
HALF = b"\x16\x03\x01\x01\x00\x01\x00"
"""The begin of a handshake."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh of one node with few places."""
    with mesh(tmp_path, 1, link_arriving=PLACES, link_arriving_address=OF_ONE) as running:
        yield running
        assert not running.nodes[0].complaints()


def ends(sock: socket.socket) -> bool:
    """Whether the node ends a connection at once."""
    sock.settimeout(AT_ONCE_S)
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def has_unread(door: Node) -> bool:
    """Whether a connection of the mesh door has bytes that the node has not taken (Linux)."""
    port = f":{int(door.mesh_address.rpartition(':')[2]):04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    # Local address, state (established), and what waits to be sent and to be read.
    return any(row[1].endswith(port) and row[3] == "01" and int(row[4].split(":")[1], 16) for row in rows)


def stays(sock: socket.socket) -> bool:
    """Whether the node has not ended a connection."""
    sock.setblocking(False)
    try:
        sock.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def knock_from(node: Node, source: str) -> socket.socket:
    return socket.create_connection(place(node.mesh_address), AT_ONCE_S, source_address=(source, 0))


def test_of_one_address_only_so_many_are_waited_for(small: Mesh) -> None:
    door = small.nodes[0]
    with ExitStack() as held:
        socks = [held.enter_context(knock_from(door, "127.9.0.1")) for _ in range(OF_ONE + 1)]
        assert ends(socks[0])
        assert all(stays(sock) for sock in socks[1:])
        until(lambda: refusals(door, "127.9.0.1"), "it is in the log")
        assert "its address" in refusals(door, "127.9.0.1")[0]["why"]
        assert counters(door)["links_refused"] == 1


def test_where_all_places_are_taken_the_oldest_that_is_silent_gives_way(small: Mesh) -> None:
    door = small.nodes[0]
    with ExitStack() as held:
        speaking = held.enter_context(knock(door))
        speaking.sendall(HALF)
        silent = [held.enter_context(knock(door)) for _ in range(PLACES - 1)]
        with Stranger.with_secret(door, small.secret_file) as node:
            _, took_s = timed(node.met)
            assert took_s < AT_ONCE_S
        assert ends(silent[0])
        assert stays(speaking)
        assert all(stays(sock) for sock in silent[1:])


def test_where_all_have_begun_a_handshake_the_oldest_gives_way(small: Mesh) -> None:
    door = small.nodes[0]
    with ExitStack() as held:
        speaking = [held.enter_context(knock(door)) for _ in range(PLACES)]
        for sock in speaking:
            sock.sendall(HALF)
        until(lambda: not has_unread(door), "it has heard all of them")
        with Stranger.with_secret(door, small.secret_file) as node:
            _, took_s = timed(node.met)
            assert took_s < AT_ONCE_S
        assert ends(speaking[0])
        assert all(stays(sock) for sock in speaking[1:])


def test_whoever_has_said_hello_takes_no_place(small: Mesh) -> None:
    door = small.nodes[0]
    with ExitStack() as held:
        nodes = [held.enter_context(Stranger.with_secret(door, small.secret_file)) for _ in range(2)]
        for node in nodes:
            node.met()
        for _ in range(3 * PLACES):
            held.enter_context(knock(door))
        for node in nodes:
            node.settle()


class Flood:
    """One stranger that opens connections as fast as it can, and says nothing."""

    def __init__(self, node: Node, says: bytes) -> None:
        self._target = place(node.mesh_address)
        self._says = says
        self._is_over = threading.Event()
        self.opened = 0
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        held: list[socket.socket] = []
        while not self._is_over.wait(0.001):
            with suppress(OSError):
                sock = socket.create_connection(self._target, AT_ONCE_S)
                held.append(sock)
                sock.sendall(self._says)
                self.opened += 1
            for sock in held[:-1000]:
                sock.close()
            del held[:-1000]
        for sock in held:
            sock.close()

    def __enter__(self) -> Flood:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(10)


@pytest.mark.parametrize("says", [b"", HALF])
def test_nodes_join_while_a_stranger_floods_the_door(start_mesh: StartMesh, says: bytes) -> None:
    """It comes from the same address as they do."""
    running = start_mesh(1)
    door = running.nodes[0]
    with Flood(door, says) as flood:
        until(lambda: flood.opened > 600, "all places were taken more than once", 20)
        node = running.add()
        _, took_s = timed(lambda: running.await_link(node, door))
        print(f"joined within {took_s:.2f} s beside {flood.opened} connections of one stranger")
        assert took_s < AT_ONCE_S
        assert door.open_files() < 100
    assert len([line for line in door.logs if str(line["event"]).startswith("link_refus")]) < 5
