"""What a node measures of itself, read when somebody asks for its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdamesh.core.counters import COUNTERS
from lambdamesh.core.registry import Registry
from lambdamesh.door.door import Core, Door
from lambdamesh.protocol.session import SESSION_COUNTERS
from lambdamesh.telemetry.metrics import MESH_GAUGES

if TYPE_CHECKING:
    from lambdamesh.membership import Membership


def counts(core: Core) -> dict[str, tuple[str, int]]:
    """Return meaning and value of each counter by name."""
    counted = {name: (meaning, getattr(core.counters, name)) for name, meaning in COUNTERS}
    return counted | {name: (meaning, getattr(core.sessions, name)) for name, meaning in SESSION_COUNTERS}


def gauges(core: Core, door: Door, connections: int, membership: Membership | None) -> dict[str, int]:
    """Return the value of each gauge by name. ``connections`` are those of all doors for clients."""
    live = core.registry.live.values()
    return {
        "lambdas": len(live),
        "waiting_lambdas": sum(held.seat is None for held in live),
        "calls_in_flight": calls_in_flight(core.registry),
        "connections": connections,
        "websockets": len(door.sockets),
        "buffered_bytes": core.budget.used_bytes,
        "ready": int(door.is_ready),
        **_mesh_gauges(membership),
    }


def _mesh_gauges(membership: Membership | None) -> dict[str, int]:
    if membership is None:
        return dict.fromkeys(MESH_GAUGES, 0)
    return {
        "nodes": len(membership.directory.nodes()),
        "nodes_alive": len(membership.machines()),
        **membership.links.gauges(),
        "mesh_degraded": int(membership.trouble() is not None),
    }


def calls_in_flight(registry: Registry) -> int:
    """Count the calls of the lambdas that are held here, sent or waiting."""
    live = registry.live.values()
    sent = sum(len(held.provider.pending) for held in live if held.provider is not None)
    return sent + sum(len(held.waiting or ()) for held in live)
