"""Which part of a node a process is, and what ties it to the other parts."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lambdamesh.telemetry.tally import Tally

_INSTANCE_BYTES = 8


def new_instance() -> str:
    """Return a name for one run of a node, unlike that of any other."""
    return secrets.token_hex(_INSTANCE_BYTES)


@dataclass(kw_only=True)
class Part:
    """Worker ``worker`` of the ``workers`` of a node; all of it by default.

    ``instance`` names this run of the node, ``started_at`` (Unix seconds) is when it began. ``local`` and ``mesh`` are
    the sockets of its doors where somebody else has bound them; ``None`` where it is to do that itself. ``siblings``
    are sockets to other workers, by their number, each with the number of its pairing: which socket between these two
    it is. ``lost`` is told which of them has no link to this one any more, and the pairing of the last; ``hand_over``
    gives a connection of another node to one of them, and says whether it could. ``tally`` is what they have counted.
    """

    worker: int = 0
    workers: int = 1
    instance: str = field(default_factory=new_instance)
    started_at: float = field(default_factory=time.time)
    local: list[socket.socket] | None = None
    mesh: socket.socket | None = None
    siblings: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)
    lost: Callable[[int, int], None] = lambda _worker, _pairing: None
    hand_over: Callable[[int, socket.socket], bool] = lambda _worker, _sock: False
    tally: Tally = field(default_factory=Tally)

    @property
    def is_whole(self) -> bool:
        """Whether there is no other part."""
        return self.workers == 1
