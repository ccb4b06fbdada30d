"""One node: builds the parts, starts them, drains them, stops them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

import lambdamesh
from lambdamesh.access.local_door import LocalDoor
from lambdamesh.access.resume_keys import ResumeKeys
from lambdamesh.core.budget import Budget
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import COUNTERS, Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.registry import Lambda, Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.wheel import Wheel
from lambdamesh.directory.alone import Alone
from lambdamesh.door.door import Core, Door, Facts
from lambdamesh.door.http import HttpConnection
from lambdamesh.door.listening import Listener, Population, listen_tcp, listen_unix
from lambdamesh.door.routes import Routes
from lambdamesh.errors import Draining
from lambdamesh.ids import LambdaId, Rays, Snowflakes, machine_id_text
from lambdamesh.protocol.session import SESSION_COUNTERS, SessionCounters
from lambdamesh.settings import ConfigError, Settings, Unix, parse_address
from lambdamesh.state import FLOOR_AHEAD_MS, State, StateError, default_path, open_state
from lambdamesh.telemetry.metrics import Exposition

log = structlog.get_logger(__name__)

SWEEP_S = 0.02
_SLOT_S = 0.01
_FLOOR_STEP_MS = 1_000
_RESERVED_DESCRIPTORS = 64
_LEAST_CONNECTIONS = 16
_CLOSE_PAUSE_S = 0.01
_FORGET_EVERY_S = 60.0
_WORKER = 0


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
    node.start()
    await node.stopped()
    return 0


class Node:
    """A node of one worker. Made inside of a running event loop."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._limits: Limits = settings.limits
        self._state = state
        now, unix_ms = time.monotonic(), _unix_ms()
        state.load_deleted(unix_ms / 1000)
        self._floor_ms = state.floor_ms()
        self._snowflakes = Snowflakes(_WORKER, self._floor_ms)
        self._first_ms = self._snowflakes.last_ms
        host_name = settings.host_name or socket.gethostname()
        facts = Facts(host_name, state.machine_id(settings.machine_id), lambdamesh.__version__)
        self._directory = Alone(facts.machine, host_name, facts.version)
        self._core = self._build_core(facts, now, unix_ms)
        keys = ResumeKeys(state.node_key(), "local", self._limits.resume_key_ttl_s)
        self.door = Door(self._core, facts, _local_door(settings), keys, self._directory)
        self._loop = asyncio.get_running_loop()
        self.door.call_soon = self._loop.call_soon
        self.door.routes = Routes(self.door)
        self.door.exposition = Exposition(self._counts, self._gauges)
        self._core.registry.publish = self._publish
        limit = self._limits.connections or _descriptor_limit()
        self._population = Population(limit, self._core.counters, self._core.wheel, self._core.clock)
        self.door.connection_closed = self._population.left
        self._listeners: list[Listener] = []
        self._tick_handle: asyncio.TimerHandle | None = None
        self._forget_at = now + _FORGET_EVERY_S
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    def _build_core(self, facts: Facts, now: float, unix_ms: int) -> Core:
        core = Core()
        core.limits = self._limits
        core.counters = Counters()
        core.sessions = SessionCounters()
        core.clock = Clock(now, unix_ms)
        core.wheel = Wheel(_SLOT_S, now)
        core.budget = Budget(self._limits.buffered_bytes)
        core.rays = Rays(facts.host_name, _WORKER, unix_ms)
        core.registry = Registry(facts.machine, self._limits, core.counters, core.wheel, self._directory, self._state)
        # Ids of this run lie above the floor, which may be ahead of the clock.
        core.registry.started_at, core.registry.started_ms = now, max(unix_ms, self._floor_ms)
        core.registry.claimed = self._skip
        core.registry.last_minted_ms = self._floor_ms
        core.relay = Relay(core.registry, core.wheel, self._limits, core.counters, core.budget, time.monotonic)
        core.relay.on_bug = core.wheel.on_bug = _log_bug
        core.mint = self._mint
        return core

    # -- start --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: an address cannot be had.
        """
        try:
            for sock in self._listening_sockets():
                self._listeners.append(Listener(sock, self._population, lambda peer: HttpConnection(self.door, peer)))
        except ConfigError:
            self._close_listeners()
            raise
        self._directory.address = self.address
        self.door.is_ready = True
        self._tick()
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

    def _mint(self, needs_key: bool) -> LambdaId:
        lambda_id = LambdaId(self.door.facts.machine, self._snowflakes.mint(_unix_ms(), needs_key))
        self._keep_floor_ahead()
        return lambda_id

    def _skip(self, lambda_id: LambdaId) -> None:
        """Never mint an id that somebody has claimed before its time."""
        if lambda_id.unix_ms >= self._snowflakes.last_ms:
            self._snowflakes.skip(lambda_id.unix_ms)
            self._keep_floor_ahead()

    def _keep_floor_ahead(self) -> None:
        last_ms = self._snowflakes.last_ms
        self._core.registry.last_minted_ms = last_ms
        if last_ms + _FLOOR_STEP_MS // 2 < self._floor_ms:
            return
        # Where ids run ahead of the clock they do so in small steps, or each restart would add a whole one.
        floor_ms = max(_unix_ms() + FLOOR_AHEAD_MS, last_ms + _FLOOR_STEP_MS)
        try:
            self._state.raise_floor(floor_ms)
            self._floor_ms = floor_ms
        except StateError as error:
            log.error("floor_not_written", why=str(error), once_a_minute=True)

    def _lower_floor(self) -> None:
        """Nothing more is minted: let the next run begin where this one ends, and not a step ahead of the clock."""
        if self._snowflakes.last_ms > self._first_ms:
            with contextlib.suppress(StateError):
                self._state.raise_floor(self._snowflakes.last_ms + 1)

    # -- what it tells ------------------------------------------------------------------------------------------

    def _publish(self, subject: Lambda, kind: str, detail: str) -> None:
        log.debug("lambda", kind=kind, lambda_id=subject.id.decode(), detail=detail)
        self.door.events.publish(subject, kind, detail)

    def _counts(self) -> dict[str, tuple[str, int]]:
        counters, sessions = self._core.counters, self._core.sessions
        counts = {name: (meaning, getattr(counters, name)) for name, meaning in COUNTERS}
        counts |= {name: (meaning, getattr(sessions, name)) for name, meaning in SESSION_COUNTERS}
        return counts

    def _gauges(self) -> dict[str, int]:
        live = self._core.registry.live.values()
        return {
            "lambdas": len(live),
            "waiting_lambdas": sum(held.seat is None for held in live),
            "calls_in_flight": self._calls_in_flight(),
            "connections": self._population.open,
            "websockets": len(self.door.sockets),
            "buffered_bytes": self._core.budget.used_bytes,
            "ready": int(self.door.is_ready),
        }

    def _calls_in_flight(self) -> int:
        live = self._core.registry.live.values()
        sent = sum(len(held.provider.pending) for held in live if held.provider is not None)
        return sent + sum(len(held.waiting or ()) for held in live)

    # -- end ----------------------------------------------------------------------------------------------------

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
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._lower_floor()
        log.info("stopped", hurried=self._hurry.is_set())

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


def _descriptor_limit() -> int:
    """Raise the limit of file descriptors as far as it goes; return how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(soft - _RESERVED_DESCRIPTORS, _LEAST_CONNECTIONS)


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
