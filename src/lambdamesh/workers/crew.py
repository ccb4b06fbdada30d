"""When workers that have died are started again, and when that is given up: a state machine without a clock."""

from __future__ import annotations

from collections import deque

CRASHES_MOST = 5
"""So many crashes within a minute end the node."""
_MINUTE_S = 60.0
_SOON_S = 10.0
"""A worker that lived shorter than this has died of its start."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class Crashes:
    """Counts the crashes of all workers of a node. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._crashed_at: deque[float] = deque()
        self._in_a_row: dict[int, int] = {}

    def crashed(self, worker: int, lived_s: float, now: float) -> float | None:
        """Note a crash; return in how many seconds to start the worker again, ``None`` where it is no use."""
        self._crashed_at.append(now)
        while now - self._crashed_at[0] > _MINUTE_S:
            self._crashed_at.popleft()
        if len(self._crashed_at) >= CRASHES_MOST:
            return None
        if lived_s >= _SOON_S:
            self._in_a_row[worker] = 0
            return 0.0
        failures = self._in_a_row[worker] = self._in_a_row.get(worker, 0) + 1
        return min(_FIRST_PAUSE_S * 2.0 ** (failures - 2), _LONGEST_PAUSE_S) if failures > 1 else 0.0
