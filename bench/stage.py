"""What is measured: the node and its peers, each started once and kept until the run is over."""

import contextlib
import http.client
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.peers import nginx
from bench.processes import PYTHON, Child, Cores, StartError

SMALL = '{"hello":"world"}'
SOME_ID = "rhowRuuCUoE5vlcA"


def body_of(size_bytes: int) -> str:
    """A JSON string of exactly that many bytes."""
    return '"' + "x" * (size_bytes - 2) + '"'


@dataclass(frozen=True)
class Subject:
    """Something that answers calls."""

    name: str
    port: int
    process: Child
    lambda_id: str = SOME_ID
    provider: Child | None = None

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
        return name != "nginx" or nginx.is_installed()

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
                subject = self._provide(subject, exits)
            if provided:
                self._prove(subject, body)
            yield subject

    def child(self, exits: contextlib.ExitStack, name: str, command: list[str], core: int) -> Child:
        """A process that ends with `exits`."""
        self._started += 1
        child = Child(f"{name}-{self._started}", command, core, self.folder)
        exits.callback(child.stop)
        return child

    def on_node_core(self, exits: contextlib.ExitStack, name: str, command: list[str]) -> Child:
        """A process where the node belongs."""
        return self.child(exits, name, command, self.cores.node)

    def _provide(self, subject: Subject, exits: contextlib.ExitStack) -> Subject:
        command = [PYTHON, "-m", "bench.load.provider", str(subject.port)]
        provider = self.child(exits, f"provider-of-{subject.name}", command, self.cores.load)
        lambda_id = str(provider.wait_for("id")["id"])
        return Subject(subject.name, subject.port, subject.process, lambda_id, provider)

    def _prove(self, subject: Subject, body: str) -> None:
        """One call must be answered with its body, soon."""
        answer: Any = None
        for _ in range(100):
            with contextlib.suppress(OSError):
                answer = subject.ask("POST", subject.path, body)
                if answer == (200, body.encode()):
                    return
            time.sleep(0.05)
        raise StartError(f"{subject.name} answers a call with {str(answer)[:500]}")


def _start_node(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    state = tempfile.mkdtemp(dir=stage.folder)
    command = [PYTHON, "-m", "lambdamesh", "serve", "--local", "127.0.0.1:0", "--state", state, "--log-format", "json"]
    node = stage.on_node_core(exits, "node", command)
    return Subject("node", _listening_port(node), node)


def _start_constant(stage: Stage, exits: contextlib.ExitStack, body: str) -> Subject:
    process = stage.on_node_core(exits, "constant", [PYTHON, "-m", "bench.constant", body])
    return Subject("constant", _listening_port(process), process)


def _listening_port(node: Child) -> int:
    """From the node's log."""
    while (line := node.wait_for("event"))["event"] != "listening":
        pass
    return int(str(line["address"]).rpartition(":")[2])


def _start_aiohttp(stage: Stage, exits: contextlib.ExitStack, _body: str) -> Subject:
    process = stage.on_node_core(exits, "aiohttp", [PYTHON, "-m", "bench.peers.aiohttp_node"])
    return Subject("aiohttp", int(str(process.wait_for("port")["port"])), process)


def _start_nginx(stage: Stage, exits: contextlib.ExitStack, body: str) -> Subject:
    command, port = nginx.prepare(Path(tempfile.mkdtemp(dir=stage.folder)), body)
    return Subject("nginx", port, stage.on_node_core(exits, "nginx", command))


CONSTANT = {"constant", "nginx"}
STARTERS: dict[str, Callable[[Stage, contextlib.ExitStack, str], Subject]] = {
    "node": _start_node,
    "constant": _start_constant,
    "aiohttp": _start_aiohttp,
    "nginx": _start_nginx,
}
