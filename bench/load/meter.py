"""What one round of load is asked to do, and what it reports."""

import sys
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bench.procfs import busy_seconds, cores_of, cpu_seconds

T = TypeVar("T")
CLOCK = time.perf_counter
OVERDUE_S = 1.0
"""An answer that takes longer counts as missing: nothing measured here has such a queue."""


class LoadSpec(msgspec.Struct, frozen=True):
    """One round of calls: against what, how many at once, for how long. The answer must be the body itself.

    `further_pids` are what stands behind the node that is asked: the second of a hop, which holds the lambda.
    Where there are `further_paths`, connections take these and `path` in turns. `worker` is the one of a node of
    several that has all the connections; -1 leaves that to the kernel.
    """

    port: int
    path: str
    body: str
    connections: int
    seconds: float
    warm_up_s: float
    node_pid: int
    provider_pid: int = 0
    further_pids: list[int] = []
    further_paths: list[str] = []
    worker: int = -1


class Sample(msgspec.Struct, frozen=True):
    """One round's result. `errors` counts answers that were not the expected 200.

    `cpu_us` is the CPU time of the nodes for a call, `further_cpu_us` the part of it that is not the first's.
    A share of 1 is one core for all the time. `caller_share` is the part of `load_share` that is the calling process's.
    `other_share` is what anybody else took of the node's core or the load's, the larger of the two.
    """

    calls: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float
    cpu_us: float
    node_share: float
    load_share: float
    other_share: float = 0.0
    further_cpu_us: float = 0.0
    caller_share: float = 0.0
    first_error: str = ""

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


class Stopwatch:
    """Times a window together with the CPU that the nodes, the provider and this process spend in it."""

    def __init__(self, spec: LoadSpec) -> None:
        self._pids = (spec.node_pid, spec.further_pids, spec.provider_pid)
        self._cores = (cores_of(spec.node_pid), cores_of(0))
        self._cpu = self._read()
        self.started_at = CLOCK()

    @property
    def overdue_since(self) -> float:
        """A call that was sent before that should have its answer by now."""
        return max(self.started_at, CLOCK() - OVERDUE_S)

    def _read(self) -> tuple[float, ...]:
        node, further, provider = self._pids
        caller = time.process_time()
        used = (cpu_seconds(node), sum(map(cpu_seconds, further)), cpu_seconds(provider) + caller, caller)
        return *used, *(busy_seconds(*cores) for cores in self._cores)

    def _others(self, node: float, load: float, node_core: float, load_core: float) -> float:
        """What others took, in seconds of the core where they took more."""
        if self._cores[0] == self._cores[1]:
            return max(node_core - node - load, 0.0)
        return max(node_core - node, load_core - load, 0.0)

    def sample(
        self, latencies_s: Sequence[float], errors: int, first_error: str = "", calls: int | None = None
    ) -> Sample:
        """Ends the window, in which one latency was noted for each answer, where `calls` does not say how many came."""
        seconds = CLOCK() - self.started_at
        node, further, load, caller, *cores = (now - then for now, then in zip(self._read(), self._cpu, strict=True))
        node += further
        calls = len(latencies_s) if calls is None else calls
        ranked = sorted(latencies_s) or [0.0]
        return Sample(
            calls=calls,
            seconds=seconds,
            errors=errors,
            p50_us=ranked[len(ranked) // 2] * 1e6,
            p99_us=ranked[min(int(len(ranked) * 0.99), len(ranked) - 1)] * 1e6,
            cpu_us=node * 1e6 / max(calls, 1),
            node_share=node / seconds,
            load_share=load / seconds,
            other_share=self._others(node, load, *cores) / seconds,
            further_cpu_us=further * 1e6 / max(calls, 1),
            caller_share=caller / seconds,
            first_error=first_error,
        )


def read_spec(kind: type[T]) -> T:
    """The first line of standard input, in JSON: what a load process is asked to do."""
    return msgspec.json.decode(sys.stdin.readline(), type=kind)


def say(report: msgspec.Struct) -> None:
    """One line of JSON on standard output: how load processes report."""
    print(msgspec.json.encode(report).decode(), flush=True)
