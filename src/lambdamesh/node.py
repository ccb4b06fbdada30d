"""One node: builds the parts, starts them, drains them, stops them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import lambdamesh
from lambdamesh.access.holding_proofs import HoldingProofs
from lambdamesh.access.local_door import LocalDoor
from lambdamesh.access.resume_keys import ResumeKeys
from lambdamesh.core.asking import Asking
from lambdamesh.core.budget import Budget
from lambdamesh.core.claims import Claims
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.held import Lambda
from lambdamesh.core.homes import Homes
from lambdamesh.core.limits import Limits
from lambdamesh.core.peering import NodeRecord
from lambdamesh.core.places import Atlas, machine_of
from lambdamesh.core.reception import Reception
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Key
from lambdamesh.core.survey import Others
from lambdamesh.core.wheel import Wheel
from lambdamesh.core.words import ReadyWords
from lambdamesh.directory.alone import Alone
from lambdamesh.door.door import Core, Door, Facts
from lambdamesh.door.http import HttpConnection
from lambdamesh.door.listening import Listener, Population, connection_limit
from lambdamesh.door.routes import Routes
from lambdamesh.draining import Calls, drain
from lambdamesh.ids import Rays, machine_id_text
from lambdamesh.links.acquaintance import Acquaintance
from lambdamesh.links.connection import Wiring
from lambdamesh.links.links import Links
from lambdamesh.measures import Counting, Load, gauges, measures, mesh_gauges
from lambdamesh.minting import Mint
from lambdamesh.part import Part
from lambdamesh.protocol.session import SessionCounters
from lambdamesh.settings import ConfigError, Settings
from lambdamesh.sockets import IS_SPREAD, Sockets, open_local
from lambdamesh.state import State
from lambdamesh.telemetry.metrics import Exposition

if TYPE_CHECKING:
    from lambdamesh.membership import Membership

log = structlog.get_logger(__name__)

SWEEP_S = 0.02
_SLOT_S = 0.01
_FORGET_EVERY_S = 60.0
_SIBLINGS_S = 1.0
_MET_S = 5.0
_RELEARN_MS = 2_000  # for those that hold lambdas of this home to say so


class Node:
    """A node, or one worker of it. Made inside of a running event loop."""

    def __init__(self, settings: Settings, state: State, part: Part | None = None) -> None:
        self._settings = settings
        self._part = part = part or Part()
        self._limits: Limits = settings.limits
        self._state = state
        now, unix_ms = time.monotonic(), _unix_ms()
        state.load_deleted(unix_ms / 1000)
        self._host_name = host_name = settings.host_name or socket.gethostname()
        facts = Facts(host_name, state.machine_id(settings.machine_id), lambdamesh.__version__)
        self._mint = Mint(facts.machine, part.worker, state, _unix_ms)
        self._loop = asyncio.get_running_loop()
        self._alone = Alone(facts.machine, host_name, facts.version)
        self._links: Links | None = None
        self._membership = _membership(settings, facts, part)
        self._node_key = state.node_key()
        self._keys = ResumeKeys(self._node_key, Door.name, self._limits.resume_key_ttl_s)
        self._core = self._build_core(facts, now, unix_ms)
        self.door = Door(self._core, facts, _local_door(settings), self._keys, self)
        self.door.call_soon = self._loop.call_soon
        self.door.routes = Routes(self.door)
        self.counting = Counting(self._core, part)
        self.door.exposition = Exposition(self.counting.totals, self._gauges)
        if self._membership is not None:
            self.door.trouble = self._membership.trouble
        if self.door.mesh_events is not None:
            self._reception.follow = self.door.mesh_events.follow
            self._reception.ready = self._readiness
            self._reception.measures = lambda: measures(self.counting, self._gauges())
        self._core.registry.publish = self._publish
        limit = self._limits.connections or connection_limit()
        self._population = Population(limit, self._core.counters, self._core.wheel, self._core.clock)
        self.door.connection_closed = self._population.left
        self._listeners: list[Listener] = []
        self._sockets = Sockets([])
        self._load = Load()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._forget_at = now + _FORGET_EVERY_S
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self.failure: str | None = None
        """Why the node ends although nobody asked it to."""

    def _build_core(self, facts: Facts, now: float, unix_ms: int) -> Core:
        core = Core()
        core.limits = self._limits
        former = self._part.tally.read(self._part.worker)
        core.counters, core.sessions = Counters(former), SessionCounters(former)
        core.clock = Clock(now, unix_ms)
        core.wheel = Wheel(_SLOT_S, now)
        core.budget = Budget(self._limits.buffered_bytes)
        core.rays = Rays(facts.host_name, self._part.worker, unix_ms)
        directory = self._alone if self._membership is None else self._membership.directory
        atlas = Atlas(facts.machine, self._part.worker, self._part.workers)
        core.registry = Registry(atlas, self._limits, core.counters, core.wheel, directory, self._state)
        # Ids of this run lie above the floor, which may be ahead of the clock.
        highest_ms = self._state.highest_floor_ms()
        core.registry.started_at, core.registry.started_ms = now, max(unix_ms, highest_ms)
        core.registry.claimed = self._mint.skip
        core.registry.last_minted_ms = highest_ms
        self._mint.noted = partial(setattr, core.registry, "last_minted_ms")
        core.relay = Relay(core.registry, core.wheel, self._limits, core.counters, core.budget, time.monotonic)
        core.relay.on_bug = core.wheel.on_bug = _log_bug
        core.mint = self._mint.mint
        self._build_mesh(core)
        return core

    def _build_mesh(self, core: Core) -> None:
        """Build what has to do with other places, as far as there are any."""
        links = self._links = self._build_links(core)
        asking = None if links is None else Asking(links, core.wheel, time.monotonic)
        core.relay.links = links
        homes = self._homes = Homes(core.registry, core.relay, asking, core.clock, self._mint_key)
        homes.proofs = HoldingProofs(self._node_key)
        core.claims = Claims(core.registry, core.relay, homes, asking, core.clock, self._limits)
        core.others = core.siblings = None
        if links is None or asking is None:
            return
        self._reception = Reception(core.registry, core.relay, core.claims, homes)
        self._reception.judge = self._judge
        self._wiring.house, links.holder = self._reception, core.claims
        # What a worker tells that has just started is not to be missed.
        links.siblings.lost, links.siblings.found = self._part.lost, self._follow
        atlas, membership = core.registry.atlas, self._membership
        if not self._part.is_whole:
            core.others = core.siblings = Others(asking, lambda: atlas.siblings, _SIBLINGS_S)
        if membership is not None:
            core.others = Others(asking, membership.places, self._limits.listing_timeout_s)
            membership.failed = self._fail
            core.registry.relearned_ms = core.clock.unix_ms + _RELEARN_MS

    def _build_links(self, core: Core) -> Links | None:
        if self._membership is None and self._part.is_whole:
            return None
        wiring = self._wiring = Wiring(self._limits, core.counters, core.wheel, core.budget, core.clock, time.monotonic)
        wiring.call_soon = self._loop.call_soon
        wiring.holds = lambda: len(core.registry.live)
        atlas = core.registry.atlas
        if self._membership is not None:
            return self._membership.link(wiring, atlas)
        part = self._part
        me = NodeRecord(
            machine=machine_of(atlas.here), instance=part.instance, host=self._host_name, workers=part.workers
        )
        return Links(wiring, Acquaintance(me, self._alone, is_by_word=False), self._alone, atlas, None)

    def _mint_key(self, lambda_id: bytes, _door: str) -> bytes:
        return self._keys.mint(lambda_id, self._core.clock.unix_ms / 1000)

    def _judge(self, door: str, shown: bytes, lambda_id: bytes) -> Key:
        """Say what a key is worth that was shown at a door of another node."""
        return self.door.judge(shown, lambda_id) if door == self.door.name else Key.WRONG

    # -- start --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Join the mesh, if there is to be one, and listen. Raises: ConfigError."""
        self.join()
        self.listen()

    def join(self) -> None:
        """Begin to look for other nodes, and to be found. Raises: ConfigError."""
        self._tick()
        if self._membership is not None:
            self._membership.start()

    async def complete(self) -> None:
        """Wait until this node sees the whole mesh, or is stopped."""
        if self._membership is not None:
            await self._unless_stopped(self._membership.complete())

    async def _unless_stopped(self, event: Coroutine[Any, Any, None]) -> None:
        waits = [asyncio.create_task(event), asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def link(self, worker: int, pairing: int, sock: socket.socket) -> None:
        """Have a link to another worker of this node over a socket that both were given (``links.siblings``)."""
        assert self._links is not None, "the workers of a node have links to each other"
        await self._links.siblings.link(worker, pairing, sock)

    def take(self, accepted: socket.socket) -> None:
        """Take a connection of another node that another worker of this one has accepted."""
        if self._membership is None:
            accepted.close()
        else:
            self._membership.take(accepted)

    async def met(self) -> None:
        """Wait until there is a link to each other worker of the node, or this one is stopped, but not for ever."""
        if self._links is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._unless_stopped(self._links.siblings.met()), _MET_S)

    def reload(self) -> None:
        """Read secret and certificates of the mesh again."""
        if self._membership is not None:
            self._membership.reload()

    def listen(self) -> None:
        """Open the local door. Raises: ConfigError."""
        own = self._part.local
        self._sockets = Sockets(open_local(self._settings) if own is None else own)
        for sock in self._sockets.local:
            self._listeners.append(Listener(sock, self._population, lambda peer: HttpConnection(self.door, peer)))
        self._alone.address = self.address
        self.door.is_ready = True
        # What lives as long as the node is not looked at again by each collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)
        if self._part.is_whole:
            log.info("node_started", machine_id=machine_id_text(self.door.facts.machine), pid=os.getpid())
        for listener in self._listeners:
            listener.resume()
            if self._part.is_whole:
                log.info("listening", door="local", address=listener.address)
        self._follow()

    @property
    def address(self) -> str:
        """Where the local door listens; the first address, where there are several."""
        return self._listeners[0].address

    @property
    def advertised(self) -> str:
        """Where other nodes are told to dial this one; empty where it has no mesh door."""
        return "" if self._membership is None else self._membership.address

    # -- time ---------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._tick_handle = self._loop.call_later(SWEEP_S, self._tick)
        core, now = self._core, time.monotonic()
        clock = core.clock
        clock.now, clock.unix_ms = now, _unix_ms()
        core.rays.tick(clock.unix_ms)
        self.door.status_lines.tick(clock.unix_ms // 1000)
        core.wheel.sweep(now)
        self._load.turn(now, time.thread_time())
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_S
            self._state.forget_deleted(clock.unix_ms / 1000)
            if self._links is not None:
                self._links.forget()
                self._homes.forget_lost(self._links.is_lost, now)

    # -- what it tells ------------------------------------------------------------------------------------------

    def _publish(self, subject: Lambda, kind: str, detail: str) -> None:
        log.debug("lambda", kind=kind, lambda_id=subject.id.decode(), detail=detail)
        self.door.publish(subject, kind, detail)

    def _follow(self) -> None:
        if self.door.mesh_events is not None:
            self.door.mesh_events.start(time.monotonic())

    def _gauges(self) -> dict[str, float]:
        of_loop = {"tasks": len(asyncio.all_tasks(self._loop)), "loop_block_seconds": self._load.longest_s}
        return (
            gauges(self._core, self.door, self._population.open) | mesh_gauges(self._membership, self._links) | of_loop
        )

    def _readiness(self) -> ReadyWords:
        starting = None if self.door.is_ready else f"worker {self._part.worker} is being started"
        return ReadyWords(self._core.relay.draining, starting or self.door.trouble())

    def listing(self, unix_s: float) -> list[dict[str, object]]:
        """Every node that is known, this one included (``door.ports.Peers``)."""
        lambdas = len(self._core.registry.live) + (0 if self._links is None else self._links.siblings.lambdas())
        if self._membership is not None:
            return self._membership.listing(unix_s, lambdas)
        mine: dict[str, object] = {"state": "me", "latency_ms": 0, "lambdas": lambdas}
        return [row | mine for row in self._alone.listing(unix_s)]

    # -- end ----------------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        """This node may not go on: another is what it says that it is."""
        log.error("node_failed", why=reason)
        self.failure = reason
        self._hurry.set()
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has stopped it, perhaps before it listened."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Drain; called again, stop at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def leave(self) -> None:
        """Shut the doors at the end of a drain, also for whoever has copies of their sockets: all of the node ends."""
        for listener in self._listeners:
            listener.is_last = IS_SPREAD

    async def stopped(self) -> None:
        """Wait until somebody stops the node, drain it, and return when it has ended."""
        await self._stopping.wait()
        calls = Calls(self._core.registry, self._links)
        await drain(self.door, self._listeners, self._population, calls, self._hurry)
        self._close_listeners()
        if self.door.mesh_events is not None:
            self.door.mesh_events.stop()
        if self._links is not None:
            self._links.siblings.stop()
        if self._membership is not None:
            await self._membership.stop()
        elif self._links is not None:
            await self._links.close()
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._mint.lower_floor()
        log.info("stopped", hurried=self._hurry.is_set())

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._sockets.close(with_files=self._part.is_whole)


def _membership(settings: Settings, facts: Facts, part: Part) -> Membership | None:
    if not settings.joins:
        return None
    # A node that joins no others does not wait for cryptography to load.
    from lambdamesh.membership import Membership

    return Membership(settings, facts.machine, facts.host_name, part)


def _local_door(settings: Settings) -> LocalDoor:
    token: bytes | None = None
    if settings.local_token_file:
        try:
            token = Path(settings.local_token_file).read_bytes().strip()
        except OSError as error:
            raise ConfigError(f"local_token_file: {settings.local_token_file}: {error.strerror}") from None
        if not token:
            raise ConfigError(f"local_token_file: {settings.local_token_file} is empty: write a token into it")
    return LocalDoor(
        settings.allow_host,
        settings.allow_origin,
        is_dev=settings.dev,
        is_behind_proxy=settings.local_behind_proxy,
        token=token,
    )


def _log_bug() -> None:
    log.exception("internal_error", once_a_minute=True)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
