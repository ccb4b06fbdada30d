"""A mesh of three nodes whose processes are ended and started again, lambdas that live on them, and their callers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.meshes import secret_file
from tests.nats_servers import NatsProcess, free_ports
from tests.nodes import ROOT, Node, until

NODES = 3
READY_S = 40.0
"""Time for a node to drain, and time for one to be ready again."""
END_S = 120.0
"""Time for calls to end that are under way when nothing is broken any more."""
_NUMBERS_APART = 1_000_000


@dataclass(frozen=True)
class Size:
    """How much there is: ``lambdas`` and ``rate`` (calls a second) of all nodes together."""

    lambdas: int = 42
    rate: float = 500.0
    work_s: float = 0.02
    """How long each call takes its lambda."""
    rounds: int = 1


class Process:
    """A process of ours that works until its input ends; it prints a line before, and one after."""

    def __init__(self, module: str, *arguments: object) -> None:
        line = [sys.executable, "-m", f"tests.faults.restarts.{module}", *map(str, arguments)]
        environ = {name: text for name, text in os.environ.items() if not name.startswith("LAMBDAMESH_")}
        environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
        self._process = subprocess.Popen(
            line, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.first_line = self._process.stdout.readline()
        if not self.first_line:
            raise AssertionError(f"{module} has ended: {self._process.communicate()[1]}")

    def finish(self) -> Any:
        """End its input; return what it says last, which is JSON. It may have logged nothing."""
        out, err = self._process.communicate(timeout=END_S)
        assert (self._process.returncode, err) == (0, ""), err
        return json.loads(out)

    def kill(self) -> None:
        """End it now; safe to call twice."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Trio:
    """Three nodes that find each other by ``--peer`` or by NATS.

    ``sources`` has the source tree that each is started from, ``None`` where that is ours; it may be changed on the way.
    """

    def __init__(
        self, folder: Path, nats: NatsProcess | None, sources: Sequence[Path | None] = (None,) * NODES
    ) -> None:
        secret = secret_file(folder)
        ports = free_ports(2 * NODES)
        doors = [f"127.0.0.1:{port}" for port in ports[NODES:]]
        self.nodes: list[Node] = []
        self.sources = list(sources)
        self._settings: list[dict[str, object]] = []
        self._states = [folder / f"state{number}" for number in range(NODES)]
        for number in range(NODES):
            known: dict[str, object] = (
                {"nats": nats.url} if nats is not None else {"peer": [door for door in doors if door != doors[number]]}
            )
            self._settings.append(
                {
                    "local": f"127.0.0.1:{ports[number]}",
                    "mesh": doors[number],
                    "mesh_secret_file": secret,
                    "host_name": f"node{number}",
                    **known,
                }
            )

    def start(self) -> None:
        """Start all of them, and wait until each sees the whole mesh."""
        for number in range(NODES):
            self.nodes.append(self._start(number))
        for node in self.nodes:
            node.ready()
        for node in self.nodes:
            until(partial(_sees_all, node), "the nodes have found each other", READY_S)
            self._await_ready(node)

    def _start(self, number: int) -> Node:
        return Node(self._states[number], self._settings[number], source=self.sources[number])

    def _await_ready(self, node: Node) -> None:
        until(lambda: node.fetch("GET", "/readyz").json() == {"status": "ready"}, "the node is ready", READY_S)

    def restart(self, number: int) -> None:
        """Drain one, wait for its end, start it again as it was, and wait until it is ready."""
        node = self.nodes[number]
        node.signal(signal.SIGTERM)
        assert node.wait(READY_S) == 0, node.log.tail()
        assert not node.complaints()
        node.stop()
        self.nodes[number] = self._start(number)
        self.nodes[number].ready()
        self._await_ready(self.nodes[number])

    def stop(self) -> None:
        """End all of them. One that cannot be ended keeps no other from it."""
        with contextlib.ExitStack() as exits:
            for node in self.nodes:
                exits.callback(node.stop)
            for node in self.nodes:
                exits.callback(node.signal, signal.SIGTERM)


def _sees_all(node: Node) -> bool:
    return len(node.fetch("GET", "/peers/alive").json()) == NODES


@dataclass
class Account:
    """What became of all calls."""

    calls: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    executions: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    ids: list[str] = field(default_factory=list)
    kept_ids: list[str] = field(default_factory=list)

    def check(self, least_calls: float) -> None:
        """Raise AssertionError where a call failed, was executed twice or not at all, or a lambda has lost its id."""
        reasons = Counter(reason.partition(" after ")[0] for _, reason in self.failures)
        assert not self.failures, f"{len(self.failures)} of {self.calls} calls failed: {reasons}, {self.failures[:10]}"
        twice = {number: count for number, count in self.executions.items() if count != 1}
        assert not twice, f"{len(twice)} calls were executed more than once: {list(twice.items())[:10]}"
        assert len(self.executions) == self.calls
        assert self.kept_ids == self.ids
        assert len(set(self.ids)) == len(self.ids)
        assert self.calls >= least_calls, "the callers were not able to make as many calls as they should"


def roll(trio: Trio, folder: Path, size: Size, *, is_bare: bool = False) -> Account:
    """Restart each node of a mesh in turn while it is called; ``is_bare``: by callers that speak HTTP and know it all.

    Each node has its part of the lambdas and of the callers, by processes that stay.
    """
    account = Account()
    with contextlib.ExitStack() as exits:

        def run(module: str, *arguments: object) -> Process:
            process = Process(module, *arguments)
            exits.callback(process.kill)
            return process

        urls = [node.url for node in trio.nodes]
        ledgers = [folder / f"executed{number}" for number in range(NODES)]
        each = size.lambdas // NODES
        providers = [run("provider", url, each, ledger, size.work_s) for url, ledger in zip(urls, ledgers, strict=True)]
        account.ids = [known for provider in providers for known in json.loads(provider.first_line)]
        callers = []
        for number, url in enumerate(urls):
            first = (number + 1) * _NUMBERS_APART
            known = json.dumps(account.ids)
            places = json.dumps(urls[number:] + urls[:number]) if is_bare else url
            callers.append(run("http_caller" if is_bare else "caller", places, known, size.rate / NODES, first))
        for _ in range(size.rounds):
            for number in range(NODES):
                trio.restart(number)
        for caller in callers:
            _add(account, caller.finish())
        account.kept_ids = [known for provider in providers for known in provider.finish()]
    for ledger in ledgers:
        account.executions.update(map(int, ledger.read_text().split()))
    return account


def _add(account: Account, told: dict[str, Any]) -> None:
    account.calls += told["calls"]
    account.failures += [(number, reason) for number, reason in told["failures"]]
    account.slowest_s = max(account.slowest_s, told["slowest_s"])


@contextlib.contextmanager
def trio_in(folder: Path, *, by_nats: bool, sources: Sequence[Path | None] = (None,) * NODES) -> Iterator[Trio]:
    """Three nodes, and a NATS server where they meet there, for as long as the block lasts."""
    with contextlib.ExitStack() as exits:
        nats: NatsProcess | None = None
        if by_nats:
            nats = NatsProcess(folder / "nats")
            exits.callback(nats.kill)
            nats.start()
        trio = Trio(folder, nats, sources)
        exits.callback(trio.stop)
        trio.start()
        yield trio
