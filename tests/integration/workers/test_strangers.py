"""Whoever says at the mesh door that it wants some worker: a node gets there, a stranger nowhere, and soon."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lambdamesh.links.preamble import preamble
from tests.integration.mesh.strangers import Stranger, context_of, knock, place, refusals
from tests.integration.workers.crew import Crew, children, entry, is_whole
from tests.meshes import secret_file
from tests.nodes import Node, until

HELLO_S = 1.0
"""What whoever knocks has to say who it is."""
MACHINE = 0x5A5A5A5A
LONGEST_S = HELLO_S + 6.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("strangers")
    settings = {"mesh": "127.0.0.1:0", "mesh_secret_file": secret_file(folder), "workers": 2, "link_hello_s": HELLO_S}
    node = Node(folder / "state", settings).ready()
    yield node
    assert not node.complaints()
    assert not [line for line in node.logs if line.get("event") == "worker_lost"]
    node.stop()


class Wanting(Stranger):
    """A node that wants one worker, named before TLS."""

    @classmethod
    def of(cls, node: Node, worker: int) -> Wanting:
        secret = Path(str(node.settings["mesh_secret_file"])).read_text("ascii").strip()
        return cls(node, context_of(secret, MACHINE), MACHINE, worker)

    def __init__(self, node: Node, context: ssl.SSLContext, machine: int, worker: int) -> None:
        self.machine = machine
        plain = knock(node)
        self.source = plain.getsockname()[0]
        for byte in preamble(worker):
            # As slowly as the network may bring it.
            plain.sendall(bytes((byte,)))
        try:
            self.tls = context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        self._buffer = b""


@pytest.mark.parametrize("worker", [0, 1])
def test_a_node_comes_to_the_worker_that_it_wants(own: Node, worker: int) -> None:
    for _ in range(6):
        with Wanting.of(own, worker) as node:
            hello = node.met()
            assert (hello["worker"], hello["workers"], hello["machine"]) == (worker, 2, own.machine_id)


def test_one_that_wants_a_worker_that_there_is_not_comes_to_another(own: Node) -> None:
    with Wanting.of(own, 63) as node:
        assert node.met()["worker"] in (0, 1)


def _is_ended(sock: socket.socket) -> bool:
    sock.settimeout(LONGEST_S)
    try:
        while sock.recv(1 << 12):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "words",
    [
        preamble(0) + preamble(1),
        preamble(1) + preamble(0),
        (preamble(0) + preamble(1)) * 500,
        preamble(1)[:-1],
        preamble(1)[:5],
        preamble(1),
        preamble(1) + b"GET / HTTP/1.1\r\n\r\n",
        preamble(200) + b"\x16\x03\x01",
        b"l" * 40,
    ],
    ids=[
        "twice",
        "twice the other",
        "often",
        "all but its end",
        "its beginning",
        "alone",
        "http",
        "nobody",
        "nonsense",
    ],
)
def test_a_stranger_is_turned_away_by_whoever_has_it(own: Node, words: bytes) -> None:
    with knock(own) as sock:
        sock.sendall(words)
        assert _is_ended(sock)
        source = sock.getsockname()[0]
    until(lambda: refusals(own, source), "it is in the log")
    assert len(refusals(own, source)) == 1


def test_one_that_goes_on_wanting_others_has_no_more_time_than_anybody(own: Node) -> None:
    """Each worker that it comes to would give it the time of a newcomer, were it handed on again and again."""
    with knock(own) as sock:
        sock.settimeout(0.2)
        said = 0
        try:
            while said < 100:
                sock.sendall(preamble(said % 2))
                said += 1
                try:
                    if not sock.recv(100):
                        break
                except TimeoutError:
                    continue
        except ConnectionError:
            pass
        assert said < LONGEST_S / 0.2


def test_a_crowd_that_wants_one_worker_costs_nobody_else_anything(own: Node) -> None:
    crew = Crew(own)
    before = own.open_files()
    with ExitStack() as stack:
        crowd = [stack.enter_context(knock(own)) for _ in range(300)]
        for number, sock in enumerate(crowd):
            sock.sendall(preamble(number % 2))
        with Wanting.of(own, 1) as node:
            assert node.met()["worker"] == 1
        assert is_whole(own)
    until(lambda: own.open_files() <= before + 2, "the supervisor has closed what it passed on")
    assert children(own) == crew.pids


def test_a_crowd_that_wants_one_that_stands_still_is_bounded(own: Node) -> None:
    crew = Crew(own)
    before = own.open_files()
    other = entry(own, 0)
    crew.signal(1, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            crowd = [stack.enter_context(_knock(own)) for _ in range(300)]
            for sock in crowd:
                sock.sendall(preamble(1))
            assert other.ask("GET", "/healthz").status == 200
            assert own.open_files() - before < 250
    finally:
        crew.signal(1, signal.SIGCONT)
    other.close()
    until(lambda: is_whole(own), "it goes on", 15.0)
    until(lambda: own.open_files() <= before + 2, "all are closed", 15.0)


def _knock(node: Node) -> socket.socket:
    return socket.create_connection(place(node.mesh_address), LONGEST_S)
