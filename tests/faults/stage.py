"""The stage of the ledger: nodes on hosts of their own, NATS servers, callers and providers, each a process that can die."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.faults.caller import CallerSpec
from tests.faults.judge import Ledgers
from tests.faults.ledger import calls_in, read
from tests.faults.network import MESH_PORT, Network, NoNetwork, network
from tests.faults.provider import ProviderSpec
from tests.faults.schedule import Cast
from tests.faults.servers import Servers
from tests.meshes import peers, secret_file
from tests.nats_servers import free_ports
from tests.nodes import ROOT, Node, until

LAMBDAS = 4
"""Lambdas of one provider; every second one moves."""
WINDOW = 96
READY_S = 30.0
END_S = 15.0


@dataclass(frozen=True)
class StageSpec:
    """How large it is. ``rate``: calls a second of all callers together."""

    seed: int
    workers: int = 1
    nodes: int = 3
    rate: float = 4000.0

    @property
    def providers(self) -> int:
        return self.nodes

    @property
    def callers(self) -> int:
        return 2 * self.nodes


class Actor:
    """A caller or a provider. One that was killed is started again as another run of the same name."""

    def __init__(self, name: str, run: int, module: str, spec: msgspec.Struct, folder: Path) -> None:
        self.name = name
        self.run = run
        self._errors = folder / f"{name}.{run}.errors"
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"tests.faults.{module}", msgspec.json.encode(spec).decode()],
                env=env,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait(END_S)

    def check(self) -> None:
        """Raises: AssertionError with what it said, where it has ended."""
        if self._process.poll() is not None:
            raise AssertionError(
                f"{self.name} has ended with {self._process.returncode}:\n{self._errors.read_text()[-4000:]}"
            )

    def ask_to_end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def end(self) -> None:
        """Wait for its end. Raises: AssertionError where it does not end well."""
        self.ask_to_end()
        code = self._process.wait(END_S)
        if code:
            raise AssertionError(f"{self.name} ended with {code}:\n{self._errors.read_text()[-4000:]}")

    def remove(self) -> None:
        """End it, whatever state it is in."""
        if self._process.poll() is None:
            self.kill()
        self.ask_to_end()


class Stage:
    """All processes of one run. Names are those of the schedule: ``node1``, ``provider2``, ``caller3``, ``nats1``."""

    def __init__(self, folder: Path, spec: StageSpec, net: Network | None) -> None:
        self.folder = folder
        self.spec = spec
        self.network = net
        self.servers = Servers(folder / "nats", net)
        self.nodes: dict[str, Node] = {}
        self.past_nodes: list[Node] = []
        self.actors: dict[str, Actor] = {}
        self._runs: dict[str, int] = {}
        self._settings: dict[str, dict[str, object]] = {}
        self._callers_made = 0
        self._orphans: list[int] = []
        self._has_begun = False

    @property
    def cast(self) -> Cast:
        """What there is to be broken."""
        spec = self.spec
        return Cast(spec.nodes, spec.providers, spec.callers, 3, spec.workers, self.network is not None)

    # -- beginning ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start servers, nodes and providers, and wait until every lambda is open."""
        (self.folder / "lambdas").mkdir()
        self.servers.start()
        secret = secret_file(self.folder)
        ports = free_ports(self.spec.nodes)
        for number, port in enumerate(ports, 1):
            name = f"node{number}"
            address = f"{self.network.hosts[name].address}:{MESH_PORT}" if self.network else f"127.0.0.1:{port}"
            self._settings[name] = {
                "local": f"unix:{self._door(number)}",
                "mesh": address,
                "mesh_secret_file": secret,
                "nats": self.servers.urls,
                "host_name": name,
                **({"workers": self.spec.workers} if self.spec.workers > 1 else {}),
            }
            self.start_node(name)
        for node in self.nodes.values():
            node.ready()
        until(self._all_see_all, "each node sees all others", READY_S)
        for number in range(1, self.spec.providers + 1):
            self.start_actor(f"provider{number}")
        expected = LAMBDAS * self.spec.providers
        until(lambda: self._lambdas() == expected, f"{expected} lambdas are open", READY_S)

    def _all_see_all(self) -> bool:
        rows = [peers(node) for node in self.nodes.values()]
        return all(len([row for row in some if row["alive"]]) == len(rows) for some in rows)

    def begin(self) -> None:
        """Start the callers."""
        for number in range(1, self.spec.callers + 1):
            self.start_actor(f"caller{number}")

    def _door(self, number: int) -> str:
        return str(self.folder / f"door{number}")

    def _lambdas(self) -> int:
        return len([path for path in (self.folder / "lambdas").iterdir() if path.suffix != ".new"])

    # -- processes ----------------------------------------------------------------------------------------------

    def start_node(self, name: str) -> None:
        """Start a node, again perhaps, without waiting until it listens."""
        there: AbstractContextManager[None] = self.network.hosts[name].inside() if self.network else nullcontext()
        if name in self.nodes:
            self.past_nodes.append(self.nodes[name])
        with there:
            self.nodes[name] = Node(self.folder / f"state-{name}", self._settings[name])

    def start_actor(self, name: str) -> None:
        """Start a caller or a provider, again perhaps."""
        run = self._runs[name] = self._runs.get(name, 0) + 1
        is_caller = name.startswith("caller")
        spec = self._caller(name, run) if is_caller else self._provider(name, run)
        self.actors[name] = Actor(name, run, "caller" if is_caller else "provider", spec, self.folder)

    def run_of(self, name: str) -> int:
        """Which run of a caller or a provider it is now; 0 for others."""
        return self._runs.get(name, 0)

    def _caller(self, name: str, run: int) -> CallerSpec:
        self._callers_made += 1
        number = int(name.removeprefix("caller")) - 1
        place = number % self.spec.nodes
        return CallerSpec(
            folder=str(self.folder),
            name=name,
            run=run,
            number=self._callers_made,
            path=self._door(place + 1),
            place=place,
            by_http=number >= self.spec.nodes,
            rate=self.spec.rate / self.spec.callers,
            window=WINDOW,
            seed=self.spec.seed,
        )

    def _provider(self, name: str, run: int) -> ProviderSpec:
        number = int(name.removeprefix("provider"))
        doors = [self._door(place) for place in range(1, self.spec.nodes + 1)]
        return ProviderSpec(str(self.folder), name, run, doors, number - 1, LAMBDAS, self.spec.seed)

    def processes(self) -> dict[str, list[int]]:
        """The processes of each node."""
        return {name: self.processes_of(name) for name in list(self.nodes)}

    def processes_of(self, name: str) -> list[int]:
        """The processes of a node: itself, and its workers where it has some."""
        return [self.nodes[name].pid, *self.workers_of(name)]

    def workers_of(self, name: str) -> list[int]:
        """The worker processes of a node, without what Python itself starts beside them."""
        pid = self.nodes[name].pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return []
        return [int(child) for child in children if b"resource_tracker" not in _command_of(int(child))]

    def orphan(self, name: str) -> None:
        """Keep an eye on the workers of a node whose supervisor is about to be killed: they end by themselves."""
        for pid in self.workers_of(name):
            with suppress(ProcessLookupError):
                self._orphans.append(os.pidfd_open(pid))

    # -- watching -----------------------------------------------------------------------------------------------

    def check(self, dead: set[str]) -> None:
        """Raises: AssertionError where one has ended that nobody has killed; ``dead`` are those that were."""
        for name, actor in self.actors.items():
            if name not in dead:
                actor.check()
        for name, node in self.nodes.items():
            if name not in dead and node.process.poll() is not None:
                raise AssertionError(f"{name} has ended with {node.process.returncode}:\n{node.log.tail()}")

    def calls(self) -> int:
        """About how many calls have been made and answered."""
        return sum(calls_in(path) for path in self.folder.glob("caller*.ledger"))

    def complaints(self) -> list[str]:
        """What the nodes have logged that no fault may cause."""
        nodes = [*self.past_nodes, *self.nodes.values()]
        left = [worker for worker in self._orphans if not select.select([worker], [], [], 0)[0]]
        outlived = [f"nobody: {len(left)} workers have outlived their supervisors"] if left else []
        return outlived + [f"{node.settings['host_name']}: {line}" for node in nodes for line in node.complaints()]

    def ledgers(self) -> Ledgers:
        """What has been written by all of them."""
        kinds: dict[str, dict[tuple[str, int], Iterator[object]]] = {"caller": {}, "provider": {}}
        machines = {int(node.machine_id, 16): int(name.removeprefix("node")) for name, node in self.nodes.items()}
        for path in sorted(self.folder.glob("*.ledger")):
            name, run, _ = path.name.split(".")
            kinds[name.rstrip("0123456789")][name, int(run)] = read(path)
        return Ledgers(kinds["caller"], kinds["provider"], machines)  # type: ignore[arg-type]

    # -- ending -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Have the callers take their last answers, then the providers end, then the nodes."""
        for kind in ("caller", "provider"):
            actors = [actor for name, actor in self.actors.items() if name.startswith(kind)]
            for actor in actors:
                actor.ask_to_end()
            for actor in actors:
                actor.end()

    def write_logs(self) -> None:
        """Leave what the nodes have logged beside the ledgers."""
        for name in self.nodes:
            lines = [node.log.text() for node in self._lives_of(name)]
            (self.folder / f"{name}.log").write_text("\n".join(lines))

    def _lives_of(self, name: str) -> list[Node]:
        return [node for node in (*self.past_nodes, *self.nodes.values()) if node.settings["host_name"] == name]

    def remove(self) -> None:
        """End whatever runs still. What cannot be ended keeps nothing else from it."""
        with ExitStack() as exits:
            exits.callback(self.servers.end)
            exits.callback(self.write_logs)
            exits.callback(self._end_orphans)
            for node in self.nodes.values():
                exits.callback(node.stop)
            for name in self.nodes:
                exits.callback(self._ask_to_end, name)
            for actor in self.actors.values():
                exits.callback(actor.remove)

    def _ask_to_end(self, name: str) -> None:
        for pid in self.processes_of(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.nodes[name].signal(signal.SIGTERM)

    def _end_orphans(self) -> None:
        for worker in self._orphans:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker, signal.SIGKILL)
            os.close(worker)
        self._orphans.clear()


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def stage(folder: Path, spec: StageSpec) -> Iterator[Stage]:
    """A stage on which everything runs but the callers, for as long as the block lasts."""
    with ExitStack() as exits:
        net: Network | None = None
        try:
            net = exits.enter_context(network(spec.nodes))
        except NoNetwork as reason:
            print(f"no network faults, all on loopback: {reason}", flush=True)
        made = Stage(folder, spec, net)
        exits.callback(made.remove)
        made.start()
        yield made
