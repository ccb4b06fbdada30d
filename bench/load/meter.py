"""What one round of load is asked to do, and what it reports."""

import sys
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bench.procfs import busy_seconds, core_of, cpu_seconds

T = TypeVar("T")
CLOCK = time.perf_counter


class LoadSpec(msgspec.Struct, frozen=True):
    """One round of calls: against what, how many at once, for how long. The answer must be the body itself."""

    port: int
    path: str
    body: str
    connections: int
    seconds: float
    warm_up_s: float
    node_pid: int
    provider_pid: int = 0


class Sample(msgspec.Struct, frozen=True):
    """One round's result. `errors` counts answers that were not the expected 200.

    Shares of a core are 0 to 1. `other_share` is what anybody else took of the node's core or the load's, the
    larger of the two.
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
    first_error: str = ""

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


class Stopwatch:
    """Times a window together with the CPU that the node, the provider and this process spend in it."""

    def __init__(self, node_pid: int, provider_pid: int) -> None:
        self._pids = (node_pid, provider_pid)
        self._cores = (core_of(node_pid), core_of(0))
        self._cpu = self._read()
        self.started_at = CLOCK()

    def _read(self) -> tuple[float, ...]:
        node, provider = self._pids
        load = cpu_seconds(provider) + time.process_time()
        return cpu_seconds(node), load, *(busy_seconds(core) for core in self._cores)

    def _others(self, node: float, load: float, node_core: float, load_core: float) -> float:
        """What others took, in seconds of the core where they took more."""
        if self._cores[0] == self._cores[1]:
            return max(node_core - node - load, 0.0)
        return max(node_core - node, load_core - load, 0.0)

    def sample(self, latencies_s: Sequence[float], errors: int, first_error: str = "") -> Sample:
        """Ends the window, in which one latency was noted for each answer."""
        seconds = CLOCK() - self.started_at
        node, load, *cores = (now - then for now, then in zip(self._read(), self._cpu, strict=True))
        calls = len(latencies_s)
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
            first_error=first_error,
        )


def read_spec(kind: type[T]) -> T:
    """The first line of standard input, in JSON: what a load process is asked to do."""
    return msgspec.json.decode(sys.stdin.readline(), type=kind)


def say(report: msgspec.Struct) -> None:
    """One line of JSON on standard output: how load processes report."""
    print(msgspec.json.encode(report).decode(), flush=True)
