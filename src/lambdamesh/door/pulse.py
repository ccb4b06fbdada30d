"""Whether the other side of a WebSocket is still there: a state machine for its pings."""

from __future__ import annotations

from lambdamesh.core.limits import Limits


class Pulse:
    """Counts the pings that nothing answered. ``heard`` is set by whoever hears a frame; ``at`` is when to ping next.

    ``heard_bytes`` counts what came since the last ping: a pong cannot come inside of a long frame.
    """

    __slots__ = ("_missed", "at", "heard", "heard_bytes")

    def __init__(self) -> None:
        self._missed = 0
        self.at = 0.0
        self.heard = True
        self.heard_bytes = 0

    def beat(self, now: float, limits: Limits, waiting_bytes: int) -> bool:
        """Time for a ping, at ``now`` (monotonic seconds); ``False`` where too many went unanswered.

        ``waiting_bytes`` stand between the other side and the ping.
        """
        if self.heard or waiting_bytes or self.heard_bytes >= limits.body_rate_bytes * limits.ping_interval_s:
            self._missed = 0
        else:
            self._missed += 1
            if self._missed >= limits.ping_misses:
                return False
        self.heard = False
        self.heard_bytes = 0
        self.at = now + limits.ping_interval_s
        return True
