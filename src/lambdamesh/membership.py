"""A node among others: whom it trusts, how it finds them, the links to them, and what it says of all that."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

import lambdamesh
from lambdamesh.access.mesh_errors import TrustError
from lambdamesh.access.mesh_trust import MeshTrust
from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.core.places import Atlas
from lambdamesh.directory.known import log_death
from lambdamesh.directory.nats import Nats
from lambdamesh.directory.own_address import address_of_name, address_towards, is_for_others, places
from lambdamesh.directory.several import Several
from lambdamesh.directory.static import Static
from lambdamesh.ids import machine_id_text
from lambdamesh.links.acquaintance import Acquaintance
from lambdamesh.links.connection import Wiring
from lambdamesh.links.links import Links
from lambdamesh.links.mesh_door import MeshDoor
from lambdamesh.links.peer import Peer
from lambdamesh.part import Part
from lambdamesh.settings import ConfigError, Settings
from lambdamesh.sockets import open_mesh

log = structlog.get_logger(__name__)

REPORT_S = 5.0
"""When a node says at the latest what it has joined, or why not."""
_SETTLE_S = 0.5
_QUIET_S = 2.0


class Membership:
    """This node in its mesh. Made inside of an event loop; ``failed`` is told why the node may not go on.

    Raises:
        ConfigError: a secret, a certificate or an address cannot be used.
    """

    def __init__(self, settings: Settings, machine: int, host: str, part: Part) -> None:
        self._settings = settings
        self._part = part
        self._loop = asyncio.get_running_loop()
        self._me = NodeRecord(
            machine=machine,
            instance=part.instance,
            host=host,
            version=lambdamesh.__version__,
            workers=part.workers,
            started_at=part.started_at,
        )
        self._trust = _trust(settings, machine)
        self.directory = self._directory()
        self._acquaintance = Acquaintance(self._me, self.directory, is_by_word=settings.nats is None)
        self.links: Links
        self.failed: Callable[[str], None] = lambda _reason: None
        self._door: MeshDoor | None = None
        self._complete = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._report_handle: asyncio.TimerHandle | None = None
        self._has_reported = False

    def _directory(self) -> Directory:
        settings = self._settings
        directories: list[Directory] = []
        if settings.peer or settings.nats is None:
            directories.append(Static(settings.peer, recovering_s=settings.limits.recovering_s))
        access = settings.nats_access
        if access is not None:
            directories.append(Nats(access, self._probe, is_speaker=self._part.worker == 0))
        return directories[0] if len(directories) == 1 else Several(tuple(directories))

    async def _probe(self, address: str) -> NodeRecord | None:
        return await self.links.dialler.probe(address)

    def link(self, wiring: Wiring, atlas: Atlas) -> Links:
        """Make the links of this worker."""
        self._atlas = atlas
        self.links = Links(wiring, self._acquaintance, self.directory, atlas, self._trust)
        return self.links

    # -- start and end ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the mesh door and begin to look for others.

        Raises:
            ConfigError: the address of the door cannot be had.
        """
        sock = self._part.mesh or open_mesh(self._settings)
        limits = self._settings.limits
        self._door = MeshDoor(sock, self.links.connection, self._trust, limits.link_hello_s)
        self._door.worker, self._door.hand_over = self._part.worker, self._part.hand_over
        self._door.turned_away = self.links.turned_away
        self._be(_without_everywhere(self._settings.advertise or self._door.address))
        self.links.start()
        self._door.open(limits.link_arriving, limits.link_arriving_address)
        if self._part.is_whole:
            log.info("listening", door="mesh", address=self._door.address, advertised=self._me.address)
        self.directory.changed = self._changed
        self.directory.failed = self.failed
        task = self._loop.create_task(self._begin(sock.family))
        task.add_done_callback(log_death)
        self._tasks.append(task)
        self._report_handle = self._loop.call_later(REPORT_S, self._report)

    def _be(self, address: str) -> None:
        """Tell others to dial ``address``; ``:port`` where they are to see for themselves."""
        self._me = self._acquaintance.me = msgspec.structs.replace(self._me, address=address)

    async def _begin(self, family: int) -> None:
        port = self._me.address
        if port.startswith(":"):
            own = await self._own_address(family)
            if own:
                self._be((f"[{own}]" if ":" in own else own) + port)
        # In a hello the other side sees where it comes from; in a list nobody could dial it.
        is_whole = not self._me.address.startswith(":")
        await self.directory.start(self._me if is_whole else msgspec.structs.replace(self._me, address=""))
        self._changed()
        if not self._settings.peer and self._settings.nats is None:
            self._loop.call_later(_SETTLE_S, self._report)

    async def complete(self) -> None:
        """Wait until every machine that there is would be known here."""
        await self._complete.wait()

    async def stop(self) -> None:
        """Leave the mesh: links close once nothing is in flight on them."""
        if self._report_handle is not None:
            self._report_handle.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.directory.stop(), _QUIET_S)
        if self._door is not None:
            self._door.close()
        await self.links.close()
        for task in self._tasks:
            task.cancel()

    def reload(self) -> None:
        """Read secret or certificates again, for the handshakes from now on; links that are up stay."""
        try:
            self._trust.reload()
        except TrustError as error:
            log.error("mesh_trust_not_reloaded", why=str(error))
        else:
            log.info("mesh_trust_reloaded")

    async def _own_address(self, family: int) -> str:
        """Find by which address others may dial this machine; empty where they are to see for themselves."""
        settings = self._settings
        own = await address_towards(places(settings.peer, settings.nats), family)
        if own and is_for_others(own):
            return own
        if settings.nats is not None:
            # Whoever reads it there has never seen this node: a guess is better than nothing.
            own = await address_of_name(socket.gethostname(), family) or own
        elif not own:
            return ""
        why = "the mesh door listens on all addresses, and none of --peer and --nats shows by which others reach it"
        log.warning("address_guessed", address=own, why=f"{why}: say what they are to dial with --advertise HOST:PORT")
        return own

    # -- what it says -------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self.links.refresh()
        if self.directory.complete() and not self._complete.is_set():
            self._complete.set()
            self._loop.call_later(_SETTLE_S, self._report)

    def _report(self) -> None:
        """Say once what was joined, or what is wrong and how to mend it."""
        if self._has_reported:
            return
        self._has_reported = True
        nodes = self.directory.nodes()
        known = [f"{record.host or machine_id_text(record.machine)} at {record.address}" for record in nodes[:8]]
        why = self.trouble()
        if why is not None:
            log.warning("mesh_incomplete", why=why, nodes=len(nodes))
        elif nodes:
            log.info("mesh_joined", nodes=len(nodes), known=known)
        else:
            log.info("mesh_empty", why="no other node is there yet; they find this one", dial=self._me.address)

    def trouble(self) -> str | None:
        """Say in a sentence why this node does not see the whole mesh, and what to do; ``None`` where all is well."""
        reasons = [reason for reason in (self.directory.trouble(), *self.links.dialler.trouble.values()) if reason]
        return "; ".join(dict.fromkeys(reasons)) or None

    @property
    def address(self) -> str:
        """Where other nodes dial this one."""
        return self._me.address

    def machines(self) -> tuple[int, ...]:
        """Every other node that counts as alive."""
        now_s = time.time()
        records = self.directory.nodes()
        return tuple(record.machine for record in records if self._is_alive(record.machine, now_s))

    def places(self) -> tuple[int, ...]:
        """Every other worker that counts as alive, those of this node first."""
        others = (place for machine in self.machines() for place in self._atlas.places_of(machine))
        return (*self._atlas.siblings, *others)

    def take(self, accepted: socket.socket) -> None:
        """See whether somebody is a node whom another worker of this one has accepted."""
        if self._door is None:
            accepted.close()
            return
        try:
            peer = str(accepted.getpeername()[0])
        except OSError:
            accepted.close()
        else:
            self._door.take(accepted, peer)

    def _is_alive(self, machine: int, unix_s: float) -> bool:
        return self.links.is_linked(machine) or self.directory.is_alive(machine, unix_s)

    def listing(self, unix_s: float, lambdas: int) -> list[dict[str, object]]:
        """Every node, this one first (contract: ``/peers``)."""
        mine = _row(self._me, unix_s, is_alive=True) | {"me": True, "state": "me", "latency_ms": 0, "lambdas": lambdas}
        return [mine, *(self._row_of(record, unix_s) for record in self.directory.nodes())]

    def _row_of(self, record: NodeRecord, unix_s: float) -> dict[str, object]:
        peers = self.links.peers_of(record.machine)
        peer = next(iter(peers), None)
        is_alive = self._is_alive(record.machine, unix_s)
        best = None if peer is None else peer.best
        heard_s = unix_s if best is not None else self.directory.heard_at(record.machine) or 0.0
        latency_s = None if best is None else best.pulse.latency_s
        state = "idle" if peer is None else peer.state.value
        return _row(record, heard_s, is_alive=is_alive) | {
            "me": False,
            "state": state if is_alive or state == "down" else "dead",
            "latency_ms": None if latency_s is None else round(latency_s * 1000, 3),
            "lambdas": _lambdas_of(peers, record.workers),
        }


