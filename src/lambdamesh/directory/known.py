"""What a node knows of the others, whoever told it: the part that all directories have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from lambdamesh.core.peering import NodeRecord

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
    former: str = ""
    """The instance that this one's hello put an end to: what is still told of that one is old."""
    has_left: bool = False


class Known:
    """The other nodes, each as the best word has it. Bounded: what is only hearsay, and oldest, gives way first.

    ``changed`` and ``failed`` are the port's; whoever builds the node sets them.
    """

    def __init__(self, limit: int = KNOWN_NODES) -> None:
        self.changed: Callable[[], None] = _nobody_asked
        self.failed: Callable[[str], None] = _nobody_cares
        self._me = NodeRecord(machine=0)
        self._entries: dict[int, _Entry] = {}
        self._limit = limit
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

    # -- for the directories ------------------------------------------------------------------------------------

    def _take(self, record: NodeRecord, word: Word, unix_s: float, ticks: float) -> bool:
        """Note what ``word`` says of a node; return whether anything is different now.

        ``unix_s`` is when the node was heard; ``ticks`` the same by the directory's own clock.
        """
        if record.machine == self._me.machine:
            return False
        entry = self._entries.get(record.machine)
        if entry is None:
            if not self._make_room(word):
                return False
            self._entries[record.machine] = _Entry(record, word, unix_s, ticks)
            return True
        is_same = record.instance == entry.record.instance
        if not is_same and not _is_newer(record, word, entry):
            return False
        was, had_left = entry.record, entry.has_left
        if not is_same:
            # What the former instance was last heard to say counts no more: it may have been ahead of this one.
            former = was.instance if word is Word.HELLO else entry.former
            self._entries[record.machine] = _Entry(record, word, max(unix_s, entry.heard_at), ticks, former)
            return True
        if word >= entry.word:
            entry.record, entry.word = record, word
        if word is not Word.HEARSAY:
            entry.has_left = False
        entry.heard_at, entry.ticks = max(entry.heard_at, unix_s), max(entry.ticks, ticks)
        return entry.record != was or entry.has_left != had_left

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


def _is_newer(record: NodeRecord, word: Word, entry: _Entry) -> bool:
    """Whether ``record``, of another instance than ``entry``, is of one that came after it."""
    if word is Word.HELLO:
        return True
    if record.instance == entry.former:
        return False
    if record.started_at and entry.record.started_at:
        return record.started_at > entry.record.started_at
    return word >= entry.word


def _nobody_asked() -> None:
    pass


def _nobody_cares(reason: str) -> None:
    pass
