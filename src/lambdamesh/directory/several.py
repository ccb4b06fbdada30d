"""Several directories as one, where a node has both ``--peer`` and ``--nats``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

from lambdamesh.core.peering import Directory, NodeRecord


class Several:
    """Knows whatever one of ``directories`` knows. Each of them is told all that links learn."""

    def __init__(self, directories: tuple[Directory, ...]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.failed: Callable[[str], None] = lambda reason: None
        self._directories = directories
        self._is_telling = False
        self._has_news = False
        for directory in directories:
            directory.changed = self._tell
            directory.failed = self._fail

    def _tell(self) -> None:
        if self._is_telling:
            self._has_news = True
        else:
            self.changed()

    @contextlib.contextmanager
    def _told_once(self) -> Iterator[None]:
        """What is told to all of them is one change, and not before each of them knows."""
        self._is_telling, self._has_news = True, False
        try:
            yield
        finally:
            self._is_telling = False
        if self._has_news:
            self.changed()

    def _fail(self, reason: str) -> None:
        self.failed(reason)

    async def start(self, me: NodeRecord) -> None:
        """Start all of them."""
        for directory in self._directories:
            await directory.start(me)

    async def stop(self) -> None:
        """Stop all of them, at the same time."""
        await asyncio.gather(*(directory.stop() for directory in self._directories))

    def complete(self) -> bool:
        """Whether each of them is complete."""
        return all(directory.complete() for directory in self._directories)

    def trouble(self) -> str | None:
        """Say what is wrong with each that has trouble."""
        troubles = [trouble for directory in self._directories if (trouble := directory.trouble()) is not None]
        return "; ".join(troubles) or None

    def knows(self, machine: int) -> bool:
        """Whether any of them knows ``machine``."""
        return any(directory.knows(machine) for directory in self._directories)

    def find(self, machine: int) -> NodeRecord | None:
        """Return the record of the latest instance; what a hello said of it, each of them has."""
        found = [record for directory in self._directories if (record := directory.find(machine)) is not None]
        return max(found, key=lambda record: record.started_at, default=None)

    def nodes(self) -> tuple[NodeRecord, ...]:
        """Return every other node that one of them knows."""
        machines = dict.fromkeys(record.machine for directory in self._directories for record in directory.nodes())
        return tuple(record for machine in machines if (record := self.find(machine)) is not None)

    def heard_at(self, machine: int) -> float | None:
        """When a node was last heard of by any of them."""
        heard = [at for directory in self._directories if (at := directory.heard_at(machine)) is not None]
        return max(heard, default=None)

    def is_alive(self, machine: int, unix_s: float) -> bool:
        """Whether one of them counts it as alive."""
        return any(directory.is_alive(machine, unix_s) for directory in self._directories)

    def seeds(self) -> tuple[str, ...]:
        """Return the seeds of all."""
        return tuple(dict.fromkeys(seed for directory in self._directories for seed in directory.seeds()))

    def answered(self, seed: str, record: NodeRecord) -> None:
        """The node behind a seed of one of them has said hello."""
        with self._told_once():
            for directory in self._directories:
                directory.answered(seed, record)

    def parted(self, machine: int) -> None:
        """There is no link to a node any more."""
        for directory in self._directories:
            directory.parted(machine)

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """Tell each of them."""
        with self._told_once():
            for directory in self._directories:
                directory.learn(record, unix_s, is_hearsay=is_hearsay)

    def overhear(self, words: Iterable[tuple[NodeRecord, float]]) -> None:
        """Tell each of them."""
        heard = tuple(words)
        with self._told_once():
            for directory in self._directories:
                directory.overhear(heard)