def _without_everywhere(address: str) -> str:
    """Leave the host out that stands for every address of this machine: nobody else can dial it."""
    host, _, port = address.rpartition(":")
    return f":{port}" if host in ("0.0.0.0", "[::]") else address


def _trust(settings: Settings, machine: int) -> MeshTrust:
    try:
        return MeshTrust(
            machine=machine,
            secret_file=settings.mesh_secret_file,
            ca_file=settings.mesh_ca,
            cert_file=settings.mesh_cert,
            key_file=settings.mesh_key,
        )
    except TrustError as error:
        raise ConfigError(str(error)) from None


def _lambdas_of(peers: Sequence[Peer], workers: int) -> int | None:
    """Return how many lambdas a node holds; ``None`` unless all of its workers have said so."""
    said = [peer.best.peer_lambdas for peer in peers if peer.best is not None]
    counts = [count for count in said if count is not None]
    return sum(counts) if len(counts) == workers else None


def _row(record: NodeRecord, heard_s: float, *, is_alive: bool) -> dict[str, object]:
    return {
        "machine_id": machine_id_text(record.machine),
        "host": record.host,
        "address": record.address,
        "version": record.version,
        "heartbeat": _time_text(heard_s),
        "alive": is_alive,
    }


def _time_text(unix_s: float) -> str:
    """Write a time as it is listed; one that the calendar does not have as its beginning."""
    try:
        time_at = datetime.fromtimestamp(unix_s, UTC)
    except (ValueError, OverflowError, OSError):
        time_at = datetime.fromtimestamp(0, UTC)
    return time_at.astimezone().isoformat(timespec="milliseconds")
