"""Peers by hand: TLS with whatever certificate the test has, and frames of links as the test writes them."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lambdamesh.access.mesh_ca import Credentials, MeshCa
from lambdamesh.access.mesh_contexts import arm, new_context
from lambdamesh.access.mesh_secret import parse_secrets
from lambdamesh.ids import machine_id_text
from lambdamesh.protocol.link_frames import HEAD, HEAD_BYTES, Hello, Kind, count_frame, frame, topic_frame
from tests.nodes import LogLine, Node, until
from tests.organisation import Issued
from tests.wire import Closing

WAIT_S = 8.0
HELLO_S = 1.0
"""What the nodes that strangers knock at wait for a hello."""
_sources = (f"127.1.{number // 250}.{number % 250 + 1}" for number in itertools.count())
_machines = itertools.count(0x77000000)


class Frame(NamedTuple):
    """One frame off the wire."""

    kind: int
    number: int
    payload: bytes


class Ended(AssertionError):
    """The other side has ended the connection where a frame was due."""


def place(address: str) -> tuple[str, int]:
    """``host:port`` taken apart."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def knock(node: Node) -> socket.socket:
    """A connection to the mesh door from an address of loopback that nobody else has: its log lines are its own."""
    sock = socket.create_connection(place(node.mesh_address), WAIT_S, source_address=(next(_sources), 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def refusals(node: Node, source: str) -> list[LogLine]:
    """What the node has logged of whoever knocked from ``source``."""
    return [line for line in node.logs if line.get("event") == "link_refused" and line.get("peer") == source]


def the_refusal(node: Node, source: str) -> str:
    """Wait for the one line that the node logs of whoever knocked from ``source``; why it was turned away."""
    until(lambda: refusals(node, source), "it is in the log", WAIT_S)
    # What comes later in the log was written later: one more line about it would be there.
    marker = knock(node)
    marker_source = marker.getsockname()[0]
    marker.sendall(b"marker\n" * 3)
    until(lambda: refusals(node, marker_source), "the marker is in the log", WAIT_S)
    marker.close()
    [line] = refusals(node, source)
    return str(line["why"])


def context_of(secret: str, machine: int) -> ssl.SSLContext:
    """What a node of that machine with this secret has for dialling."""
    ca = MeshCa(parse_secrets(secret, "the test")[0])
    return _unasking(arm(new_context(is_server=False), [ca.certificate], ca.issue(machine)))


def context_with(ca_pem: bytes, issued: Issued) -> ssl.SSLContext:
    """The same with a certificate of an organisation."""
    chain = tuple(x509.load_pem_x509_certificates(issued.chain))
    own = Credentials(chain, load_pem_private_key(issued.key, None))
    return _unasking(arm(new_context(is_server=False), x509.load_pem_x509_certificates(ca_pem), own))


def _unasking(context: ssl.SSLContext) -> ssl.SSLContext:
    """Whom the node trusts is what is tested, and not whom the stranger does."""
    context.verify_mode = ssl.CERT_NONE
    return context


class Stranger(Closing):
    """One connection to the mesh door of a node, over TLS. ``source`` is the address that it comes from."""

    @classmethod
    def with_secret(cls, node: Node, secret: str | Path, machine: int | None = None) -> Self:
        """One that has a secret of the mesh (that in a file, or the first of several)."""
        text = secret.read_text("ascii").split()[0] if isinstance(secret, Path) else secret
        machine = machine or next(_machines)
        return cls(node, context_of(text, machine), machine)

    def __init__(self, node: Node, context: ssl.SSLContext, machine: int) -> None:
        self.machine = machine
        plain = knock(node)
        self.source: str = plain.getsockname()[0]
        try:
            self.tls = context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        self._buffer = b""
        self._farewell = ""

    def close(self) -> None:
        self.tls.close()

    def send(self, data: bytes) -> None:
        self.tls.sendall(data)

    def greet(self, behind: bytes = b"", **members: Any) -> None:
        """Say hello, with ``members`` in place of what is proper, and frames right ``behind`` it."""
        hello = Hello(machine=machine_id_text(self.machine), instance=f"by-hand-{self.source}", host="stranger")
        self.send(frame(Kind.HELLO, 0, msgspec.json.encode(msgspec.structs.replace(hello, **members))) + behind)

    def met(self, **members: Any) -> Mapping[str, Any]:
        """Say hello and know that the node has taken it: it answers a ping behind it. What the node said in its own."""
        self.greet(**members)
        hello: Mapping[str, Any] = json.loads(self.next(Kind.HELLO).payload)
        self.settle()
        return hello

    def settle(self, number: int = 4242) -> None:
        """Wait until the node has read all that was sent."""
        self.send(frame(Kind.PING, number))
        while self.next(Kind.PONG).number != number:
            pass

    def has_parted(self, number: int = 4243) -> str:
        """Have the node read all that was sent; why it has said goodbye before it answered, or an empty text."""
        try:
            if not self._farewell:
                self.settle(number)
        except Ended:
            if not self._farewell:
                raise
        return self._farewell

    def tell(self, topic: str, words: object) -> None:
        self.send(topic_frame(Kind.TELL, 7, topic, msgspec.json.encode(words)))

    def next(self, kind: Kind | None = None) -> Frame:
        """The next frame, of that ``kind``; pings are answered meanwhile. Raises: Ended."""
        while True:
            found = self._frame()
            if found.kind == Kind.GOODBYE:
                self._farewell = str(json.loads(found.payload)["why"])
            if found.kind == Kind.PING and kind != Kind.PING:
                self.send(count_frame(Kind.PONG, found.number, 0))
            elif kind is None or found.kind == kind:
                return found

    def _frame(self) -> Frame:
        size, kind, number = HEAD.unpack(self._exactly(HEAD_BYTES))
        return Frame(kind, number, self._exactly(size + 4 - HEAD_BYTES))

    def _exactly(self, size_bytes: int) -> bytes:
        while len(self._buffer) < size_bytes:
            piece = self._some()
            if not piece:
                raise Ended(f"it ended after {len(self._buffer)} of {size_bytes} bytes")
            self._buffer += piece
        found, self._buffer = self._buffer[:size_bytes], self._buffer[size_bytes:]
        return found

    def _some(self) -> bytes:
        try:
            return self.tls.recv(1 << 16)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError):
            return b""

    def goodbye(self) -> str:
        """Wait for the other side's goodbye and the end behind it; why it was said."""
        why = str(json.loads(self.next(Kind.GOODBYE).payload)["why"])
        self.ended()
        return why

    def ended(self) -> bytes:
        """Wait until the other side ends the connection; what it said before."""
        rest = self._buffer
        while piece := self._some():
            rest += piece
        return rest
