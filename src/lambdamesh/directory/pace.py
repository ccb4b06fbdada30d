"""How often a node speaks to NATS, and how long it waits for an answer."""

from __future__ import annotations

from dataclasses import dataclass

from lambdamesh.directory.known import DEAD_AFTER_S

_SILENT_BEATS = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long, in seconds."""

    heartbeat_s: float = 30.0
    """Between two renewals of the own claim."""
    dead_after_s: float = DEAD_AFTER_S
    """Without a renewal, until a node counts as dead."""
    relist_s: float = 300.0
    """Between two readings of the whole list, whatever has been watched meanwhile."""
    idle_s: float = 5.0
    """Between two signs of life of the watch."""
    probe_s: float = 2.0
    """What the holder of a claim has to answer."""
    ask_s: float = 5.0
    """What a server has for an answer, and for a connection."""
    retry_s: float = 1.0
    """Between two attempts at what may be over soon, such as the choice of a leader."""
    first_pause_s: float = 0.25
    """Before the second attempt to connect; it doubles with each."""
    longest_pause_s: float = 15.0
    """Between two attempts to connect, where many have failed."""
    bucket_ttl_s: float = DEAD_AFTER_S
    """What a bucket made by this node keeps a claim for."""

    @property
    def silent_s(self) -> float:
        """How long a watch may show no sign of life."""
        return self.idle_s * _SILENT_BEATS
