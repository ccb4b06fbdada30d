"""The nodes of a mesh as each of them knows the others, and the port by which it learns of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from lambdamesh.core.places import WORKERS_MOST

ADDRESS_LENGTH = 300
HOST_LENGTH = 255
WORD_LENGTH = 64
"""Characters that an instance or a version may have."""
AHEAD_S = 60.0
"""How far another clock may be ahead; what is later than that says nothing."""
_PLACE = re.compile(r"(?:\[([^\[\]]+)\]|([^\s\[\]:/@]+)):([0-9]{1,5})")
_LARGEST_PORT = 65535


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

    @property
    def is_sound(self) -> bool:
        """Whether others may be told of it as it is: an address to dial or none, and texts that can be shown."""
        return (
            (not self.address or can_be_dialled(self.address))
            and 0 < self.workers <= WORKERS_MOST
            and all(map(_is_word, *self._words()))
        )

    def tamed(self) -> NodeRecord:
        """Return it without what is not sound in it."""
        if self.is_sound:
            return self
        texts, lengths = self._words()
        host, instance, version = (
            text if _is_word(text, most) else "" for text, most in zip(texts, lengths, strict=True)
        )
        address = self.address if can_be_dialled(self.address) else ""
        workers = min(max(self.workers, 1), WORKERS_MOST)
        return msgspec.structs.replace(
            self, address=address, host=host, instance=instance, version=version, workers=workers
        )

    def dated(self, unix_s: float) -> NodeRecord:
        """Return it as of ``unix_s``: a start that lies ahead, or that is none, is not known."""
        if 0.0 <= self.started_at <= unix_s + AHEAD_S:
            return self
        return msgspec.structs.replace(self, started_at=0.0)

    def _words(self) -> tuple[tuple[str, str, str], tuple[int, int, int]]:
        return (self.host, self.instance, self.version), (HOST_LENGTH, WORD_LENGTH, WORD_LENGTH)


def can_be_dialled(address: str) -> bool:
    """Whether ``address`` is ``host:port`` or ``[v6]:port`` of somebody who may be there."""
    if len(address) > ADDRESS_LENGTH or not address.isprintable():
        return False
    place = _PLACE.fullmatch(address)
    if place is None or not 0 < int(place[3]) <= _LARGEST_PORT:
        return False
    if place[1] is None:
        return can_be_looked_up(place[2])
    try:
        ipaddress.IPv6Address(place[1])
    except ValueError:
        return False
    return True


def can_be_looked_up(host: str) -> bool:
    """Whether ``host`` may be a name: each of its labels has 1 to 63 characters as DNS writes them."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _is_word(text: str, most: int) -> bool:
    return len(text) <= most and text.isprintable()


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

    def parted(self, machine: int) -> None:
        """There is no link to a node any more: others may say where it is now."""

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """A node has said hello, or (``is_hearsay``) another tells of it, which never overrides what a hello said."""

    def overhear(self, words: Iterable[tuple[NodeRecord, float]]) -> None:
        """Another tells of several, each with when it was heard: hearsay, and one change."""


class Probe(Protocol):
    """Finds out who listens at an address."""

    async def __call__(self, address: str) -> NodeRecord | None:
        """Dial ``address`` as a node does and return who says hello there; ``None`` if nobody does within 2 s."""
