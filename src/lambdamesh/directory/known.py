"""What a node knows of the others, whoever told it: the part that all directories have in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from math import inf

import structlog

from lambdamesh.core.peering import NodeRecord

log = structlog.get_logger(__name__)

SPOKEN_S = 15.0
"""How long a node's own word stands against what others say of it; a link that is up renews it more often."""
DEAD_AFTER_S = 100.0
"""How long after its last word a node counts as alive."""
FORGET_AFTER_S = 24 * 3600.0
"""How long after its last word a node is still known, so that its lambdas are out of reach rather than unknown."""
KNOWN_NODES = 10_000
_ROOM = 100


class Word(IntEnum):
    """Whose word it is. A greater one is not overridden by a lesser, of the same instance."""

    HEARSAY = 0
    """Another node told of it."""
    LISTED = 1
    """It wrote of itself into a directory, which is not trusted."""
    HELLO = 2
    """It said hello over a link, behind its certificate."""


@dataclass(slots=True)
class _Entry:
    record: NodeRecord
    word: Word
    heard_at: float
    ticks: float
    hello_at: float
    """When it last said hello, by the monotonic clock; minus infinity where it never did."""
    former: str = ""
    """The instance that this one's hello put an end to: what is still told of that one is old."""
    has_left: bool = False


