"""Nodes of several workers, with a lambda at each, and calls to these."""

import contextlib
from dataclasses import dataclass, replace

import msgspec

from bench.cases.case import Plan
from bench.load.meter import LoadSpec, Sample
from bench.load.providers import AllOpened
from bench.processes import PYTHON, Child, Core, StartError, run_on
from bench.procfs import children_of
from bench.stage import SMALL, Stage, Subject, local_port, serving

COUNTERS = ("lambdamesh_calls_total", "lambdamesh_calls_passed_total")


@dataclass(frozen=True)
class Crew:
    """A node and its workers' pids, by their number; of a node of one that is the node itself.

    `ids` are the lambdas that `provider` has: the first at the first worker, and so on round and round.
    """

    node: Subject
    workers: tuple[int, ...]
    ids: tuple[str, ...] = ()
    provider: Child | None = None

    @property
    def pids(self) -> list[int]:
        """All its processes, the supervisor first if there is one."""
        return list(dict.fromkeys((self.node.process.pid, *self.workers)))

    def path(self, number: int) -> str:
        """Where one of its lambdas is called."""
        return f"/lambda/{self.ids[number]}/test"

    def spec(self, plan: Plan, number: int, at_once: int) -> LoadSpec:
        """Calls to one of its lambdas; the CPU time is that of all processes."""
        first, *further = self.pids
        return LoadSpec(
            port=self.node.port,
            path=self.path(number),
            body=SMALL,
            connections=at_once,
            seconds=plan.seconds,
            warm_up_s=plan.warm_up_s,
            node_pid=first,
            provider_pid=self.provider.pid if self.provider else 0,
            further_pids=further,
        )


class CrewSample(msgspec.Struct, frozen=True):
    """One round, and the part of its calls (0 to 1) that one worker passed on to the other."""

    sample: Sample
    crossed: float

    @property
    def errors(self) -> int:
        """Wrong or missing answers."""
        return self.sample.errors

    @property
    def other_share(self) -> float:
        """What others took of the cores."""
        return self.sample.other_share


def gather_crew(stage: Stage, exits: contextlib.ExitStack, workers: int, core: Core) -> Crew:
    """A node with so many workers. Raises StartError."""
    process = serving(stage, exits, "--workers", str(workers), core=core)
    node = Subject(name_of(workers), local_port(process), process)
    pids = children_of(process.pid) if workers > 1 else [process.pid]
    if len(pids) != workers:
        raise StartError(f"a node of {workers} workers has {len(pids)} processes under it")
    return Crew(node, tuple(pids))


def provided(stage: Stage, exits: contextlib.ExitStack, crew: Crew, core: Core, count: int) -> Crew:
    """The same with so many lambdas, all of one process."""
    numbers = map(str, (crew.node.port, len(crew.workers), count))
    provider = stage.child(exits, "providers", [PYTHON, "-m", "bench.load.providers", *numbers], core)
    opened = msgspec.convert(provider.wait_for("ids"), AllOpened)
    return replace(crew, ids=tuple(opened.ids), provider=provider)


def call_crew(crew: Crew, spec: LoadSpec, core: Core) -> CrewSample:
    """One round by a process of its own."""
    before = crew.node.figures(*COUNTERS)
    command = [PYTHON, "-m", "bench.load.over_http"]
    printed = run_on(core, command, msgspec.json.encode(spec), spec.seconds + 30)
    calls, passed = (now - then for now, then in zip(crew.node.figures(*COUNTERS), before, strict=True))
    # One that was passed on has been counted by both workers.
    crossed = passed / max(calls - passed, 1)
    return CrewSample(msgspec.json.decode(printed, type=Sample), crossed)


def name_of(workers: int) -> str:
    """For tables."""
    return f"{workers} worker{'s' * (workers > 1)}"
