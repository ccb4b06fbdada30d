"""Real NATS servers in processes of their own, on loopback: alone, as a cluster, with every kind of credentials.

Only processes started here are ever signalled, by their own id. Every wait is bounded.
"""

from __future__ import annotations

import atexit
import base64
import binascii
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambdamesh.directory.nats_key import NatsKey
from tests.nodes import until

USER, ACCOUNT, OPERATOR = 20 << 3, 0, 14 << 3
"""Whose key it is, as seeds and public keys of NATS say it."""
SERVER = Path(sys.executable).parent / "nats-server"
START_S = 60.0


def seed_of(kind: int, secret: bytes) -> str:
    """Write the seed of a key from its 32 secret bytes, as the tools of NATS do."""
    body = bytes((18 << 3 | kind >> 5, (kind & 0x1F) << 3)) + secret
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class NatsProcess:
    """One server. ``config`` is what its configuration has beside ports and store; it keeps its port for life."""

    def __init__(
        self,
        directory: Path,
        config: str = "",
        *,
        has_jetstream: bool = True,
        name: str = "alone",
        scheme: str = "nats",
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.name = name
        self.scheme = scheme
        self.port, self._monitor = free_ports(2)
        self._config = config
        self._has_jetstream = has_jetstream
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.place}"

    def start(self, *, is_ready: bool = True) -> NatsProcess:
        """Start it, and wait until it serves (``is_ready``: JetStream too)."""
        path = self.directory / "server.conf"
        store = f'jetstream {{ store_dir: "{self.directory / "store"}" }}' if self._has_jetstream else ""
        path.write_text(
            f'server_name: "{self.name}"\nlisten: "{self.place}"\nhttp: "127.0.0.1:{self._monitor}"\n{store}\n{self._config}\n'
        )
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([str(SERVER), "-c", str(path)], stdout=log, stderr=log)
        atexit.register(self.kill)
        if is_ready:
            self.ready()
        return self

    def ready(self) -> None:
        """Wait until it is well."""
        until(self._is_well, f"NATS is well:\n{self.log()}", START_S)

    def _is_well(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"NATS has ended:\n{self.log()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def log(self) -> str:
        """The end of what it has written."""
        path = self.directory / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def connections(self) -> int:
        """How many clients it has now."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/connz", timeout=1) as answer:
            return int(json.load(answer)["num_connections"])

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP makes it mute, with its connections open."""
        assert self._process is not None
        self._process.send_signal(number)

    def wipe(self) -> None:
        """Empty the store of a server that has ended."""
        shutil.rmtree(self.directory / "store", ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        atexit.unregister(self.kill)


class Cluster:
    """Three servers that are one."""

    def __init__(self, directory: Path) -> None:
        names = ("one", "two", "three")
        routes = free_ports(len(names))
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.servers = {
            name: NatsProcess(
                directory / name,
                f'cluster {{ name: "three", listen: "127.0.0.1:{port}", routes: [{others}] }}',
                name=name,
            )
            for name, port in zip(names, routes, strict=True)
        }

    def start(self) -> Cluster:
        for server in self.servers.values():
            server.start(is_ready=False)
        for server in self.servers.values():
            server.ready()
        return self

    @property
    def urls(self) -> str:
        return ",".join(server.url for server in self.servers.values())

    def kill(self) -> None:
        for server in self.servers.values():
            server.kill()


# -- credentials ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A key pair of NATS."""

    seed: str
    public: str

    @classmethod
    def make(cls, prefix: int) -> Key:
        seed = seed_of(prefix, secrets.token_bytes(32))
        return cls(seed, NatsKey(seed).public)

    def sign(self, text: str) -> bytes:
        return NatsKey(self.seed).sign(text.encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _jwt(issuer: Key, subject: Key, nats: dict[str, Any], **claims: object) -> str:
    body = {"jti": secrets.token_hex(8), "iat": int(time.time()), "iss": issuer.public, "sub": subject.public}
    body |= {"name": "test", "nats": {"version": 2, **nats}, **claims}
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    text = f"{_base64url(json.dumps(head).encode())}.{_base64url(json.dumps(body).encode())}"
    return f"{text}.{_base64url(issuer.sign(text))}"


class Operator:
    """An operator with a system account and one account, whose users have ``.creds`` files."""

    def __init__(self) -> None:
        self._operator = Key.make(OPERATOR)
        self._account = Key.make(ACCOUNT)
        self._system = Key.make(ACCOUNT)

    def config(self) -> str:
        """What the server's configuration says of it."""
        limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1}
        limits["leaf"] = -1
        stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        operator = _jwt(self._operator, self._operator, {"type": "operator", "system_account": self._system.public})
        system = _jwt(self._operator, self._system, {"type": "account", "limits": limits})
        account = _jwt(self._operator, self._account, {"type": "account", "limits": limits | stores})
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {self._system.public}: {system}, {self._account.public}: {account} }}\n"
        )

    def creds(self, **claims: object) -> str:
        """The text of a ``.creds`` file of a new user."""
        user = Key.make(USER)
        jwt = _jwt(self._account, user, {"type": "user", "subs": -1, "data": -1, "payload": -1}, **claims)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
