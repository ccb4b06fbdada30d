"""A directory in memory, for tests of many nodes: whoever starts is seen by all at once, and whoever stops, gone."""

from __future__ import annotations

from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.known import DEAD_AFTER_S, Known, Word


class Together:
    """One mesh. ``now_s`` is its time, in Unix seconds, moved by the test."""

    def __init__(self, now_s: float = 1_711_843_200.0) -> None:
        self.now_s = now_s
        self.members: dict[int, Member] = {}
        self.is_cut = False
        """Whether nobody hears of anybody any more."""

    def member(self) -> Member:
        """A directory of one more node, to be started."""
        return Member(self)


class Member(Known):
    """What one node knows of the mesh."""

    def __init__(self, mesh: Together) -> None:
        super().__init__()
        self._mesh = mesh

    async def start(self, me: NodeRecord) -> None:
        """See the others, and be seen."""
        self._me = me
        former = self._mesh.members.get(me.machine)
        if former is not None:
            self.failed(f"machine id {me.machine:08x} is that of {former.me.host}")
            return
        self._mesh.members[me.machine] = self
        for other in self._others():
            self._take(other.me, Word.LISTED, self._mesh.now_s, 0.0)
            if other._take(me, Word.LISTED, self._mesh.now_s, 0.0):
                other.changed()
        self.changed()

    async def stop(self) -> None:
        """Be gone for the others."""
        if self._mesh.members.get(self._me.machine) is not self:
            return
        del self._mesh.members[self._me.machine]
        for other in self._others():
            if other._leave(self._me.machine):
                other.changed()

    @property
    def me(self) -> NodeRecord:
        return self._me

    def _others(self) -> list[Member]:
        return [member for member in self._mesh.members.values() if member is not self]

    def complete(self) -> bool:
        return not self._mesh.is_cut

    def trouble(self) -> str | None:
        return "the mesh of this test is cut: join it" if self._mesh.is_cut else None

    def is_alive(self, machine: int, unix_s: float) -> bool:
        entry = self._entries.get(machine)
        if entry is None or entry.has_left:
            return False
        # Members are heard of as long as they are there.
        return machine in self._mesh.members or unix_s - entry.heard_at <= DEAD_AFTER_S

    def seeds(self) -> tuple[str, ...]:
        return ()

    def answered(self, seed: str, record: NodeRecord) -> None:
        pass

    def _hear(self, record: NodeRecord, word: Word, unix_s: float) -> bool:
        return self._take(record, word, unix_s, 0.0)
