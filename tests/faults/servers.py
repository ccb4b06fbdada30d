"""The NATS servers of the fault suite: three that are one, reached from every host, and words that only operators say."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lambdamesh.directory.nats_bucket import STREAM
from tests.faults.network import Network
from tests.nats_servers import NatsProcess, free_ports

NAMES = ("nats1", "nats2", "nats3")
_REPLY_S = 1.0


class _Server(NatsProcess):
    """A server that listens where all hosts reach it."""

    address = "127.0.0.1"

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"


class Servers:
    """The cluster; on the switch of a network, or on loopback where there is none."""

    def __init__(self, folder: Path, network: Network | None) -> None:
        self._network = network
        self._dead: set[str] = set()
        with self._there():
            routes = free_ports(len(NAMES))
            others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
            self._servers: dict[str, _Server] = {}
            for name, port in zip(NAMES, routes, strict=True):
                config = f'cluster {{ name: "three", listen: "127.0.0.1:{port}", routes: [{others}] }}'
                self._servers[name] = _Server(folder / name, config, name=name)
                if network is not None:
                    self._servers[name].address = network.switch.address

    def _there(self) -> AbstractContextManager[None]:
        return self._network.switch.inside() if self._network is not None else contextlib.nullcontext()

    def start(self) -> Servers:
        """Start all, and wait until they are well."""
        with self._there():
            for server in self._servers.values():
                server.start(is_ready=False)
            for server in self._servers.values():
                server.ready()
        return self

    @property
    def urls(self) -> str:
        return ",".join(server.url for server in self._servers.values())

    def kill(self, name: str) -> None:
        """End one as a crash would."""
        self._dead.add(name)
        self._servers[name].kill()

    def revive(self, name: str) -> None:
        """Start one again, without waiting for it."""
        with self._there():
            self._servers[name].start(is_ready=False)
        self._dead.discard(name)

    def end(self) -> None:
        """End all of them."""
        for server in self._servers.values():
            server.kill()

    def move_leader(self) -> bool:
        """Have the leader of the bucket's stream step down; whether it did."""
        return self._asked(f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}")

    def wipe_bucket(self) -> bool:
        """Delete the bucket with all that nodes have said of themselves; whether there was one."""
        return self._asked(f"$JS.API.STREAM.DELETE.{STREAM}")

    def _asked(self, subject: str) -> bool:
        with self._there():
            living = [server for name, server in self._servers.items() if name not in self._dead]
            return any(_request(server, subject).get("success", False) for server in living[:1])


def _request(server: _Server, subject: str) -> dict[str, Any]:
    """Ask a server something, in its own words; nothing where it does not answer."""
    try:
        with socket.create_connection((server.address, server.port), _REPLY_S) as sock:
            sock.sendall(
                b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.faults 1\r\n'
                b"PUB %b _INBOX.faults 0\r\n\r\n" % subject.encode()
            )
            return next(_messages(sock), {})
    except (OSError, ValueError):
        return {}


def _messages(sock: socket.socket) -> Iterator[dict[str, Any]]:
    with sock.makefile("rb") as lines:
        for line in lines:
            if line.startswith(b"MSG "):
                yield json.loads(lines.read(int(line.split()[-1])))
