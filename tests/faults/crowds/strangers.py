"""Those that hold a node up: readers that do not read, and connections that never get beyond their first bytes."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from tests.integration.mesh.strangers import place
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import WebSocket
from tests.wire import Closing, RawHttp, dial, request

BIG = b'"' + b"x" * (1 << 20) + b'"'
"""An answer that a reader who does not read leaves with the node."""
BODY = b'"' + b"z" * (1 << 18) + b'"'
"""What a provider who does not read leaves with the node, several times."""
CALLED = 8
"""So often is it called: the system's buffers take the most of that off the node."""
ITEM = b'"' + b"y" * 60_000 + b'"'
SMALL_BUFFER_BYTES = 4096
HALF_HEAD = b"POST /lambda/AAAAAAAAAAAAAAAA/m HTTP/1.1\r\nHost: local"
HALF_TLS = b"\x16\x03\x01\x01\x00\x01\x00"
"""The begin of a TLS handshake."""
ASKED = 8
"""Calls with something big that each makes, or has to read, one behind the other."""
OF_ONE = 60
"""Half handshakes at the mesh door from one address: fewer than it lets one have."""
_addresses = (f"127.2.{number // 250}.{number % 250 + 1}" for number in itertools.count())


class Strangers(Closing):
    """So many of each kind at ``node``, as long as they are let. ``big_id`` answers ``large`` with ``BIG``."""

    def __init__(self, node: Node, big_id: str, counting_id: str) -> None:
        self._node = node
        self._big_id = big_id
        self._counting_id = counting_id
        self._held = ExitStack()

    def close(self) -> None:
        """Let go of all of them."""
        self._held.close()

    def stuck(self, count: int) -> None:
        """Readers that do not read: of answers, over HTTP and `/connect`, of streams, and of calls."""
        kinds: list[Callable[[], None]] = [self._caller, self._on_connect, self._of_stream, self._provider]
        for _, kind in zip(range(count), itertools.cycle(kinds), strict=False):
            kind()

    def half_open(self, count: int) -> None:
        """Connections that say nothing, half a head, or half of a TLS handshake."""
        for number in range(count * 9 // 10):
            sock = self._held.enter_context(dial(self._node.address))
            if number % 2:
                sock.sendall(HALF_HEAD)
        for source in itertools.islice(self._sources(), count // 10):
            sock = socket.create_connection(place(self._node.mesh_address), 10.0, source_address=(source, 0))
            self._held.enter_context(sock).sendall(HALF_TLS)

    @staticmethod
    def _sources() -> Iterator[str]:
        for address in _addresses:
            yield from itertools.repeat(address, OF_ONE)

    # -- readers ------------------------------------------------------------------------------------------------

    def _caller(self) -> None:
        http = self._held.enter_context(RawHttp(self._node.address, SMALL_BUFFER_BYTES))
        http.send(request("POST", f"/lambda/{self._big_id}/large", b"1") * ASKED)

    def _on_connect(self) -> None:
        ws = WebSocket.open(self._node.address, "/connect", receive_buffer_bytes=SMALL_BUFFER_BYTES)
        self._held.enter_context(ws)
        # One: of the answers to calls side by side the node has to keep all.
        ws.send(b'{"id":1,"method":"POST /lambda/%b/large","params":[1]}' % self._big_id.encode())

    def _of_stream(self) -> None:
        http = self._held.enter_context(RawHttp(self._node.address, SMALL_BUFFER_BYTES))
        wants = [("Accept", "application/x-ndjson")]
        http.send(request("POST", f"/lambda/{self._counting_id}/count", b"100000", wants))

    def _provider(self) -> None:
        stuck = self._held.enter_context(Provider(self._node.address, receive_buffer_bytes=SMALL_BUFFER_BYTES)).accept()
        for _ in range(CALLED):
            http = self._held.enter_context(RawHttp(self._node.address))
            http.send(request("POST", f"/lambda/{stuck.id}/m", BODY, [("Connection", "close")]))


def big_or_echo(method: str, body: bytes) -> bytes:
    """What the provider of the big answers does."""
    return BIG if method == "large" else body
