"""All links of a node: one to each node that it has to do with, dialled when first needed, and again when lost."""

from __future__ import annotations

import asyncio
import ssl
import time
from functools import partial

import structlog

from lambdamesh.core.flight import Flight
from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.core.ports import LinkSeat, Provider
from lambdamesh.core.routing import out_of_reach
from lambdamesh.errors import MeshError
from lambdamesh.ids import LambdaId, machine_id_text
from lambdamesh.links.acquaintance import TOPIC, Acquaintance, record_of
from lambdamesh.links.connection import Connection, Wiring
from lambdamesh.links.dialler import Dialler
from lambdamesh.links.peer import Peer, State, pause_s
from lambdamesh.links.ports import Holder, Trust
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.link_exchange import LinkClosed
from lambdamesh.protocol.link_frames import Goodbye, Hello, PeerHint

log = structlog.get_logger(__name__)

_RETIRE_S = 1.0
"""Two sides that dial each other at the same time have two links for so long."""
_FRESH_S = 2.0
"""A link that was heard so lately is alive: another node with its machine id is a second one."""


class Links:
    """The ways to other nodes (``core.ports.Links``; ``links.connection.Owner``). Made inside of an event loop.

    ``quiet`` is set once all links have closed of a node that stops.
    """

    def __init__(self, wiring: Wiring, acquaintance: Acquaintance, directory: Directory, trust: Trust) -> None:
        self._wiring = wiring
        self._acquaintance = acquaintance
        self._directory = directory
        self._trust = trust
        self._loop = asyncio.get_running_loop()
        self._peers: dict[int, Peer] = {}
        self._connections: dict[Connection, None] = {}
        self._is_stopping = False
        self._holder: Holder
        self.dialler = Dialler(wiring.limits, wiring.counters, directory, trust, self.connection)
        self.quiet = asyncio.Event()
        acquaintance.spread = self._spread

    @property
    def holder(self) -> Holder:
        """What is held here of other homes."""
        return self._holder

    @holder.setter
    def holder(self, holder: Holder) -> None:
        self._holder = self.dialler.holder = holder

    # -- calls and questions (``core.ports.Links``) -------------------------------------------------------------

    def seat(self, machine: int) -> LinkSeat | MeshError:
        """Return where calls for ``machine`` are sent, or why none can be."""
        peer = self._peers.get(machine)
        if peer is not None and peer.best is not None:
            return peer.best
        return self._seat_of_absent(machine)

    def _seat_of_absent(self, machine: int) -> LinkSeat | MeshError:
        peer = self._peers.get(machine)
        if peer is None or peer.state is State.IDLE:
            record = self._directory.find(machine)
            if record is None or not record.address or self._is_stopping:
                return out_of_reach(LambdaId(machine, 0), self._directory)
            peer = self._peer(machine)
            if self._acquaintance.is_by_word or self._directory.is_alive(machine, time.time()):
                peer.state = State.CONNECTING
            else:
                # Nobody waits for it, but should it be there all the same, the next call finds it.
                peer.fail("it has not been heard of for long")
            self.dialler.reach(peer)
        return peer.refusal if peer.state is State.DOWN else peer.waits()

    def ask(self, machine: int, topic: str, body: bytes, answer: Pending) -> tuple[Provider, int] | None:
        """Ask a node something; return who owes the answer and under which number."""
        seat = self.seat(machine)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        return seat.provider, seat.provider.ask(topic, body, answer)

    def tell(self, machine: int, topic: str, body: bytes) -> None:
        """Tell a node something, if it can be reached."""
        seat = self.seat(machine)
        if not isinstance(seat, MeshError):
            seat.provider.tell(topic, body)

    # -- what it looks like -------------------------------------------------------------------------------------

    def peer(self, machine: int) -> Peer | None:
        """Return what is known of the way to a node; ``None`` where there never was one."""
        return self._peers.get(machine)

    def is_up(self, machine: int) -> bool:
        """Whether there is a link to a node."""
        peer = self._peers.get(machine)
        return peer is not None and peer.is_up()

    def is_lost(self, machine: int) -> bool:
        """Whether a node is out of reach; one that nobody has tried lately is tried."""
        peer = self._peers.get(machine)
        if peer is not None and peer.is_up():
            return False
        if peer is not None and peer.state is State.DOWN:
            return True
        is_alive = self._directory.is_alive(machine, time.time())
        return not is_alive and isinstance(self.seat(machine), MeshError)

    def calls_in_flight(self) -> int:
        """Count the calls that entered here, or passed through, and that another node has not answered yet."""
        links = [connection.link for connection in self._connections]
        return sum(isinstance(answer, Flight) for link in links for answer in link.pending.values())

    def gauges(self) -> dict[str, int]:
        """Count nodes with a link, exchanges of this node that wait for others, and bytes that wait for links."""
        return {
            "links": sum(peer.is_up() for peer in self._peers.values()),
            "link_calls": sum(len(connection.link.pending) for connection in self._connections),
            "link_waiting_bytes": sum(connection.link.outbox.size_bytes for connection in self._connections),
        }

    # -- start and end ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Have nodes hear of one another, where nobody else tells them."""
        if self._acquaintance.is_by_word:
            self._loop.call_later(self._acquaintance.pause_s, self._spread_again)

    def refresh(self) -> None:
        """The directory has changed: keep links to its seeds, and look again at nodes that have started anew."""
        if self._is_stopping:
            return
        self.dialler.keep(self._directory.seeds())
        for peer in self._peers.values():
            if peer.state is State.DOWN and self._is_new(peer.machine):
                peer.rest()
        for machine in self.holder.homes():
            # A home that has started anew does not know that its lambdas are here: the link tells it.
            if self._is_new(machine):
                self.seat(machine)

    def forget(self) -> None:
        """Forget nodes that nobody knows any more; called now and then."""
        for machine in [peer.machine for peer in self._peers.values() if peer.is_forgotten(self._directory)]:
            del self._peers[machine]

    def _is_new(self, machine: int) -> bool:
        peer, record = self._peers.get(machine), self._directory.find(machine)
        return record is not None and (peer is None or peer.instance != record.instance)

    def stop(self) -> None:
        """Begin nothing more; links close once nothing is in flight on them."""
        self._is_stopping = True
        self.dialler.stop()
        for connection in tuple(self._connections):
            connection.leave("the node is going down")
        if not self._connections:
            self.quiet.set()

    def abort(self) -> None:
        """Cut what is left."""
        for connection in tuple(self._connections):
            connection.fail("the node is going down")

    def _peer(self, machine: int) -> Peer:
        return self._peers.setdefault(machine, Peer(machine))

    # -- connections (``Owner``) --------------------------------------------------------------------------------

    def connection(self, dialled: str | None = None, is_kept: bool = False) -> Connection:
        """Make what speaks with another node; ``dialled`` is its address, ``None`` where it has dialled this one."""
        return Connection(self._wiring, self, dialled, is_kept)

    def turned_away(self) -> None:
        """Somebody at the mesh door was no node of this mesh."""
        self._wiring.counters.links_refused += 1

    def hello(self, connection: Connection) -> Hello:
        """Say who this node is."""
        self._connections[connection] = None
        return self._acquaintance.hello(is_kept=connection.is_kept)

    def identify(self, ssl_object: ssl.SSLObject) -> int:
        """Return the machine that a certificate names."""
        return self._trust.identity(ssl_object)

    def greeted(self, connection: Connection, hello: Hello) -> None:
        """See whether a node is welcome."""
        record, me = record_of(hello, connection), self._acquaintance.me
        if record.machine != connection.machine:
            proven = machine_id_text(connection.machine)
            raise LinkClosed(
                f"it says that it is the node {hello.machine}, and its certificate is that of {proven}", is_refusal=True
            )
        peer = self._peer(record.machine)
        if connection.dialled is not None:
            self.dialler.met[connection.dialled] = peer
            self._directory.answered(connection.dialled, record)
        if record.machine == me.machine:
            connection.is_oneself = record.instance == me.instance
            raise _not_another(record, me)
        self._refuse_second(peer, record)
        connection.record = record
        connection.dialler = record.machine if connection.dialled is None else me.machine
        connection.link.name = f"{record.host} ({hello.machine})"
        connection.welcome = partial(self._welcome, connection, peer, record, hello.peers)
        self._loop.call_soon(connection.settle)

    def _refuse_second(self, peer: Peer, record: NodeRecord) -> None:
        for other in tuple(peer.connections):
            if peer.instance in ("", record.instance):
                return
            if other.heard_within(_FRESH_S):
                raise LinkClosed(
                    f"the machine id of {peer.name} is in use by another node that is alive, unless that one has just "
                    "been cut off; dial again, or give this one another (--machine-id, or a state directory of its own "
                    "that was not copied)",
                    is_refusal=True,
                )
            other.look()
            raise LinkClosed(
                f"there is a link already to {peer.name}, from an earlier start or from another node with its machine "
                "id; whether that is still there is asked right now: dial again",
                is_refusal=True,
            )

    def _welcome(self, connection: Connection, peer: Peer, record: NodeRecord, hints: list[PeerHint]) -> None:
        if not connection.link.is_up or connection.link.has_parted:
            return
        peer = self._peers.setdefault(peer.machine, peer)
        peer.instance, peer.name = record.instance, f"{record.host} ({machine_id_text(record.machine)})"
        self._wiring.counters.links_opened += 1
        # What it must know before any call, and again whenever words may have been lost: which of its lambdas are here.
        connection.link.tell(*self.holder.holding(record.machine))
        before = self._directory.find(record.machine)
        self.dialler.met_again(peer, (record.address, "" if before is None else before.address))
        self._acquaintance.learn(record, time.time(), is_hearsay=False)
        for other in peer.connections:
            # Whoever dials again may have lost a link that looks alive from here.
            other.look()
            self._loop.call_later(_RETIRE_S, self._retire, peer)
        peer.up(connection)
        log.info("link_up", node=peer.name, address=connection.peer_address, dialled=connection.dialled is not None)
        self._acquaintance.hear_hints(hints)

    def _retire(self, peer: Peer) -> None:
        peer.choose()
        for connection in tuple(peer.connections):
            if connection is not peer.best and connection.link.is_up:
                connection.leave("there are two links, and this is one too many")

    def leaving(self, connection: Connection) -> None:
        """This side begins nothing more here."""
        self._choose_anew(connection)

    def parting(self, connection: Connection, goodbye: Goodbye) -> None:
        """The other side begins nothing more here."""
        connection.link.part("as you wish")
        self._choose_anew(connection)

    def _choose_anew(self, connection: Connection) -> None:
        peer = self._peers.get(connection.machine)
        if peer is not None:
            peer.choose()
            if not peer.is_up():
                self._directory.parted(peer.machine)

    def ponged(self, connection: Connection) -> None:
        """A node is there: its word is fresh."""
        if connection.record is not None:
            self._acquaintance.hears(connection.record)
        peer = self._peers.get(connection.machine)
        if peer is not None and len(peer.connections) > 1:
            peer.choose()

    def lost(self, connection: Connection, why: str) -> None:
        """A link is over."""
        self._connections.pop(connection, None)
        if self._is_stopping and not self._connections:
            self.quiet.set()
        peer = self._peers.get(connection.machine)
        if peer is None or connection not in peer.connections:
            return
        peer.gone(connection, why)
        if not peer.is_up():
            self._directory.parted(peer.machine)
        if not connection.link.has_parted:
            self._wiring.counters.links_lost += 1
            log.warning("link_lost", node=peer.name, why=why)
            if peer.best is not None:
                # Words were lost with it: the other side's are told again there, where it is lost as well.
                peer.best.link.tell(*self.holder.holding(peer.machine))
        if peer.state is State.DOWN and not self._is_stopping:
            self.dialler.reach(peer, pause_s(peer.failures, self._wiring.limits.link_redial_s))

    # -- nodes that learn of each other -------------------------------------------------------------------------

    def told(self, connection: Connection, topic: str, body: bytes) -> None:
        """Hear of other nodes."""
        if topic == TOPIC:
            self._acquaintance.hear(body)

    def _spread(self, words: bytes, but: int) -> None:
        for peer in tuple(self._peers.values()):
            if peer.best is not None and peer.machine != but:
                peer.best.link.tell(TOPIC, words)

    def _spread_again(self) -> None:
        if not self._is_stopping:
            self._spread(self._acquaintance.words(), 0)
            self._loop.call_later(self._acquaintance.pause_s, self._spread_again)


def _not_another(record: NodeRecord, me: NodeRecord) -> LinkClosed:
    """Say what is wrong with a node that has this node's machine id."""
    if record.instance == me.instance:
        return LinkClosed("that is this node itself", is_refusal=True)
    text = machine_id_text(record.machine)
    log.error("machine_id_taken", machine_id=text, host=record.host, address=record.address, once_a_minute=True)
    return LinkClosed(
        f"two nodes have the machine id {text}: {record.host} at {record.address} and {me.host}; give one of them "
        "another (--machine-id, or a state directory of its own that was not copied)",
        is_refusal=True,
    )