class Known:
    """The other nodes, each as the best word has it. Bounded: what is only hearsay, and oldest, gives way first.

    ``changed`` and ``failed`` are the port's; whoever builds the node sets them. ``clock`` is monotonic, ``unix`` the
    wall clock, in seconds.
    """

    def __init__(
        self,
        limit: int = KNOWN_NODES,
        *,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self.changed: Callable[[], None] = _nobody_asked
        self.failed: Callable[[str], None] = _nobody_cares
        self._me = NodeRecord(machine=0)
        self._entries: dict[int, _Entry] = {}
        self._limit = limit
        self._clock = clock
        self._unix = unix
        self._alive: set[int] = set()

    def knows(self, machine: int) -> bool:
        """Whether ``machine`` is another node of this mesh, alive or not."""
        return machine in self._entries

    def find(self, machine: int) -> NodeRecord | None:
        """Return what is known of another node."""
        entry = self._entries.get(machine)
        return None if entry is None else entry.record

    def nodes(self) -> tuple[NodeRecord, ...]:
        """Return every other node that is known, alive or not."""
        return tuple(entry.record for entry in self._entries.values())

    def heard_at(self, machine: int) -> float | None:
        """When a node was last heard of, in Unix seconds; ``None`` where it is not known."""
        entry = self._entries.get(machine)
        return None if entry is None else entry.heard_at

    def parted(self, machine: int) -> None:
        """There is no link to a node any more: others may say where it is now."""
        entry = self._entries.get(machine)
        if entry is not None:
            entry.hello_at = -inf

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """A node has said hello, or another has told of it; ``unix_s`` is when the node itself was heard."""
        if self._hear(record, Word.HEARSAY if is_hearsay else Word.HELLO, unix_s):
            self.changed()

    def overhear(self, words: Iterable[tuple[NodeRecord, float]]) -> None:
        """Another node has told of several, each with when it was heard."""
        is_news = False
        for record, unix_s in words:
            is_news |= self._hear(record, Word.HEARSAY, unix_s)
        if is_news:
            self.changed()

    # -- for the directories ------------------------------------------------------------------------------------

    def _hear(self, record: NodeRecord, word: Word, unix_s: float) -> bool:
        """Note what a link tells; return whether anything is different now. Each directory has its own clock."""
        raise NotImplementedError

    def _take(self, record: NodeRecord, word: Word, unix_s: float, ticks: float) -> bool:
        """Note what ``word`` says of a node, unless nobody can use that; return whether anything is different now.

        ``unix_s`` is when the node was heard; ``ticks`` the same by the directory's own clock.
        """
        is_hello = word is Word.HELLO
        if record.machine == self._me.machine:
            return False
        if is_hello:
            record = record.tamed()
        elif not record.is_sound:
            return False
        now_s = self._unix()
        unix_s = min(max(unix_s, 0.0), now_s)
        hello_at = self._clock() - (now_s - unix_s) if is_hello else -inf
        record = record.dated(now_s)
        entry = self._entries.get(record.machine)
        if entry is None:
            if not self._make_room(word):
                return False
            self._entries[record.machine] = _Entry(record, word, unix_s, ticks, hello_at)
            return True
        is_same = record.instance == entry.record.instance
        if not is_same and not self._is_newer(record, word, unix_s, entry):
            return False
        was, had_left = entry.record, entry.has_left
        if not is_same:
            # What the former instance was last heard to say counts no more: it may have been ahead of this one.
            former = was.instance if is_hello else entry.former
            self._entries[record.machine] = _Entry(record, word, max(unix_s, entry.heard_at), ticks, hello_at, former)
            return True
        if word >= entry.word:
            entry.record, entry.word = record, word
        entry.hello_at = max(entry.hello_at, hello_at)
        if word is not Word.HEARSAY:
            entry.has_left = False
        entry.heard_at, entry.ticks = max(entry.heard_at, unix_s), max(entry.ticks, ticks)
        return entry.record != was or entry.has_left != had_left

    def _is_newer(self, record: NodeRecord, word: Word, unix_s: float, entry: _Entry) -> bool:
        """Whether ``record``, of another instance than ``entry``, is of one that came after it."""
        if word is Word.HELLO:
            return True
        if record.instance == entry.former:
            return False
        # Whoever has claimed the id came after those that had it before, whatever its clock says.
        if word is Word.LISTED:
            return True
        # Nobody talks over one that has just spoken for itself.
        if self._clock() - entry.hello_at <= SPOKEN_S:
            return False
        if record.started_at and entry.record.started_at:
            return record.started_at > entry.record.started_at
        # Nobody knows which began later. By the fresher word all nodes come to the same in the end.
        return entry.word is not Word.LISTED and unix_s > entry.heard_at

    def _leave(self, machine: int) -> bool:
        """Note that a node said goodbye; return whether that is news."""
        entry = self._entries.get(machine)
        if entry is None or entry.has_left:
            return False
        entry.has_left = True
        self._alive.discard(machine)
        return True

    def _forget(self, before_ticks: float) -> None:
        # Not by the wall clock: one that is set right after the start would make all of them strangers.
        for machine in [machine for machine, entry in self._entries.items() if entry.ticks < before_ticks]:
            del self._entries[machine]

    def _lives(self, machine: int) -> bool:
        """Note that a node is alive; return whether that is news."""
        if machine in self._alive:
            return False
        self._alive.add(machine)
        return True

    def _only_live(self, alive: Iterable[int]) -> bool:
        """Note who is alive, for nodes that die without a word; return whether that is news."""
        was, self._alive = self._alive, set(alive)
        return self._alive != was

    def _make_room(self, word: Word) -> bool:
        if len(self._entries) < self._limit:
            return True
        weakest = [machine for machine, entry in self._entries.items() if entry.word is Word.HEARSAY]
        if not weakest:
            if word is Word.HEARSAY:
                return False
            weakest = list(self._entries)
        # Many at once, or each newcomer of a flood would cost a look at all.
        for machine in islice(sorted(weakest, key=lambda machine: self._entries[machine].heard_at), _ROOM):
            del self._entries[machine]
        return True


def log_death(task: asyncio.Task[None]) -> None:
    """Say in the log what has ended a task that was to go on for ever (a callback of it)."""
    if not task.cancelled() and task.exception() is not None:
        log.error("internal_error", exc_info=task.exception(), once_a_minute=True)


def _nobody_asked() -> None:
    pass


def _nobody_cares(reason: str) -> None:
    pass
