"""What nodes tell each other of themselves and of third ones: hellos, and words that pass on from node to node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.ids import machine_id_text, parse_machine_id
from lambdamesh.links.connection import Connection
from lambdamesh.protocol.link_frames import VERSIONS, WORKERS_VERSION, Hello, PeerHint

TOPIC = "peers"
"""The topic under which nodes tell of third ones."""
SPREAD_S = 30.0
"""How often a node tells which others it has heard of, where there is no other way to know."""
_HINTS = 256
"""How many nodes a hello or a word tells of, and how many of what it tells are heard."""
_WORD_BYTES = 1024 * 1024
"""No node has so much to say of so many."""
_FRESH_S = 100.0
_LONGEST_AGE_S = 1e9
_HEARD_EVERY_S = 5.0


class Acquaintance:
    """Writes and reads hellos. ``is_by_word``: nodes learn of one another by each other's word, and in no other way.

    ``spread`` sends words to every node with a link but one (0: to all). A hello always tells of others: whoever dials
    may have no other way to know.
    """

    def __init__(self, me: NodeRecord, directory: Directory, *, is_by_word: bool) -> None:
        self.me = me
        self.worker = 0
        """Which of the workers of this node speaks."""
        self.is_by_word = is_by_word
        self.spread: Callable[[bytes, int], None] = lambda _words, _but: None
        self._directory = directory
        self._told_last = 0

    def hello(self, *, is_kept: bool) -> Hello:
        """Say who this node is."""
        me = self.me
        return Hello(
            machine=machine_id_text(me.machine),
            instance=me.instance,
            host=me.host,
            address=me.address,
            version=me.version,
            versions=self.versions,
            worker=self.worker,
            workers=me.workers,
            started_at=me.started_at,
            is_kept=is_kept,
            peers=[self._hint(record) for record in self._known()[-_HINTS:]],
        )

    @property
    def versions(self) -> tuple[int, int]:
        """The versions of links that are spoken: the parts of a node of several can be told apart in the later ones."""
        return VERSIONS if self.me.workers == 1 else (WORKERS_VERSION, VERSIONS[1])

    def words(self) -> bytes:
        """Say which nodes this one has heard of, and when: of more than 256 the next so many, in turn."""
        worth_telling = sorted(self._worth_telling(), key=lambda record: record.machine)
        first = next((at for at, record in enumerate(worth_telling) if record.machine > self._told_last), 0)
        part = (worth_telling[first:] + worth_telling[:first])[:_HINTS]
        if part:
            self._told_last = part[-1].machine
        return msgspec.json.encode([self._hint(record) for record in part])

    @property
    def pause_s(self) -> float:
        """How long after words the next are due, so that all that is worth telling is told every 30 s."""
        return SPREAD_S / max(-(-len(self._worth_telling()) // _HINTS), 1)

    def _worth_telling(self) -> list[NodeRecord]:
        """Every node that counts as alive, and of the others the freshest as far as one word has room for them."""
        known, now_s = self._known(), time.time()
        fresh = sum(now_s - (self._directory.heard_at(record.machine) or 0.0) <= _FRESH_S for record in known)
        return known[-max(fresh, _HINTS) :]

    def _known(self) -> list[NodeRecord]:
        """Every node with an address, the freshest last."""
        known = [record for record in self._directory.nodes() if record.address]
        known.sort(key=lambda record: self._directory.heard_at(record.machine) or 0.0)
        return known

    def _hint(self, record: NodeRecord) -> PeerHint:
        now_s = time.time()
        return PeerHint(
            machine=machine_id_text(record.machine),
            address=record.address,
            host=record.host,
            instance=record.instance,
            version=record.version,
            workers=record.workers,
            started_at=record.started_at,
            age_s=max(now_s - (self._directory.heard_at(record.machine) or now_s), 0.0),
        )

    def hear(self, words: bytes) -> None:
        """Another node tells of third ones."""
        if len(words) > _WORD_BYTES:
            return
        try:
            self.hear_hints(msgspec.json.decode(words, type=list[PeerHint]))
        except msgspec.MsgspecError:
            return

    def hear_hints(self, hints: list[PeerHint]) -> None:
        """The same, as a hello says it: of so many as one word may tell."""
        heard = list(self._read(hints[:_HINTS]))
        before = self._whereabouts({record.machine for record, _ in heard})
        self._directory.overhear(heard)
        self._tell_news(before)

    def _read(self, hints: list[PeerHint]) -> Iterator[tuple[NodeRecord, float]]:
        """Read what can be used of hints; the directory has the last word on whether anybody can be dialled so."""
        now_s = time.time()
        for hint in hints:
            try:
                machine = parse_machine_id(hint.machine)
            except ValueError:
                continue
            if machine == self.me.machine or hint.age_s > _LONGEST_AGE_S:
                continue
            record = NodeRecord(
                machine=machine,
                instance=hint.instance,
                host=hint.host,
                address=hint.address,
                version=hint.version,
                workers=hint.workers,
                started_at=hint.started_at,
            )
            yield record, now_s - max(hint.age_s, 0.0)

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """Remember a node that was heard at ``unix_s``, and tell the others where that is news."""
        before = self._whereabouts({record.machine})
        self._directory.learn(record, unix_s, is_hearsay=is_hearsay)
        self._tell_news(before)

    def _whereabouts(self, machines: Iterable[int]) -> dict[int, tuple[str, str]]:
        found = {machine: self._directory.find(machine) for machine in machines}
        return {machine: _whereabouts_of(record) for machine, record in found.items()}

    def _tell_news(self, before: dict[int, tuple[str, str]]) -> None:
        """Have others hear, where there is no other way, of those that are not where they were ``before``."""
        if not self.is_by_word:
            return
        now = {machine: self._directory.find(machine) for machine in before}
        news = [
            record
            for machine, record in now.items()
            if record is not None and record.address and _whereabouts_of(record) != before[machine]
        ]
        if news:
            but = news[0].machine if len(news) == 1 else 0
            self.spread(msgspec.json.encode([self._hint(record) for record in news]), but)

    def hears(self, record: NodeRecord) -> None:
        """A node whose hello was ``record`` has said something."""
        now_s, heard_s = time.time(), self._directory.heard_at(record.machine)
        if heard_s is None or now_s - heard_s >= _HEARD_EVERY_S:
            self._directory.learn(record, now_s, is_hearsay=False)


def record_of(hello: Hello, connection: Connection) -> NodeRecord:
    """Read a hello, without what cannot be used of it; machine 0, which is none, where it names none."""
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
    ).tamed()


def _whereabouts_of(record: NodeRecord | None) -> tuple[str, str]:
    return ("", "") if record is None else (record.instance, record.address)


def _reachable(address: str, connection: Connection) -> str:
    """Where a node can be dialled that listens on all addresses and does not know by which others reach it."""
    if address and not address.startswith(":"):
        return address
    if connection.dialled is not None:
        return connection.dialled
    host = connection.peer_address.rpartition(":")[0]
    return (f"[{host}]{address}" if ":" in host else host + address) if address else ""
