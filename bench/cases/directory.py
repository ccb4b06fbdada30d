"""What a node pays for the thousand others that it knows: memory, and CPU time for each word of one of them."""

import contextlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial

import msgspec

from bench.cases.case import Plan, rotated, undisturbed
from bench.load.mesh_feeder import MARK, Fed, FeedSpec
from bench.outcome import Outcome, Row, disturbances
from bench.peers import nats_server
from bench.processes import PYTHON, Child, StartError
from bench.procfs import anonymous_kib, busy_seconds, cpu_seconds
from bench.stage import Stage, Subject, listening_at, local_port, mesh_flags, serving

NODES = 1_000
BUSY = 0.9
SETTLE_S = 1.0
LOOK_S = 0.02
WITHIN_S = 60.0
WARM_UP_TURNS = 2
NATS, HEARSAY = "nats", "hearsay"


class Handled(msgspec.Struct, frozen=True):
    """One round: updates a second, CPU time of the node for one, shares of its core (0 to 1)."""

    rate: float
    cpu_us: float
    node_share: float
    other_share: float
    errors: int = 0


class Listener:
    """A node that is told of simulated ones by a process on the load core."""

    def __init__(self, stage: Stage, exits: contextlib.ExitStack, kind: str) -> None:
        secret, url = stage.new_secret(), ""
        if kind == NATS:
            url = f"nats://127.0.0.1:{_start_nats(stage, exits)}"
        process = serving(stage, exits, *mesh_flags(secret), *(["--nats", url] if url else []))
        door = listening_at(process, "mesh")
        self.node = Subject("node", local_port(process), process)
        if kind == NATS:
            _wait_for_event(process, "nats_listed")
        self._core = stage.cores.node
        self._marks = 0
        self._feeder = stage.child(exits, "feeder", [PYTHON, "-m", "bench.load.mesh_feeder", kind], stage.cores.load)
        self._feeder.tell(msgspec.json.encode(FeedSpec(NODES, url or door, str(secret))))
        self._feeder.wait_for("fed")

    def kib(self) -> float:
        """Memory of the node that is its own, once it is quiet."""
        time.sleep(SETTLE_S)
        return anonymous_kib(self.node.process.pid)

    def hear(self, turns: int) -> Handled:
        """Has every simulated node speak so many times; what that took the node. Raises StartError."""
        pid = self.node.process.pid
        begun_at, cpu, busy = time.perf_counter(), cpu_seconds(pid), busy_seconds(self._core)
        self._feeder.tell(b"%d" % turns)
        self._wait_for_mark()
        seconds = time.perf_counter() - begun_at
        cpu, busy = cpu_seconds(pid) - cpu, busy_seconds(self._core) - busy
        fed = msgspec.convert(self._feeder.wait_for("fed"), Fed).fed
        return Handled(fed / seconds, cpu * 1e6 / fed, cpu / seconds, max(busy - cpu, 0.0) / seconds)

    def _wait_for_mark(self) -> None:
        """Until the node knows the machine that was told of last: before, a lambda of it is 404."""
        path = f"/lambda/{_id_of(MARK + self._marks)}/test"
        self._marks += 1
        give_up_at = time.monotonic() + WITHIN_S
        while self.node.ask("POST", path, "1")[0] == 404:
            if time.monotonic() > give_up_at:
                raise StartError(f"the node has not heard all of {NODES} nodes in {WITHIN_S:.0f} s")
            time.sleep(LOOK_S)


class DirectoryCase:
    """A thousand nodes that are only told of, by a real NATS server or by another node."""

    name = "directory"
    title = f"a node that knows {NODES:,} others, and hears of each again and again"

    def steps(self, plan: Plan) -> int:
        """One for each round of each way to hear of nodes."""
        return plan.rounds * 2

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        names, notes = [NATS, HEARSAY], []
        if not nats_server.is_installed():
            names, notes = [HEARSAY], ["nats was not run: there is no nats-server beside this Python or on the path"]
        rows = {name: Row(name, {}) for name in names}
        with contextlib.ExitStack() as exits:
            listeners = {name: Listener(stage, exits, name) for name in names}
            turns = {name: _fill(listeners[name], rows[name], plan) for name in names}
            for number in range(plan.rounds):
                for name in rotated(names, number):
                    _note(rows[name], undisturbed(partial(listeners[name].hear, turns[name]), plan.patience))
                    further()
        notes += disturbances(list(rows.values()))
        notes += [
            f"{row.subject} had the node's core busy for {row.typical('node_share'):.0%} only: it could hear of more"
            for row in rows.values()
            if row.typical("node_share") < BUSY
        ]
        return Outcome(self.name, self.title, list(rows.values()), [], notes)


def _fill(listener: Listener, row: Row, plan: Plan) -> int:
    """The node learns of all for the first time; how many turns make a round."""
    before_kib = listener.kib()
    listener.hear(1)
    full_kib = listener.kib()
    row.note(
        before_mb=before_kib * 1.024 / 1000,
        after_mb=full_kib * 1.024 / 1000,
        kb_each=(full_kib - before_kib) * 1.024 / NODES,
    )
    return max(round(listener.hear(WARM_UP_TURNS).rate * plan.seconds / NODES), 1)


def _note(row: Row, handled: Handled) -> None:
    row.note(
        update_rate=handled.rate,
        update_cpu_us=handled.cpu_us,
        node_share=handled.node_share,
        other_share=handled.other_share,
    )


def _start_nats(stage: Stage, exits: contextlib.ExitStack) -> int:
    """A server on the load core; its port."""
    command, port, monitor = nats_server.prepare(stage.new_folder())
    stage.child(exits, "nats-server", command, stage.cores.load)
    nats_server.wait_until_well(monitor)
    return port


def _wait_for_event(process: Child, event: str) -> None:
    while process.wait_for("event")["event"] != event:
        pass


def _id_of(machine: int) -> str:
    """The id of a lambda whose home the machine is."""
    return urlsafe_b64encode(machine.to_bytes(4, "little") + bytes(8)).decode()
