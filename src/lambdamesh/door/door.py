"""What everything behind one door shares: the parts it was given, and what is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lambdamesh.core.budget import Budget
from lambdamesh.core.claims import Claims
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.held import Lambda
from lambdamesh.core.limits import Limits
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Key
from lambdamesh.core.survey import Others
from lambdamesh.core.wheel import Wheel
from lambdamesh.door.bodies import Shared
from lambdamesh.door.events import Events, Subscriber
from lambdamesh.door.mesh_events import MeshEvents
from lambdamesh.door.ports import Access, Exposition, Peers, ResumeKeys
from lambdamesh.door.request import Reply, Request
from lambdamesh.door.responses import StatusLines
from lambdamesh.errors import MeshError
from lambdamesh.ids import LambdaId, Rays
from lambdamesh.protocol.session import Bounds, SessionCounters

_READ_BUFFER_BYTES = 64 * 1024


class Dispatcher(Protocol):
    """Finds what a request asks for and has it answered."""

    def dispatch(self, request: Request, reply: Reply) -> None:
        """Answer ``request`` through ``reply``, now or later."""

    def precheck(self, request: Request) -> MeshError | None:
        """Say why ``request`` would be refused whatever its body; ``None`` if it would not."""


class Ending(Protocol):
    """A connection, for a drain."""

    def drain(self) -> None:
        """Close as soon as nothing is in hand."""


class Closing(Protocol):
    """A WebSocket, for a drain. ``has_heard`` is whether the other side knows of it, or cannot be told."""

    @property
    def has_heard(self) -> bool:
        """Whether all that it asked before it heard has come."""

    def announce_end(self) -> None:
        """Tell it, where its codec can."""

    def close(self, code: int, reason: str, event: str = ...) -> None:
        """Close with a code."""


class Facts:
    """What does not change while the node runs."""

    __slots__ = ("host_name", "machine", "version")

    def __init__(self, host_name: str, machine: int, version: str) -> None:
        self.host_name = host_name
        self.machine = machine
        self.version = version


class Core:
    """The parts of the core that a door works with."""

    __slots__ = (
        "budget",
        "claims",
        "clock",
        "counters",
        "limits",
        "mint",
        "others",
        "rays",
        "registry",
        "relay",
        "sessions",
        "siblings",
        "wheel",
    )

    limits: Limits
    counters: Counters
    clock: Clock
    wheel: Wheel
    budget: Budget
    registry: Registry
    relay: Relay
    rays: Rays
    sessions: SessionCounters
    claims: Claims
    mint: Callable[[bool], LambdaId]
    """Mints an id; its argument says whether it needs a key to be re-opened."""
    others: Others | None
    """All other places; ``None`` where there is no other."""
    siblings: Others | None
    """The other workers of this node; ``None`` where it has one."""


class Door:
    """One door. Its siblings (access, keys, peers, metrics) are ports.

    ``name`` is the one that its keys are made for. ``routes`` and the event loop's ``call_soon`` are set by whoever
    builds it.
    """

    name = "local"

    def __init__(self, core: Core, facts: Facts, access: Access, keys: ResumeKeys, peers: Peers) -> None:
        self.limits = core.limits
        self.counters = core.counters
        self.clock = core.clock
        self.wheel = core.wheel
        self.budget = core.budget
        self.registry = core.registry
        self.relay = core.relay
        self.claims = core.claims
        self.others = core.others
        self.siblings = core.siblings
        self.rays = core.rays
        self.sessions = core.sessions
        self.mint = core.mint
        self.facts = facts
        self.bounds = Bounds(core.limits.body_bytes, core.limits.message_values, core.limits.item_bytes)
        self.access = access
        self.keys = keys
        self.peers = peers
        self.routes: Dispatcher
        self.exposition: Exposition = lambda _siblings: b""
        self.trouble: Callable[[], str | None] = lambda: None
        """Says why this node does not see the whole mesh, if it does not."""
        self.connection_closed: Callable[[], None] = lambda: None
        self.call_soon: Callable[[Callable[[], None]], object]
        self.read_buffer = memoryview(bytearray(_READ_BUFFER_BYTES))
        self.reading = Shared(core.limits, core.budget, core.counters, access.admit)
        self.status_lines = StatusLines(core.clock.unix_ms / 1000)
        self.events = Events(core.limits, core.counters, core.wheel, core.clock)
        self.mesh_events: MeshEvents | None = None
        if core.others is not None:
            of_mesh = Events(core.limits, core.counters, core.wheel, core.clock, b": the lambdas of the mesh\n\n")
            atlas = core.registry.atlas
            self.mesh_events = MeshEvents(self.events, of_mesh, core.others, atlas, core.wheel)
        self.connections: dict[Ending, None] = {}
        self.sockets: dict[Closing, None] = {}
        self.is_ready = False

    def publish(self, subject: Lambda, kind: str, detail: str) -> None:
        """Tell whoever follows the events of one of them (``core.registry.Publish``)."""
        if self.mesh_events is not None:
            self.mesh_events.publish(subject, kind, detail)
        else:
            self.events.publish(subject, kind, detail)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End a stream of events that its reader has left."""
        if self.mesh_events is not None:
            self.mesh_events.unsubscribe(subscriber)
        else:
            self.events.unsubscribe(subscriber)

    def judge(self, shown: bytes, lambda_id: bytes) -> Key:
        """Say what a key is worth that somebody shows for a lambda of this node; nothing at all may be shown."""
        if not shown:
            return Key.NONE
        return Key.RIGHT if self.keys.is_right(shown, lambda_id, self.clock.unix_ms / 1000) else Key.WRONG
