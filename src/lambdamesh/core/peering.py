"""The nodes of a mesh as each of them knows the others, and the port by which it learns of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a node tells of itself. ``instance`` is new at each start.

    ``address`` is ``host:port`` of its mesh door, as others are to dial it; empty where nobody has said it yet.
    ``started_at`` (Unix seconds by its own clock) orders the instances of one machine; 0 where it is not known.
    """

    machine: int
    instance: str = ""
    host: str = ""
    address: str = ""
    version: str = ""
    workers: int = 1
    started_at: float = 0.0


class Directory(Protocol):
    """Who else is in the mesh. It is not trusted: whoever is dialled proves by certificate which machine it is.

    Times are Unix seconds. ``changed`` is told, on the event loop, when a node has come, gone or moved, or when there
    are other seeds; ``failed`` when this node may not go on, with the reason (it ends with exit code 78).
    """

    changed: Callable[[], None]
    failed: Callable[[str], None]

    async def start(self, me: NodeRecord) -> None:
        """Begin to look for others and to be found. Returns soon, whether or not anybody answers."""

    async def stop(self) -> None:
        """Say goodbye, where there is somebody to say it to."""

    def complete(self) -> bool:
        """Whether every machine that there is would be known here."""

    def trouble(self) -> str | None:
        """Say in a sentence why it cannot see the whole mesh now and what to do, or ``None`` where all is well."""

    def knows(self, machine: int) -> bool:
        """Whether ``machine`` is another node of this mesh, alive or not."""

    def find(self, machine: int) -> NodeRecord | None:
        """Return what is known of another node."""

    def nodes(self) -> tuple[NodeRecord, ...]:
        """Return every other node that is known, alive or not."""

    def heard_at(self, machine: int) -> float | None:
        """When a node was last heard of; ``None`` where it is not known."""

    def is_alive(self, machine: int, unix_s: float) -> bool:
        """Whether a node counts as alive, as far as a directory can tell: a link may know better."""

    def seeds(self) -> tuple[str, ...]:
        """Return the addresses (``ip:port``, ``[v6]:port``) to which a link is kept from the start."""

    def answered(self, seed: str, record: NodeRecord) -> None:
        """The node behind a seed has said hello; it may be this node itself."""

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """A node has said hello, or (``is_hearsay``) another tells of it, which never overrides what a hello said."""


class Probe(Protocol):
    """Finds out who listens at an address."""

    async def __call__(self, address: str) -> NodeRecord | None:
        """Dial ``address`` as a node does and return who says hello there; ``None`` if nobody does within 2 s."""
