"""A worker: a node's process, told by its supervisor which part of the node it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import msgspec
import structlog

from lambdamesh.node import Node
from lambdamesh.part import Part
from lambdamesh.settings import ConfigError, Settings
from lambdamesh.state import State, StateError
from lambdamesh.telemetry.logs import configure
from lambdamesh.telemetry.tally import Tally
from lambdamesh.workers.channel import Channel
from lambdamesh.workers.serving import loop_factory
from lambdamesh.workers.words import (
    Arrival,
    Assignment,
    Beat,
    Failed,
    HandOver,
    Lost,
    Order,
    Ready,
    Reload,
    Sibling,
    Stop,
)

log = structlog.get_logger(__name__)

BEAT_S = 1.0
_ORPHANED = 70
"""The exit code of a worker whose supervisor has gone (``EX_SOFTWARE``)."""


def main(fd: int) -> int:
    """Do as the supervisor at the other end of ``fd`` says, and return the exit code of the process."""
    # What is sent to all processes of a terminal or a service is for the supervisor, which says what is to be done.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Its end tells the supervisor that this process has gone: it is open until then, and not only until the loop ends.
    os.dup(fd)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(socket.socket(fileno=fd)))


async def _run(sock: socket.socket) -> int:
    return await Worker(sock).run()


class Worker:
    """The part of a node that runs in this process. Made inside of an event loop."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel: Channel[Order] = Channel(sock, Order, self._heard, _orphaned)
        self._assigned: asyncio.Future[tuple[Assignment, list[int]]] = self._loop.create_future()
        self._node: Node | None = None
        self._early: list[tuple[Order, list[int]]] = []
        self._links: set[asyncio.Task[None]] = set()
        self._beat()

    async def run(self) -> int:
        """Be that part until the node ends."""
        assignment, fds = await self._assigned
        settings = assignment.settings
        configure(settings.log_format, settings.log_level, assignment.worker)
        try:
            await self._be(assignment, fds)
        except (ConfigError, StateError) as error:
            self._channel.say(Failed(str(error)))
            return os.EX_CONFIG
        return 0

    async def _be(self, assignment: Assignment, fds: list[int]) -> None:
        part = self._part(assignment, fds)
        state = State(Path(assignment.state), None, assignment.worker)
        node = self._node = Node(_share_of(assignment), state, part)
        self._loop.add_signal_handler(signal.SIGTERM, self._drain)
        node.join()
        for worker, (pairing, sock) in part.siblings.items():
            self._link(worker, pairing, sock)
        for order, more in self._early:
            self._obey(node, order, more)
        await node.met()
        if assignment.settings.require_directory:
            await node.complete()
        if not node.is_stopping:
            node.listen()
            self._channel.say(Ready(node.advertised))
        await node.stopped()
        node.counting.note()
        if node.failure is not None:
            raise ConfigError(node.failure)

    def _part(self, assignment: Assignment, fds: list[int]) -> Part:
        tally = _tally(fds[0], assignment.workers)
        socks = [socket.socket(fileno=fd) for fd in fds[1:]]
        local, rest = socks[: assignment.local], socks[assignment.local :]
        mesh = rest.pop(0) if assignment.has_mesh else None
        return Part(
            worker=assignment.worker,
            workers=assignment.workers,
            instance=assignment.instance,
            started_at=assignment.started_at,
            local=local,
            mesh=mesh,
            siblings={
                worker: (pairing, sock)
                for (worker, pairing), sock in zip(assignment.siblings.items(), rest, strict=True)
            },
            tally=tally,
            lost=self._lost,
            hand_over=lambda worker, sock: self._hand_over(assignment, worker, sock),
        )

    def _lost(self, worker: int, pairing: int) -> None:
        self._channel.say(Lost(worker, pairing))

    def _hand_over(self, assignment: Assignment, worker: int, sock: socket.socket) -> bool:
        return worker < assignment.workers and self._channel.say(HandOver(worker), (sock.fileno(),))

    # -- orders -------------------------------------------------------------------------------------------------

    def _heard(self, order: Order, fds: list[int]) -> None:
        if isinstance(order, Assignment):
            self._assigned.set_result((order, fds))
        elif self._node is None:
            self._early.append((order, fds))
        else:
            self._obey(self._node, order, fds)

    def _obey(self, node: Node, order: Order, fds: list[int]) -> None:
        if isinstance(order, Sibling):
            self._link(order.worker, order.pairing, socket.socket(fileno=fds[0]))
        elif isinstance(order, Arrival):
            node.take(socket.socket(fileno=fds[0]))
        elif isinstance(order, Stop):
            node.leave()
            # Where a SIGTERM went to all processes the drain has begun: one wish to end is not two.
            if order.is_hurried or not node.is_stopping:
                node.stop()
        elif isinstance(order, Reload):
            node.reload()

    def _link(self, worker: int, pairing: int, sock: socket.socket) -> None:
        assert self._node is not None, "links are made once there is a node"
        task = self._loop.create_task(self._node.link(worker, pairing, sock))
        self._links.add(task)
        task.add_done_callback(self._linked)

    def _linked(self, task: asyncio.Task[None]) -> None:
        self._links.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("sibling_unlinked", why=str(task.exception()))

    def _drain(self) -> None:
        """Somebody has sent SIGTERM to this process alone, perhaps beside its supervisor's word."""
        if self._node is not None and not self._node.is_stopping:
            self._node.stop()

    def _beat(self) -> None:
        self._loop.call_later(BEAT_S, self._beat)
        self._channel.say(Beat())
        if self._node is not None:
            self._node.counting.note()


def _tally(fd: int, workers: int) -> Tally:
    """Return the tally in the file ``fd``, which is closed; one of its own where that is another release's."""
    try:
        return Tally(fd, workers)
    except ValueError as error:
        log.error("tally_not_shared", why=str(error), fix="restart the node, so that all of it is of one release")
        return Tally(workers=workers)
    finally:
        os.close(fd)


def _share_of(assignment: Assignment) -> Settings:
    """Return the settings of the node with this worker's share of the bounds that are the whole node's."""
    limits, workers = assignment.settings.limits, assignment.workers
    share = msgspec.structs.replace(
        limits,
        buffered_bytes=max(limits.buffered_bytes // workers, limits.body_bytes),
        connections=-(-limits.connections // workers),
    )
    return msgspec.structs.replace(assignment.settings, limits=share)


def _orphaned() -> None:
    """Without a supervisor there is no node: end before another one begins with the same state."""
    with contextlib.suppress(Exception):
        log.error("supervisor_lost", why="the supervisor of this worker has gone")
    os._exit(_ORPHANED)
