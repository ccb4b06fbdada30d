"""The supervisor of a node with several workers: it starts them, starts them again when they die, and ends them.

It alone locks the state directory and binds the doors, so that connections which wait for a worker that has died wait
for the one that comes after it. It carries no call.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import structlog

from lambdamesh.door.listening import address_text, connection_limit
from lambdamesh.ids import machine_id_text
from lambdamesh.part import new_instance
from lambdamesh.settings import ConfigError, Settings
from lambdamesh.sockets import Sockets, share
from lambdamesh.state import State
from lambdamesh.telemetry.tally import new_tally
from lambdamesh.workers.channel import Channel
from lambdamesh.workers.crew import CRASHES_MOST, Crashes
from lambdamesh.workers.service import Service
from lambdamesh.workers.words import (
    Arrival,
    Assignment,
    Failed,
    HandOver,
    Lost,
    Ready,
    Reload,
    Report,
    Sibling,
    Stop,
)

log = structlog.get_logger(__name__)

SILENT_S = 10.0
"""A worker that has said nothing for so long is stuck, and ended."""
_FIRST_WORD_S = 60.0
"""The same of one that has not said anything yet: a slow disk may keep it from its first word."""
_LOOK_S = 1.0
_FAILED = 1


class _Process:
    """One run of a worker."""

    def __init__(self, process: subprocess.Popen[bytes], now: float) -> None:
        self.process = process
        self.started_at = self.heard_at = now
        self.channel: Channel[Report]
        self.has_spoken = self.is_ready = False
        self.failure: str | None = None


class Supervisor:
    """Runs the workers of one node. Made before the event loop; ``run`` is the life of the node.

    Raises:
        ConfigError: an address cannot be had.
    """

    def __init__(self, settings: Settings, state: State, workers: int) -> None:
        self._settings = settings
        self._state = state
        self._workers = workers
        self._machine = state.machine_id(settings.machine_id)
        # Descriptors of strangers pass through here on their way from one worker to another.
        connection_limit()
        # Made, and put in order, before several processes look for them.
        state.node_key()
        state.load_deleted(time.time())
        self._sockets = share(settings, workers)
        self._instance, self._began_at = new_instance(), time.time()
        self._processes: dict[int, _Process] = {}
        self._crashes = Crashes()
        self._pairings: Counter[tuple[int, int]] = Counter()
        """How many sockets each two workers have had."""
        self._tally = new_tally(workers)
        self._has_started = self._is_stopping = False
        self._looked_at = 0.0
        self._failure: str | None = None
        self._code = 0
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event
        self._service: Service

    async def run(self) -> int:
        """Run the node until it is stopped, and return its exit code.

        Raises:
            ConfigError: a worker says that what is configured cannot be had.
        """
        self._loop, self._ended, self._service = asyncio.get_running_loop(), asyncio.Event(), Service()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._service.reloading, partial(self._tell_all, Reload()))
        pairs = {(a, b): self._pair(a, b) for a in range(self._workers) for b in range(a + 1, self._workers)}
        for worker in range(self._workers):
            ends = {b: pair[0] for (a, b), pair in pairs.items() if a == worker}
            ends |= {a: pair[1] for (a, b), pair in pairs.items() if b == worker}
            self._start(worker, ends)
        self._look()
        await self._ended.wait()
        for sockets in self._sockets:
            sockets.close(with_files=True)
        os.close(self._tally)
        # In one file, where versions that know of no workers find it as well.
        self._state.load_deleted(time.time())
        if self._failure is not None:
            raise ConfigError(self._failure)
        log.info("stopped", workers=self._workers)
        return self._code

    # -- start --------------------------------------------------------------------------------------------------

    def _start(self, worker: int, siblings: dict[int, socket.socket]) -> None:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *_flags(), "-m", "lambdamesh.workers", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            # The lock is held until the last of them has gone.
            pass_fds=(theirs.fileno(), self._state.lock_fd),
            # A terminal's ctrl-C goes to the supervisor, and from there to them.
            process_group=0,
        )
        theirs.close()
        running = self._processes[worker] = _Process(process, time.monotonic())
        heard, ended = partial(self._heard, worker, running), partial(self._lost, worker, running)
        running.channel = Channel(ours, Report, heard, ended)
        sockets = self._sockets[worker]
        assignment = Assignment(
            worker=worker,
            workers=self._workers,
            settings=self._settings,
            state=str(self._state.path.resolve()),
            instance=self._instance,
            started_at=self._began_at,
            local=len(sockets.local),
            has_mesh=sockets.mesh is not None,
            siblings={sibling: self._pairings[_both(worker, sibling)] for sibling in siblings},
        )
        running.channel.say(assignment, [self._tally, *_descriptors(sockets, siblings)])
        for sock in siblings.values():
            sock.close()

    def _start_again(self, worker: int) -> None:
        if self._is_stopping:
            return
        siblings: dict[int, socket.socket] = {}
        try:
            for other in self._processes:
                siblings[other], theirs = self._pair(worker, other)
                self._give(other, worker, theirs)
            self._start(worker, siblings)
        except OSError as error:
            # The machine has no room for a process or a socket now: what there is of the node goes on.
            for sock in siblings.values():
                sock.close()
            log.error("worker_not_started", worker=worker, why=str(error), again_in_s=_LOOK_S)
            self._loop.call_later(_LOOK_S, self._start_again, worker)

    def _pair(self, one: int, other: int) -> tuple[socket.socket, socket.socket]:
        """Make a socket between two workers, a new one of those that they have had."""
        ends = socket.socketpair()
        self._pairings[_both(one, other)] += 1
        return ends

    def _give(self, worker: int, sibling: int, end: socket.socket) -> None:
        with end:
            words = Sibling(sibling, self._pairings[_both(worker, sibling)])
            self._processes[worker].channel.say(words, (end.fileno(),))

    def _link_again(self, one: int, other: int, pairing: int) -> None:
        """Give two workers that have lost their link a new one, if both are there. Both say so: the first counts."""
        if (
            self._is_stopping
            or not {one, other} <= self._processes.keys()
            or self._pairings[_both(one, other)] != pairing
        ):
            return
        ends = self._pair(one, other)
        self._give(one, other, ends[0])
        self._give(other, one, ends[1])

    # -- what workers say ---------------------------------------------------------------------------------------

    def _heard(self, worker: int, running: _Process, report: Report, fds: list[int]) -> None:
        running.heard_at, running.has_spoken = time.monotonic(), True
        if isinstance(report, Ready):
            running.is_ready = True
            self._ready(report)
        elif isinstance(report, Lost):
            self._link_again(worker, report.worker, report.pairing)
        elif isinstance(report, HandOver):
            other = self._processes.get(report.worker)
            if other is not None:
                other.channel.say(Arrival(), fds)
        elif isinstance(report, Failed):
            running.failure = report.why
        for fd in fds:
            os.close(fd)

    def _ready(self, report: Ready) -> None:
        if self._has_started or not all(running.is_ready for running in self._processes.values()):
            return
        self._has_started = True
        name = machine_id_text(self._machine)
        log.info("node_started", machine_id=name, pid=os.getpid(), workers=self._workers)
        mine = self._sockets[0]
        for sock in mine.local:
            log.info("listening", door="local", address=address_text(sock))
        if mine.mesh is not None:
            log.info("listening", door="mesh", address=address_text(mine.mesh), advertised=report.advertised)
        self._service.ready()

    # -- when they end ------------------------------------------------------------------------------------------

    def _lost(self, worker: int, running: _Process) -> None:
        """The channel of a worker has ended: so has the worker, or it is about to."""
        if running.process.poll() is None:
            running.process.kill()
        code = running.process.wait()
        del self._processes[worker]
        if self._is_stopping:
            # Whoever is left may still answer who comes by the file of a Unix door.
            self._sockets[worker].close(with_files=not self._processes)
            if not self._processes:
                self._ended.set()
        elif running.failure is not None and (running.is_ready or not self._has_started):
            self._failure = running.failure
            self._stop_all()
        elif code == 0:
            log.info("worker_drained", worker=worker)
            self._start_again(worker)
        else:
            self._crashed(worker, running, code)

    def _crashed(self, worker: int, running: _Process, code: int) -> None:
        now = time.monotonic()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        pause_s = self._crashes.crashed(worker, now - running.started_at, now)
        if pause_s is None:
            why = f"its workers died {CRASHES_MOST} times within a minute, the last one {how}"
            log.error("node_failed", why=why, fix="see what each said before it died")
            self._code = _FAILED
            self._stop_all()
            return
        log.error("worker_lost", worker=worker, pid=running.process.pid, why=running.failure or how, again_in_s=pause_s)
        if pause_s:
            self._loop.call_later(pause_s, self._start_again, worker)
        else:
            self._start_again(worker)

    def _look(self) -> None:
        """End workers that are stuck; unless everything stood still, this process as well."""
        now = time.monotonic()
        has_slept = now - self._looked_at > SILENT_S / 2
        self._looked_at = now
        for worker, running in self._processes.items():
            patience_s = SILENT_S if running.has_spoken or self._is_stopping else _FIRST_WORD_S
            if has_slept:
                running.heard_at = now
            elif now - running.heard_at > patience_s and running.process.poll() is None:
                silent_s = round(now - running.heard_at)
                log.error("worker_stuck", worker=worker, pid=running.process.pid, silent_s=silent_s)
                running.process.kill()
        self._loop.call_later(_LOOK_S, self._look)

    # -- end ----------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Drain all; called again, have them stop at once."""
        if not self._is_stopping:
            log.info("stopping", workers=len(self._processes))
            self._stop_all()
        else:
            self._tell_all(Stop(is_hurried=True))

    def _stop_all(self) -> None:
        self._is_stopping = True
        self._service.stopping()
        self._tell_all(Stop())
        if not self._processes:
            self._ended.set()

    def _tell_all(self, order: Stop | Reload) -> None:
        for running in tuple(self._processes.values()):
            running.channel.say(order)


def _flags() -> tuple[str, ...]:
    """Return what keeps a worker from importing what lies in the working directory, as this process does not."""
    return () if {"", str(Path.cwd())} & set(sys.path) else ("-P",)


def _both(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)


def _descriptors(sockets: Sockets, siblings: dict[int, socket.socket]) -> list[int]:
    mesh = [] if sockets.mesh is None else [sockets.mesh]
    return [sock.fileno() for sock in (*sockets.local, *mesh, *siblings.values())]
