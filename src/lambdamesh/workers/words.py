"""What a supervisor and its workers say to each other: orders one way, reports the other, some with descriptors."""

from __future__ import annotations

import msgspec

from lambdamesh.settings import Settings


class Assignment(msgspec.Struct, frozen=True, tag="assignment"):
    """The first order: which part of which node a worker is.

    With it come the tally of the node, the sockets of the local doors, ``local`` of them, that of the mesh door if
    ``has_mesh``, and one to each of ``siblings``: by the number of the worker, which of the sockets between these two
    it is.
    """

    worker: int
    workers: int
    settings: Settings
    state: str
    instance: str
    started_at: float
    local: int
    has_mesh: bool
    siblings: dict[int, int]


class Sibling(msgspec.Struct, frozen=True, tag="sibling"):
    """Another worker has started, or lost its link: here is a socket to it.

    ``pairing`` counts the sockets between these two.
    """

    worker: int
    pairing: int


class Arrival(msgspec.Struct, frozen=True, tag="arrival"):
    """Another worker has accepted this connection of a node that wants this one."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Drain; ``is_hurried``: stop at once, whatever still runs."""

    is_hurried: bool = False


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """Read secret and certificates of the mesh again."""


Order = Assignment | Sibling | Arrival | Stop | Reload


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The doors listen. ``advertised`` is where other nodes are told to dial; empty where there is no mesh door."""

    advertised: str = ""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """It is well."""


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """There is no link to another worker any more: that over the socket of ``pairing`` was the last."""

    worker: int
    pairing: int


class HandOver(msgspec.Struct, frozen=True, tag="hand_over"):
    """This connection of a node is for another worker."""

    worker: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot go on as it was told to, for a reason that its user has to mend."""

    why: str


Report = Ready | Beat | Lost | HandOver | Failed
