"""What nodes tell each other of themselves and of third ones: hellos, and words that pass on from node to node."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.ids import machine_id_text, parse_machine_id
from lambdamesh.links.connection import Connection
from lambdamesh.protocol.link_frames import Hello, PeerHint

TOPIC = "peers"
"""The topic under which nodes tell of third ones."""
SPREAD_S = 30.0
"""How often a node tells which others it has heard of, where there is no other way to know."""
_HINTS = 256
_HEARD_EVERY_S = 20.0


class Acquaintance:
    """Writes and reads hellos. ``is_by_word``: nodes learn of one another by each other's word, and in no other way.

    ``spread`` sends words to every node with a link but one.
    """

    def __init__(self, me: NodeRecord, directory: Directory, *, is_by_word: bool) -> None:
        self.me = me
        self.is_by_word = is_by_word
        self.spread: Callable[[bytes, int], None] = lambda _words, _but: None
        self._directory = directory

    def hello(self, *, is_kept: bool) -> Hello:
        """Say who this node is."""
        me = self.me
        return Hello(
            machine=machine_id_text(me.machine),
            instance=me.instance,
            host=me.host,
            address=me.address,
            version=me.version,
            workers=me.workers,
            started_at=me.started_at,
            is_kept=is_kept,
            peers=self._hints() if self.is_by_word else [],
        )

    def words(self) -> bytes:
        """Say which nodes this one has heard of, and when."""
        return msgspec.json.encode(self._hints())

    def _hints(self) -> list[PeerHint]:
        known = [record for record in self._directory.nodes() if record.address]
        known.sort(key=lambda record: self._directory.heard_at(record.machine) or 0.0)
        return [self._hint(record) for record in known[-_HINTS:]]

    def _hint(self, record: NodeRecord) -> PeerHint:
        now_s = time.time()
        return PeerHint(
            machine=machine_id_text(record.machine),
            address=record.address,
            host=record.host,
            instance=record.instance,
            version=record.version,
            started_at=record.started_at,
            age_s=max(now_s - (self._directory.heard_at(record.machine) or now_s), 0.0),
        )

    def hear(self, words: bytes) -> None:
        """Another node tells of third ones."""
        try:
            self.hear_hints(msgspec.json.decode(words, type=list[PeerHint]))
        except msgspec.MsgspecError:
            return

    def hear_hints(self, hints: list[PeerHint]) -> None:
        """The same, as a hello says it."""
        for hint in hints:
            try:
                machine = parse_machine_id(hint.machine)
            except ValueError:
                continue
            if machine != self.me.machine:
                record = NodeRecord(
                    machine=machine,
                    instance=hint.instance,
                    host=hint.host,
                    address=hint.address,
                    version=hint.version,
                    started_at=hint.started_at,
                )
                self.learn(record, time.time() - max(hint.age_s, 0.0), is_hearsay=True)

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """Remember a node that was heard at ``unix_s``, and tell the others where that is news."""
        before = self._directory.find(record.machine)
        self._directory.learn(record, unix_s, is_hearsay=is_hearsay)
        known = self._directory.find(record.machine)
        if known is None or not (self.is_by_word and known.address):
            return
        if before is None or (known.instance, known.address) != (before.instance, before.address):
            self.spread(msgspec.json.encode([self._hint(known)]), record.machine)

    def hears(self, machine: int) -> None:
        """A node whose hello is known has said something."""
        record, now_s = self._directory.find(machine), time.time()
        heard_s = self._directory.heard_at(machine)
        if record is not None and (heard_s is None or now_s - heard_s >= _HEARD_EVERY_S):
            self._directory.learn(record, now_s, is_hearsay=False)


def record_of(hello: Hello, connection: Connection) -> NodeRecord:
    """Read a hello; machine 0, which is none, where it names none."""
    try:
        machine = parse_machine_id(hello.machine)
    except ValueError:
        machine = 0
    return NodeRecord(
        machine=machine,
        instance=hello.instance,
        host=hello.host,
        address=_reachable(hello.address, connection),
        version=hello.version,
        workers=hello.workers,
        started_at=hello.started_at,
    )


def _reachable(address: str, connection: Connection) -> str:
    """Where a node can be dialled that listens on all addresses and does not know by which others reach it."""
    if address and not address.startswith(":"):
        return address
    if connection.dialled is not None:
        return connection.dialled
    host = connection.peer_address.rpartition(":")[0]
    return (f"[{host}]{address}" if ":" in host else host + address) if address else ""
