"""All links of a worker: one to each place that it has to do with, dialled when first needed, and again when lost."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from functools import partial

import structlog

from lambdamesh.core.flight import Flight
from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.core.places import WORKERS_MOST, Atlas, machine_of, place_of, place_text, worker_of
from lambdamesh.core.ports import LinkSeat, Provider
from lambdamesh.core.routing import out_of_reach
from lambdamesh.errors import MeshError, Recovering
from lambdamesh.ids import machine_id_text
from lambdamesh.links.acquaintance import TOPIC, Acquaintance, record_of
from lambdamesh.links.connection import Connection, Wiring
from lambdamesh.links.dialler import Dialler
from lambdamesh.links.peer import Peer, State, pause_s
from lambdamesh.links.ports import Holder, Trust
from lambdamesh.links.siblings import Siblings
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.link_exchange import LinkClosed
from lambdamesh.protocol.link_frames import Goodbye, Hello, PeerHint

log = structlog.get_logger(__name__)

_QUIET_S = 2.0
_RETIRE_S = 1.0
"""Two sides that dial each other at the same time have two links for so long."""
_FRESH_S = 2.0
"""A link that was heard so lately is alive: another node with its machine id is a second one."""


class Links:
    """The ways to other places (``core.ports.Links``; ``links.connection.Owner``). Made inside of an event loop.

    ``trust`` is ``None`` on a node that joins no others: its workers trust the sockets they were born with.
    ``quiet`` is set once all links have closed of a worker that stops.
    """

    def __init__(
        self, wiring: Wiring, acquaintance: Acquaintance, directory: Directory, atlas: Atlas, trust: Trust | None
    ) -> None:
        self._wiring = wiring
        self._acquaintance = acquaintance
        self._directory = directory
        self._atlas = atlas
        self._trust = trust
        acquaintance.worker = worker_of(atlas.here)
        wiring.versions = acquaintance.versions
        atlas.workers_of = self._workers_of
        self._loop = asyncio.get_running_loop()
        self._peers: dict[int, Peer] = {}
        self.siblings = Siblings(wiring, self, atlas, self._peers)
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

    def _workers_of(self, machine: int) -> int:
        record = self._directory.find(machine)
        return 1 if record is None else record.workers

    # -- calls and questions (``core.ports.Links``) -------------------------------------------------------------

    def seat(self, place: int) -> LinkSeat | MeshError:
        """Return where calls for ``place`` are sent, or why none can be."""
        peer = self._peers.get(place)
        if peer is not None and peer.best is not None:
            return peer.best
        return self._seat_of_absent(place)

    def _seat_of_absent(self, place: int) -> LinkSeat | MeshError:
        peer, machine = self._peers.get(place), machine_of(place)
        if self._atlas.is_own(place):
            return Recovering(f"worker {worker_of(place)} of this node is being started again: try again")
        if peer is None or peer.state is State.IDLE:
            record = self._directory.find(machine)
            if record is None or not record.address or self._is_stopping:
                return out_of_reach(machine, self._directory)
            peer = self._peer(place)
            if self._acquaintance.is_by_word or self._directory.is_alive(machine, time.time()):
                peer.state = State.CONNECTING
            else:
                # Nobody waits for it, but should it be there all the same, the next call finds it.
                peer.fail("it has not been heard of for long")
            self.dialler.reach(peer)
        return peer.refusal if peer.state is State.DOWN else peer.waits()

    def ask(self, place: int, topic: str, body: bytes, answer: Pending) -> tuple[Provider, int] | None:
        """Ask a worker something; return who owes the answer and under which number."""
        seat = self.seat(place)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        return seat.provider, seat.provider.ask(topic, body, answer)

    def tell(self, place: int, topic: str, body: bytes) -> None:
        """Tell a worker something, if it can be reached."""
        seat = self.seat(place)
        if not isinstance(seat, MeshError):
            seat.provider.tell(topic, body)

    # -- what it looks like -------------------------------------------------------------------------------------

    def peer(self, place: int) -> Peer | None:
        """Return what is known of the way to a place; ``None`` where there never was one."""
        return self._peers.get(place)

    def is_up(self, place: int) -> bool:
        """Whether there is a link to a place."""
        peer = self._peers.get(place)
        return peer is not None and peer.is_up()

    def peers_of(self, machine: int) -> list[Peer]:
        """Return what is known of the ways to the workers of a node, those with a link first."""
        peers = [peer for peer in map(self._peers.get, self._atlas.places_of(machine)) if peer is not None]
        return sorted(peers, key=Peer.is_up, reverse=True)

    def is_linked(self, machine: int) -> bool:
        """Whether there is a link to any worker of a node."""
        return any(peer.is_up() for peer in self.peers_of(machine))

    def is_lost(self, place: int) -> bool:
        """Whether a place is out of reach; one that nobody has tried lately is tried."""
        if self.is_up(place):
            return False
        peer, has_gone = self._peers.get(place), worker_of(place) >= self._workers_of(machine_of(place))
        if has_gone or (peer is not None and peer.state is State.DOWN):
            return True
        is_alive = self._directory.is_alive(machine_of(place), time.time())
        return not is_alive and isinstance(self.seat(place), MeshError)

    def calls_in_flight(self) -> int:
        """Count the calls that entered here, or passed through, and that another node has not answered yet."""
        links = [connection.link for connection in self._connections]
        return sum(isinstance(answer, Flight) for link in links for answer in link.pending.values())

    def gauges(self) -> dict[str, int]:
        """Count workers of other nodes with a link, exchanges that wait for other places, bytes that wait for links."""
        return {
            "links": sum(peer.is_up() and not self._atlas.is_own(peer.place) for peer in self._peers.values()),
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
            if peer.state is State.DOWN and self._is_new(peer.place):
                peer.rest()
        for place in self.holder.homes():
            # A home that has started anew does not know that its lambdas are here: the link tells it.
            if self._is_new(place):
                self.seat(place)

    def forget(self) -> None:
        """Forget nodes that nobody knows any more; called now and then."""
        for place in [peer.place for peer in self._peers.values() if peer.is_forgotten(self._directory)]:
            if not self._atlas.is_own(place):
                del self._peers[place]

    def _is_new(self, place: int) -> bool:
        peer, record = self._peers.get(place), self._directory.find(machine_of(place))
        if record is None or worker_of(place) >= record.workers:
            return False
        return peer is None or peer.instance != record.instance

    def stop(self) -> None:
        """Begin nothing more; links close once nothing is in flight on them."""
        self._is_stopping = True
        self.dialler.stop()
        for connection in tuple(self._connections):
            connection.leave("the node is going down")
        if not self._connections:
            self.quiet.set()

    async def close(self) -> None:
        """Stop, and return once nothing is in flight; what takes too long is cut."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.quiet.wait(), _QUIET_S)
        self._abort()

    def _abort(self) -> None:
        """Cut what is left."""
        for connection in tuple(self._connections):
            connection.fail("the node is going down")

    def _peer(self, place: int) -> Peer:
        return self._peers.setdefault(place, Peer(place))

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

    def identify(self, connection: Connection, ssl_object: ssl.SSLObject | None) -> int:
        """Return the machine on the other side: this one's own where the socket is from the start."""
        if connection.sibling is not None:
            return machine_of(self._atlas.here)
        assert self._trust is not None, "only a node that joins others has such connections"
        assert ssl_object is not None, "they are made with TLS"
        return self._trust.identity(ssl_object)

    def greeted(self, connection: Connection, hello: Hello) -> None:
        """See whether a node is welcome."""
        record = record_of(hello, connection)
        if record.machine != connection.machine:
            proven = machine_id_text(connection.machine)
            raise LinkClosed(
                f"it says that it is the node {hello.machine}, and its certificate is that of {proven}", is_refusal=True
            )
        if not 0 <= hello.worker < WORKERS_MOST:
            raise LinkClosed(f"it says that it is worker {hello.worker}, and there are {WORKERS_MOST} at most")
        peer = self._peer(place_of(record.machine, hello.worker))
        if connection.sibling is None:
            self._meet(connection, peer, record)
            connection.record = record
        connection.place = peer.place
        connection.dialler = peer.place if connection.dialled is None else self._atlas.here
        connection.link.name = f"{record.host} ({place_text(peer.place)})"
        connection.welcome = partial(self._welcome, connection, peer, record, hello.peers)
        self._loop.call_soon(connection.settle)

    def _meet(self, connection: Connection, peer: Peer, record: NodeRecord) -> None:
        me = self._acquaintance.me
        if connection.dialled is not None:
            self.dialler.met[connection.dialled] = peer
            self._directory.answered(connection.dialled, record)
        if record.machine == me.machine:
            connection.is_oneself = record.instance == me.instance
            raise _not_another(record, me)
        places = (place_of(record.machine, worker) for worker in range(WORKERS_MOST))
        for other in filter(None, map(self._peers.get, places)):
            # Whichever worker it is: a second node may have more of them.
            if other.instance not in ("", record.instance):
                self._refuse_second(other)

    def _refuse_second(self, peer: Peer) -> None:
        for other in tuple(peer.connections):
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
        peer = self._peers.setdefault(peer.place, peer)
        peer.instance, peer.name = record.instance, f"{record.host} ({place_text(peer.place)})"
        self._wiring.counters.links_opened += 1
        if connection.sibling is not None:
            self._loop.call_soon(self.siblings.linked)
        else:
            before = self._directory.find(record.machine)
            self.dialler.met_again(peer, (record.address, "" if before is None else before.address))
            # First of all how many workers it has now: of which of them a lambda is depends on that.
            self._acquaintance.learn(record, time.time(), is_hearsay=False)
        # What it must know before any call, and again whenever words may have been lost: which of its lambdas are here.
        connection.link.tell(*self.holder.holding(peer.place))
        for other in peer.connections:
            # Whoever dials again may have lost a link that looks alive from here.
            other.look()
            self._loop.call_later(_RETIRE_S, self._retire, peer)
        peer.up(connection)
        tell = log.info if connection.sibling is None else log.debug
        tell("link_up", node=peer.name, address=connection.peer_address, dialled=connection.dialled is not None)
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
        peer = self._peers.get(connection.place)
        if peer is not None:
            peer.choose()
            self._note_parted(peer)

    def _note_parted(self, peer: Peer) -> None:
        machine = machine_of(peer.place)
        if not self.is_linked(machine):
            self._directory.parted(machine)

    def ponged(self, connection: Connection) -> None:
        """A node is there: its word is fresh."""
        if connection.record is not None:
            self._acquaintance.hears(connection.record)
        peer = self._peers.get(connection.place)
        if peer is not None and len(peer.connections) > 1:
            peer.choose()

    def lost(self, connection: Connection, why: str) -> None:
        """A link is over."""
        self._connections.pop(connection, None)
        if self._is_stopping and not self._connections:
            self.quiet.set()
        peer = self._peers.get(connection.place)
        if connection.sibling is not None and not self._is_stopping:
            # Who has not said hello has none of these.
            self._loop.call_soon(self.siblings.look_for, connection.sibling)
        if peer is None or connection not in peer.connections:
            return
        peer.gone(connection, why)
        self._note_parted(peer)
        if not connection.link.has_parted:
            self._wiring.counters.links_lost += 1
            log.warning("link_lost", node=peer.name, why=why)
            if peer.best is not None:
                # Words were lost with it: the other side's are told again there, where it is lost as well.
                peer.best.link.tell(*self.holder.holding(peer.place))
        if peer.state is State.DOWN and not self._is_stopping and connection.sibling is None:
            self.dialler.reach(peer, pause_s(peer.failures, self._wiring.limits.link_redial_s))

    # -- nodes that learn of each other -------------------------------------------------------------------------

    def told(self, connection: Connection, topic: str, body: bytes) -> None:
        """Hear of other nodes."""
        if topic == TOPIC:
            self._acquaintance.hear(body)

    def _spread(self, words: bytes, but: int) -> None:
        for peer in tuple(self._peers.values()):
            if peer.best is not None and machine_of(peer.place) != but:
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
