"""Which nodes the machine has kept from running: one that wants to run and may not cannot keep to a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.judge import STARVED, Happened
from tests.faults.ledger import CLOCK

LOOK_S = 0.25
"""Time between two looks."""
STARVED_S = 0.25
"""A process that has waited for a processor so long between two of them has not run for a while."""


class Starving:
    """Looks how long processes have waited for a processor (Linux: schedstat; elsewhere nobody is excused)."""

    def __init__(self) -> None:
        self._waited_s: dict[int, float] = {}
        self._looked_at = 0.0
        self.seen: list[Happened] = []

    @contextmanager
    def watching(self, nodes: Callable[[], Mapping[str, Iterable[int]]]) -> Iterator[None]:
        """Look all the time while the block lasts; ``nodes`` says which processes each has now."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(LOOK_S):
                self.look(CLOCK(), nodes())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def look(self, now: float, nodes: Mapping[str, Iterable[int]]) -> None:
        """Look once at the processes of each node."""
        before, self._looked_at = self._looked_at, now
        was, self._waited_s = self._waited_s, {}
        for name, pids in nodes.items():
            for pid in pids:
                waited_s = _waited_s(pid)
                self._waited_s[pid] = waited_s
                more_s = waited_s - was.get(pid, waited_s)
                if more_s >= STARVED_S:
                    self.seen.append(Happened(STARVED, name, before - more_s, now))


def _waited_s(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
