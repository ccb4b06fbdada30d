"""One node: builds the parts, starts them, drains them, stops them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

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
from lambdamesh.core.reception import Reception
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Key
from lambdamesh.core.survey import Others
from lambdamesh.core.wheel import Wheel
from lambdamesh.directory.alone import Alone
from lambdamesh.door.door import Core, Door, Facts
from lambdamesh.door.http import HttpConnection
from lambdamesh.door.listening import Listener, Population, connection_limit, listen_tcp, listen_unix
from lambdamesh.door.routes import Routes
from lambdamesh.errors import Draining
from lambdamesh.ids import Rays, machine_id_text
from lambdamesh.links.connection import Wiring
from lambdamesh.measures import calls_in_flight, counts, gauges
from lambdamesh.minting import Mint
from lambdamesh.protocol.session import SessionCounters
from lambdamesh.settings import ConfigError, Settings, Unix, parse_address
from lambdamesh.state import State, StateError, default_path, open_state
from lambdamesh.telemetry.metrics import Exposition

if TYPE_CHECKING:
    from lambdamesh.membership import Membership

log = structlog.get_logger(__name__)

SWEEP_S = 0.02
_SLOT_S = 0.01
_CLOSE_PAUSE_S = 0.01
_FORGET_EVERY_S, _WORKER = 60.0, 0
_RELEARN_MS = 2_000  # for those that hold lambdas of this home to say so


def serve(settings: Settings) -> int:
    """Run a node until SIGTERM or SIGINT, and return the exit code of the process.

    Raises:
        ConfigError: what is configured cannot be had: an address, the state directory, a token file.
    """
    try:
        state = open_state(Path(settings.state) if settings.state else default_path(os.environ))
    except StateError as error:
        raise ConfigError(str(error)) from None
    with contextlib.closing(state), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_run(settings, state))
        except StateError as error:
            raise ConfigError(str(error)) from None


async def _run(settings: Settings, state: State) -> int:
    node = Node(settings, state)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop)
    if settings.joins:
        loop.add_signal_handler(signal.SIGHUP, node.reload)
    node.join()
    if settings.require_directory:
        await node.complete()
    if not node.is_stopping:
        node.listen()
    await node.stopped()
    if node.failure is not None:
        raise ConfigError(node.failure)
    return 0


class Node:
    """A node of one worker. Made inside of a running event loop."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._limits: Limits = settings.limits
        self._state = state
        now, unix_ms = time.monotonic(), _unix_ms()
        state.load_deleted(unix_ms / 1000)
        host_name = settings.host_name or socket.gethostname()
        facts = Facts(host_name, state.machine_id(settings.machine_id), lambdamesh.__version__)
        self._mint = Mint(facts.machine, _WORKER, state, _unix_ms)
        self._loop = asyncio.get_running_loop()
        self._alone = Alone(facts.machine, host_name, facts.version)
        self._membership = _membership(settings, facts)
        self._node_key = state.node_key()
        self._keys = ResumeKeys(self._node_key, Door.name, self._limits.resume_key_ttl_s)
        self._core = self._build_core(facts, now, unix_ms)
        self.door = Door(self._core, facts, _local_door(settings), self._keys, self)
        self.door.call_soon = self._loop.call_soon
        self.door.routes = Routes(self.door)
        self.door.exposition = Exposition(lambda: counts(self._core), self._gauges)
        if self._membership is not None:
            self.door.trouble = self._membership.trouble
            if self.door.mesh_events is not None:
                self._reception.follow = self.door.mesh_events.follow
        self._core.registry.publish = self._publish
        limit = self._limits.connections or connection_limit()
        self._population = Population(limit, self._core.counters, self._core.wheel, self._core.clock)
        self.door.connection_closed = self._population.left
        self._listeners: list[Listener] = []
        self._tick_handle: asyncio.TimerHandle | None = None
        self._forget_at = now + _FORGET_EVERY_S
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self.failure: str | None = None
        """Why the node ends although nobody asked it to."""

    def _build_core(self, facts: Facts, now: float, unix_ms: int) -> Core:
        core = Core()
        core.limits = self._limits
        core.counters = Counters()
        core.sessions = SessionCounters()
        core.clock = Clock(now, unix_ms)
        core.wheel = Wheel(_SLOT_S, now)
        core.budget = Budget(self._limits.buffered_bytes)
        core.rays = Rays(facts.host_name, _WORKER, unix_ms)
        directory = self._alone if self._membership is None else self._membership.directory
        core.registry = Registry(facts.machine, self._limits, core.counters, core.wheel, directory, self._state)
        # Ids of this run lie above the floor, which may be ahead of the clock.
        core.registry.started_at, core.registry.started_ms = now, max(unix_ms, self._mint.floor_ms)
        core.registry.claimed = self._mint.skip
        core.registry.last_minted_ms = self._mint.floor_ms
        self._mint.noted = partial(setattr, core.registry, "last_minted_ms")
        core.relay = Relay(core.registry, core.wheel, self._limits, core.counters, core.budget, time.monotonic)
        core.relay.on_bug = core.wheel.on_bug = _log_bug
        core.mint = self._mint.mint
        self._build_mesh(core)
        return core

    def _build_mesh(self, core: Core) -> None:
        """Build what has to do with other nodes, as far as there are any."""
        membership, asking, links = self._membership, None, None
        if membership is not None:
            wiring = Wiring(self._limits, core.counters, core.wheel, core.budget, core.clock, time.monotonic)
            wiring.call_soon = self._loop.call_soon
            wiring.holds = lambda: len(core.registry.live)
            links = core.relay.links = membership.link(wiring)
            asking = Asking(links, core.wheel, time.monotonic)
        homes = self._homes = Homes(core.registry, core.relay, asking, core.clock, self._mint_key)
        core.claims = Claims(core.registry, core.relay, homes, asking, core.clock, self._limits)
        core.others = None
        if membership is not None and links is not None and asking is not None:
            self._reception = Reception(core.registry, core.relay, core.claims, homes)
            self._reception.judge = self._judge
            homes.proofs = HoldingProofs(self._node_key)
            wiring.house, links.holder = self._reception, core.claims
            core.others = Others(asking, membership.machines)
            membership.failed = self._fail
            core.registry.relearned_ms = core.clock.unix_ms + _RELEARN_MS

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
            waits = [asyncio.create_task(self._membership.complete()), asyncio.create_task(self._stopping.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def reload(self) -> None:
        """Read secret and certificates of the mesh again."""
        if self._membership is not None:
            self._membership.reload()

    def listen(self) -> None:
        """Open the local door. Raises: ConfigError."""
        try:
            for sock in self._listening_sockets():
                self._listeners.append(Listener(sock, self._population, lambda peer: HttpConnection(self.door, peer)))
        except ConfigError:
            self._close_listeners()
            raise
        self._alone.address = self.address
        self.door.is_ready = True
        # What lives as long as the node is not looked at again by each collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)
        log.info("node_started", machine_id=machine_id_text(self.door.facts.machine), pid=os.getpid())
        for listener in self._listeners:
            listener.resume()
            log.info("listening", door="local", address=listener.address)

    def _listening_sockets(self) -> Iterator[socket.socket]:
        user_timeout_s = self._limits.write_deadline_s
        is_default = self._settings.local == Settings().local
        for text in self._settings.local:
            address = parse_address(text)
            try:
                if isinstance(address, Unix):
                    yield listen_unix(address.path)
                else:
                    yield listen_tcp(address.host, address.port, user_timeout_s)
            except OSError as error:
                if is_default and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and self._listeners:
                    log.info("address_not_there", address=text)
                    continue
                reason = error.strerror or str(error)
                raise ConfigError(
                    f"local = {text}: cannot listen there ({reason}): choose another with --local"
                ) from None

    @property
    def address(self) -> str:
        """Where the local door listens; the first address, where there are several."""
        return self._listeners[0].address

    # -- time ---------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._tick_handle = self._loop.call_later(SWEEP_S, self._tick)
        core, now = self._core, time.monotonic()
        clock = core.clock
        clock.now, clock.unix_ms = now, _unix_ms()
        core.rays.tick(clock.unix_ms)
        self.door.status_lines.tick(clock.unix_ms // 1000)
        core.wheel.sweep(now)
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_S
            self._state.forget_deleted(clock.unix_ms / 1000)
            if self._membership is not None:
                self._membership.links.forget()
                self._homes.forget_lost(self._membership.links.is_lost, now)

    # -- what it tells ------------------------------------------------------------------------------------------

    def _publish(self, subject: Lambda, kind: str, detail: str) -> None:
        log.debug("lambda", kind=kind, lambda_id=subject.id.decode(), detail=detail)
        self.door.publish(subject, kind, detail)

    def _gauges(self) -> dict[str, int]:
        return gauges(self._core, self.door, self._population.open, self._membership)

    def listing(self, unix_s: float) -> list[dict[str, object]]:
        """Every node that is known, this one included (``door.ports.Peers``)."""
        lambdas = len(self._core.registry.live)
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

    async def stopped(self) -> None:
        """Wait until somebody stops the node, drain it, and return when it has ended."""
        await self._stopping.wait()
        log.info("draining", calls=self._calls_in_flight(), sockets=len(self.door.sockets))
        self.door.is_ready = False
        self._core.relay.draining = True
        self._core.registry.drain(time.monotonic())
        await self._until(lambda: self._calls_in_flight() == 0, self._limits.drain_s)
        await self._close_sockets()
        for connection in tuple(self.door.connections):
            connection.drain()
        await self._until(lambda: self._population.open == 0, self._limits.close_timeout_s)
        self._close_listeners()
        if self._membership is not None:
            await self._membership.stop()
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._mint.lower_floor()
        log.info("stopped", hurried=self._hurry.is_set())

    def _calls_in_flight(self) -> int:
        passing = 0 if self._membership is None else self._membership.links.calls_in_flight()
        return calls_in_flight(self._core.registry) + passing

    async def _close_sockets(self) -> None:
        sockets = tuple(self.door.sockets)
        pause_s = min(self._limits.drain_spread_s / max(len(sockets), 1), _CLOSE_PAUSE_S)
        begun_at = time.monotonic()
        for number, websocket in enumerate(sockets):
            websocket.close(Draining.close_code, "draining", "drained")
            ahead_s = begun_at + number * pause_s - time.monotonic()
            if ahead_s > 0:
                await self._until(lambda: False, ahead_s)

    async def _until(self, is_done: Callable[[], bool], limit_s: float) -> None:
        """Wait until ``is_done()``, a time, or the second signal."""
        ends_at = time.monotonic() + limit_s
        while not is_done() and not self._hurry.is_set():
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), min(left_s, SWEEP_S))

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()


def _membership(settings: Settings, facts: Facts) -> Membership | None:
    if not settings.joins:
        return None
    # A node that joins no others does not wait for cryptography to load.
    from lambdamesh.membership import Membership

    return Membership(settings, facts.machine, facts.host_name)


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


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _log_bug() -> None:
    log.exception("internal_error", once_a_minute=True)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
