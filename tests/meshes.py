"""Several real nodes that form a mesh on loopback: started together, each known to the others."""

from __future__ import annotations

import contextlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.nodes import Node, until
from tests.wire import Headers

JOIN_S = 15.0
"""Time for nodes to find each other."""


def secret() -> str:
    """A secret of a mesh, as the command line makes them."""
    return "lms1_" + urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def secret_file(folder: Path, *lines: str) -> Path:
    """A file with secrets, one of its own if none is given."""
    path = folder / "mesh.secret"
    path.touch(0o600)
    path.write_text("".join(f"{line}\n" for line in lines or (secret(),)), "ascii")
    return path


class Mesh:
    """Nodes with one secret, each of which knows the first by ``--peer``. ``folder`` has their state and the secret."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.secret_file = secret_file(folder)
        self.settings = settings
        self.nodes: list[Node] = []

    def start(self, count: int) -> Mesh:
        """Start so many nodes, one after the other, and wait until each has a link to the first."""
        for _ in range(count):
            self.add()
        for node in self.nodes[1:]:
            self.await_link(node, self.nodes[0])
        return self

    def add(self, **more: object) -> Node:
        """Start one more node."""
        number = len(self.nodes) + 1
        settings: dict[str, object] = {
            "mesh": "127.0.0.1:0",
            "mesh_secret_file": self.secret_file,
            "host_name": f"node{number}",
            **({"peer": self.nodes[0].mesh_address} if self.nodes else {}),
            **self.settings,
            **more,
        }
        node = Node(self.folder / f"state{number}", settings)
        self.nodes.append(node)
        return node.ready()

    def restart(self, node: Node) -> Node:
        """Start a node that has ended again, where it was: same state, same addresses."""
        local = f"{node.host}:{node.port}"
        other = Node(node.state, node.settings | {"local": local, "mesh": node.mesh_address})
        self.nodes[self.nodes.index(node)] = other
        return other.ready()

    def await_link(self, node: Node, other: Node) -> None:
        """Wait until ``node`` has a link to ``other``."""
        until(lambda: peer_row(node, other.machine_id).get("state") == "up", "a link", JOIN_S)

    def stop(self) -> None:
        """End all of them."""
        for node in self.nodes:
            node.stop()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)


@contextlib.contextmanager
def mesh(folder: Path, count: int, **settings: object) -> Iterator[Mesh]:
    """A mesh of ``count`` nodes for as long as the block lasts."""
    running = Mesh(folder, **settings)
    try:
        yield running.start(count)
    finally:
        running.stop()


def peers(node: Node) -> list[dict[str, Any]]:
    """What a node says of all nodes."""
    rows: list[dict[str, Any]] = node.fetch("GET", "/peers").json()
    return rows


def peer_row(node: Node, machine_id: str) -> dict[str, Any]:
    """What a node says of one; nothing where it does not know it."""
    return next((row for row in peers(node) if row["machine_id"] == machine_id), {})


def counters(node: Node) -> dict[str, float]:
    """The metrics of a node without labels."""
    return counters_in(node.fetch("GET", "/metrics").body)


def counters_in(text: bytes) -> dict[str, float]:
    """The same, of what `/metrics` has answered."""
    lines = text.decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("lambdamesh_")]
    return {name.removeprefix("lambdamesh_").removesuffix("_total"): float(value) for name, value in pairs}


def call(node: Node, lambda_id: str, method: str = "m", body: bytes = b"1", headers: Headers = ()) -> tuple[int, Any]:
    """Call a lambda by a node: status and JSON."""
    answer = node.fetch("POST", f"/lambda/{lambda_id}/{method}", body, headers)
    return answer.status, json.loads(answer.body)


def holders(nodes: Sequence[Node], lambda_id: str) -> list[Node]:
    """Those nodes that list a lambda as their own."""
    return [node for node in nodes if lambda_id in node.fetch("GET", "/lambda").json()]
