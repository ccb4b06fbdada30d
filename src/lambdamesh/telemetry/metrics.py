"""The metrics of a node in Prometheus's text format, read from plain integers when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

GAUGES: tuple[tuple[str, str], ...] = (
    ("lambdas", "Lambdas that are open or wait to be re-opened."),
    ("waiting_lambdas", "Lambdas that wait to be re-opened."),
    ("calls_in_flight", "Calls that were sent and have no answer yet."),
    ("connections", "Connections open, WebSockets included."),
    ("websockets", "WebSockets open."),
    ("buffered_bytes", "Bytes that large unfinished bodies and messages hold."),
    ("ready", "1 while new lambdas and calls are taken, else 0."),
    ("nodes", "Other nodes that are known."),
    ("nodes_alive", "Other nodes that count as alive."),
    ("links", "Other nodes to which there is a link."),
    ("link_calls", "Calls and questions of this node that others have not answered yet."),
    ("link_waiting_bytes", "Bytes that wait for links to take them."),
    ("mesh_degraded", "1 while this node does not see the whole mesh, else 0."),
)
"""Name and meaning of each gauge."""

MESH_GAUGES = ("nodes", "nodes_alive", "links", "link_calls", "link_waiting_bytes", "mesh_degraded")
"""Those of a node that has joined others."""


class _NodeCollector(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, tuple[str, int]]], gauges: Callable[[], Mapping[str, int]]):
        self._counts = counts
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for name, (meaning, value) in self._counts().items():
            yield CounterMetricFamily(f"lambdamesh_{name}", meaning, value=value)
        values = self._gauges()
        for name, meaning in GAUGES:
            yield GaugeMetricFamily(f"lambdamesh_{name}", meaning, value=values[name])


class Exposition:
    """Writes the metrics (``door.ports.Exposition``).

    ``counts`` gives meaning and value of each counter by name, ``gauges`` the value of each of ``GAUGES``.
    """

    def __init__(
        self, counts: Callable[[], Mapping[str, tuple[str, int]]], gauges: Callable[[], Mapping[str, int]]
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_NodeCollector(counts, gauges))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def __call__(self) -> bytes:
        """Return the metrics."""
        return generate_latest(self._registry)
