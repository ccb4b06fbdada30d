"""What is measured: the node and its peers, each started once and kept until the run is over."""

import contextlib
import http.client
import os
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bench.peers import nats_server, nginx
from bench.processes import PYTHON, Child, Core, Cores, StartError

SMALL = '{"hello":"world"}'
PROVEN_WITHIN_S = 20.0
SOME_ID = "rhowRuuCUoE5vlcA"


def body_of(size_bytes: int) -> str:
    """A JSON string of exactly that many bytes."""
    return '"' + "x" * (size_bytes - 2) + '"'


@dataclass(frozen=True)
class Subject:
    """Something that answers calls.

    `further` are processes behind the one that is asked, such as the second node of a hop. Providers connect at
    `provider_port`, where that is not the port at which calls are made.
    """

    name: str
    port: int
    process: Child
    lambda_id: str = SOME_ID
    provider: Child | None = None
    further: tuple[Child, ...] = ()
    provider_port: int = 0
    provider_module: str = "bench.load.provider"

    @property
    def path(self) -> str:
        """Where its lambda is called."""
        return f"/lambda/{self.lambda_id}/test"

    def ask(self, verb: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(verb, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()

    def figures(self, *names: str) -> list[float]:
        """What its metrics say; 0 for one that it has not."""
        lines = self.ask("GET", "/metrics")[1].decode().splitlines()
        said = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return [float(said.get(name, 0)) for name in names]

    def count(self) -> int:
        """How many lambdas it has."""
        status, body = self.ask("GET", "/lambda?count")
        if status != 200:
            raise StartError(f"{self.name} answered {status} to GET /lambda?count: {body[:300]!r}")
        return int(msgspec.json.decode(body)["count"])

    def wait_for_count(self, wanted: int, timeout_s: float = 30) -> int:
        """Waits until it has so many lambdas; how many it has then, or when the time is over."""
        give_up_at = time.monotonic() + timeout_s
        while (count := self.count()) != wanted and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return count


@dataclass
class Stage:
    """Starts subjects on the node's core and keeps those that cases share. Use it in a `with`."""

    cores: Cores
    folder: Path = field(init=False)
    _exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _kept: dict[tuple[str, str], Subject] = field(default_factory=dict)
    _started: int = 0

    def __enter__(self) -> "Stage":
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def has(self, name: str) -> bool:
        """Whether the subject can be started on this machine."""
        return name not in REQUIRED or REQUIRED[name]()

    def kept(self, name: str, body: str) -> Subject:
        """The subject, ready to answer a call that has this body; started when first asked for."""
        key = (name, body if name in CONSTANT else "")
        if key not in self._kept:
            self._kept[key] = self._exits.enter_context(self.fresh(name, body))
        return self._kept[key]

    @contextlib.contextmanager
    def fresh(self, name: str, body: str = SMALL, provided: bool = True) -> Iterator[Subject]:
        """A new one, ended afterwards; with a provider unless there is no need of one."""
        with contextlib.ExitStack() as exits:
            subject = STARTERS[name](self, exits, body)
            if provided and name not in CONSTANT:
                subject = self.provide(subject, exits)
            if provided:
                self._prove(subject, body)
            yield subject

    def new_folder(self) -> Path:
        """An empty one that is deleted in the end."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def new_secret(self) -> Path:
        """A file with the secret of a new mesh."""
        path = self.new_folder() / "mesh.secret"
        path.touch(0o600)
        path.write_text(f"lms1_{urlsafe_b64encode(os.urandom(32)).rstrip(b'=').decode()}\n")
        return path

    def child(self, exits: contextlib.ExitStack, name: str, command: list[str], core: Core) -> Child:
        """A process that ends with `exits`."""
        self._started += 1
        child = Child(f"{name}-{self._started}", command, core, self.folder)
        exits.callback(child.stop)
        return child

    def on_node_core(self, exits: contextlib.ExitStack, name: str, command: list[str]) -> Child:
        """A process where the node belongs."""
        return self.child(exits, name, command, self.cores.node)

    def provide(self, subject: Subject, exits: contextlib.ExitStack, module: str = "") -> Subject:
        """The subject with a provider that ends with `exits`: a module that takes a port and prints an id."""
        module = module or subject.provider_module
        command = [PYTHON, "-m", module, str(subject.provider_port or subject.port)]
        provider = self.child(exits, f"provider-of-{subject.name}", command, self.cores.load)
        lambda_id = str(provider.wait_for("id")["id"])
        return replace(subject, lambda_id=lambda_id, provider=provider)

    def _prove(self, subject: Subject, body: str) -> None:
        """One call must be answered with its body, soon."""
        answer: Any = None
        give_up_at = time.monotonic() + PROVEN_WITHIN_S
        while time.monotonic() < give_up_at:
            with contextlib.suppress(OSError):
                answer = subject.ask("POST", subject.path, body)
                if answer == (200, body.encode()):
                    return
            time.sleep(0.05)
        raise StartError(f"{subject.name} answers a call with {str(answer)[:500]}")


def _start_node(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    node = serving(stage, exits)
    return Subject("node", local_port(node), node)


def _start_hop(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    """Two nodes on the node's core, mutual TLS between them; calls enter the one, the lambda is at the other."""
    holder, entry = islice(start_mesh(stage, exits), 2)
    return Subject("hop", entry.port, entry.process, further=(holder.process,), provider_port=holder.port)


def serving(stage: Stage, exits: contextlib.ExitStack, *flags: str, core: Core | None = None) -> Child:
    """A node as a user starts it, with more flags; on the node's core unless another is named."""
    state = str(stage.new_folder())
    command = [PYTHON, "-m", "lambdamesh", "serve", "--local", "127.0.0.1:0", "--state", state, "--log-format", "json"]
    return stage.child(exits, "node", [*command, *flags], stage.cores.node if core is None else core)


def mesh_flags(secret: Path) -> list[str]:
    """What makes a node one of a mesh."""
    return ["--mesh", "127.0.0.1:0", "--mesh-secret-file", str(secret)]


def start_mesh(stage: Stage, exits: contextlib.ExitStack) -> Iterator[Subject]:
    """One node after the other with one secret, of which each but the first knows the first by `--peer`."""
    flags = mesh_flags(stage.new_secret())
    while True:
        process = serving(stage, exits, *flags)
        address = listening_at(process, "mesh")
        if "--peer" not in flags:
            flags += ["--peer", address]
        yield Subject("node", local_port(process), process)


def _start_constant(stage: Stage, exits: contextlib.ExitStack, body: str) -> Subject:
    process = stage.on_node_core(exits, "constant", [PYTHON, "-m", "bench.constant", body])
    return Subject("constant", local_port(process), process)


def local_port(node: Child) -> int:
    """Of its local door."""
    return int(listening_at(node, "local").rpartition(":")[2])


def listening_at(node: Child, door: str) -> str:
    """From the node's log."""
    while (line := node.wait_for("event")).get("door") != door or line["event"] != "listening":
        pass
    return str(line["address"])


def _start_aiohttp(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    process = stage.on_node_core(exits, "aiohttp", [PYTHON, "-m", "bench.peers.aiohttp_node"])
    return Subject("aiohttp", int(str(process.wait_for("port")["port"])), process)


def _start_nginx(stage: Stage, exits: contextlib.ExitStack, body: str) -> Subject:
    command, port = nginx.prepare(stage.new_folder(), body)
    return Subject("nginx", port, stage.on_node_core(exits, "nginx", command))


def _start_nats_gateway(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    """Three servers that are a cluster and an HTTP server in front, all on the node's core."""
    names = ("one", "two", "three")
    routes = nats_server.free_ports(len(names))
    servers = []
    for name, route in zip(names, routes, strict=True):
        command, port, monitor = nats_server.prepare(stage.new_folder(), nats_server.cluster(route, routes), name)
        servers.append((stage.on_node_core(exits, f"nats-{name}", command), port, monitor))
    for _, _, monitor in servers:
        nats_server.wait_until_well(monitor)
    first, second = servers[0][1], servers[1][1]
    gateway = stage.on_node_core(exits, "nats-gateway", [PYTHON, "-m", "bench.peers.nats_gateway", str(first)])
    port = int(str(gateway.wait_for("port")["port"]))
    further = tuple(child for child, _, _ in servers)
    return Subject(
        "nats_gateway",
        port,
        gateway,
        further=further,
        provider_port=second,
        provider_module="bench.peers.nats_provider",
    )


REQUIRED: dict[str, Callable[[], bool]] = {
    "nginx": nginx.is_installed,
    "nats_gateway": nats_server.is_installed,
}
CONSTANT = {"constant", "nginx"}
STARTERS: dict[str, Callable[[Stage, contextlib.ExitStack, str], Subject]] = {
    "node": _start_node,
    "hop": _start_hop,
    "constant": _start_constant,
    "aiohttp": _start_aiohttp,
    "nginx": _start_nginx,
    "nats_gateway": _start_nats_gateway,
}
