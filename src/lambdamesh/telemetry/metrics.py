"""The metrics of a node in Prometheus's text format, read from plain integers when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from lambdamesh.core.words import MeasuresWords
from lambdamesh.telemetry.tally import MEANINGS

_START = "process_start_time_seconds"

Fold = Callable[[Sequence[float]], float]

GAUGES: tuple[tuple[str, str, Fold], ...] = (
    ("lambdas", "Lambdas that are open or wait to be re-opened.", sum),
    ("waiting_lambdas", "Lambdas that wait to be re-opened.", sum),
    ("calls_in_flight", "Calls that were sent and have no answer yet.", sum),
    ("connections", "Connections open, WebSockets included.", sum),
    ("websockets", "WebSockets open.", sum),
    ("buffered_bytes", "Bytes that large unfinished bodies and messages hold.", sum),
    ("workers", "Workers of this node that answer.", sum),
    ("tasks", "Tasks of the event loop: what is under way beside calls, which need none.", sum),
    ("loop_block_seconds", "Longest time, within the last minute, for which nothing else had its turn.", max),
    ("ready", "1 while new lambdas and calls are taken, else 0.", min),
    ("nodes", "Other nodes that are known.", max),
    ("nodes_alive", "Other nodes that count as alive.", max),
    ("links", "Links to other nodes: of each worker, one to each worker of theirs that it has to do with.", sum),
    ("link_calls", "Calls and questions of this node that others have not answered yet.", sum),
    ("link_waiting_bytes", "Bytes that wait for links to take them.", sum),
    ("mesh_degraded", "1 while this node does not see the whole mesh, else 0.", max),
)
"""Name and meaning of each gauge, and how those of a node's workers make one."""

MESH_GAUGES = ("nodes", "nodes_alive", "links", "link_calls", "link_waiting_bytes", "mesh_degraded")
"""Those of a node that has joined others."""


class _NodeCollector(Collector):
    def __init__(self, totals: Callable[[], Mapping[str, int]], gauges: Callable[[], Mapping[str, float]]) -> None:
        self._totals = totals
        self._gauges = gauges
        self.siblings: Sequence[MeasuresWords] = ()

    def collect(self) -> Iterator[Metric]:
        for name, value in self._totals().items():
            yield CounterMetricFamily(f"lambdamesh_{name}", MEANINGS[name], value=value)
        values = [self._gauges(), *(words.gauges for words in self.siblings)]
        for name, meaning, fold in GAUGES:
            value_of_all = fold([gauges[name] for gauges in values if name in gauges])
            yield GaugeMetricFamily(f"lambdamesh_{name}", meaning, value=value_of_all)


class _ProcessesCollector(Collector):
    """What the system says of this process and of those of the other workers, added up."""

    def __init__(self) -> None:
        self.pids: Sequence[int] = ()
        self._own = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        families = {family.name: family for family in self._own.collect()}
        for pid in self.pids:
            for other in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                if other.name in families:
                    _add(families[other.name], other)
        yield from families.values()


def _add(family: Metric, other: Metric) -> None:
    # A node is as old as its oldest part; everything else is of all of them together.
    fold: Fold = min if family.name == _START else sum
    ours, theirs = family.samples[0], other.samples[0]
    family.samples[0] = ours._replace(value=fold([ours.value, theirs.value]))


class Exposition:
    """Writes the metrics (``door.ports.Exposition``).

    ``totals`` gives the value of each counter of the node by name, ``gauges`` that of each of ``GAUGES`` here.
    """

    def __init__(self, totals: Callable[[], Mapping[str, int]], gauges: Callable[[], Mapping[str, float]]) -> None:
        self._registry = CollectorRegistry()
        self._node = _NodeCollector(totals, gauges)
        self._processes = _ProcessesCollector()
        self._registry.register(self._node)
        self._registry.register(self._processes)
        PlatformCollector(registry=self._registry)

    def __call__(self, siblings: Sequence[MeasuresWords]) -> bytes:
        """Return the metrics of this worker and of its ``siblings``, as those of one node."""
        self._node.siblings, self._processes.pids = siblings, [words.pid for words in siblings]
        return generate_latest(self._registry)
