"""Dials other nodes: the ``--peer`` addresses from the start and for ever, others when they are needed or were lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.core.places import machine_of, worker_of
from lambdamesh.links.acquaintance import record_of
from lambdamesh.links.connection import Connection
from lambdamesh.links.dialling import Unreachable, dial
from lambdamesh.links.peer import Peer, pause_s
from lambdamesh.links.ports import Holder, Trust

log = structlog.get_logger(__name__)

SEED_PAUSE_S = 10.0
"""Longest pause before a ``--peer`` that is down is dialled again."""
_LOOK_S = 0.25
_PROBE_S = 2.0

Make = Callable[[str, bool], Connection]
"""Makes what speaks at an address that is dialled; and whether the link is kept while it is idle."""


class Dialler:
    """Keeps a link to each seed, and gets one to a peer on demand. Made inside of an event loop.

    ``trouble`` says why each address that is dialled and does not answer does not.
    """

    def __init__(
        self, limits: Limits, counters: Counters, directory: Directory, trust: Trust | None, make: Make
    ) -> None:
        self._limits = limits
        self._counters = counters
        self._directory = directory
        self._trust = trust
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._seeds: dict[str, asyncio.Task[None]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._reaching: dict[int, asyncio.Task[None]] = {}
        self.holder: Holder
        self.trouble: dict[str, str] = {}
        self.met: dict[str, Peer] = {}
        """Who was last met at each seed."""

    def stop(self) -> None:
        """Dial nobody any more."""
        for task in tuple(self._tasks):
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("internal_error", exc_info=task.exception(), once_a_minute=True)

    # -- seeds --------------------------------------------------------------------------------------------------

    def keep(self, seeds: tuple[str, ...]) -> None:
        """Have links to these addresses, and to no others for their own sake."""
        for seed in seeds:
            if seed not in self._seeds:
                self._seeds[seed] = self._spawn(self._keep(seed))
        for seed in tuple(self._seeds):
            if seed not in seeds:
                # It may be this very task that has found out: its attempt is over then.
                self._seeds.pop(seed)
                self.trouble.pop(seed, None)
                self.met.pop(seed, None)

    async def _keep(self, seed: str) -> None:
        failures = 0
        while seed in self._seeds:
            peer = self.met.get(seed)
            if peer is None or not peer.is_up():
                connection = await self._attempt(seed, is_kept=True)
                failures = 0 if connection is not None else failures + 1
            await asyncio.sleep(pause_s(failures, SEED_PAUSE_S) if failures else _LOOK_S)

    # -- peers --------------------------------------------------------------------------------------------------

    def reach(self, peer: Peer, after_s: float = 0.0) -> None:
        """Dial a node until there is a link, or nobody wants one any more."""
        before = self._reaching.get(peer.place)
        if before is not None:
            before.cancel()
        self._reaching[peer.place] = self._spawn(self._reach(peer, after_s))

    async def _reach(self, peer: Peer, after_s: float) -> None:
        try:
            await self._dial_again_and_again(peer, after_s)
        except Exception:
            log.exception("internal_error", once_a_minute=True)
            peer.fail("this node has a bug: look into its log")
        finally:
            if self._reaching.get(peer.place) is asyncio.current_task():
                del self._reaching[peer.place]

    async def _dial_again_and_again(self, peer: Peer, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not peer.is_up():
            record = self._directory.find(machine_of(peer.place))
            if record is None or not record.address:
                peer.fail("nobody knows its address")
                return
            if worker_of(peer.place) >= record.workers:
                peer.fail(f"that node has {record.workers} workers now")
                return
            worker = None if record.workers == 1 else worker_of(peer.place)
            connection = await self._attempt(record.address, is_kept=False, worker=worker)
            if peer.is_up():
                return
            if connection is not None:
                peer.fail(f"another node answers at {record.address}")
            else:
                peer.fail(self.trouble.get(record.address, "it does not answer"))
            await asyncio.sleep(pause_s(peer.failures, self._limits.link_redial_s))
            if not self._is_wanted(peer.place):
                self.trouble.pop(record.address, None)
                peer.rest()
                return

    def _is_wanted(self, place: int) -> bool:
        return self._directory.is_alive(machine_of(place), time.time()) or place in self.holder.homes()

    def met_again(self, peer: Peer, addresses: tuple[str, ...]) -> None:
        """There is a link to a node: what was wrong with its addresses is wrong no more."""
        seeds = [seed for seed, met in self.met.items() if met is peer]
        for address in (*addresses, *seeds):
            self.trouble.pop(address, None)

    # -- one attempt --------------------------------------------------------------------------------------------

    async def _attempt(self, address: str, *, is_kept: bool, worker: int | None = None) -> Connection | None:
        assert self._trust is not None, "a node that joins no others dials nobody"
        connection = self._make(address, is_kept)
        try:
            await dial(address, connection, self._trust, self._limits.link_hello_s, worker)
        except Unreachable as error:
            self._counters.links_failed += 1
            if self.trouble.get(address) != error.why and not connection.is_oneself:
                self.trouble[address] = error.why
                log.warning("link_failed", address=address, why=error.why)
            return None
        self.trouble.pop(address, None)
        return connection

    async def probe(self, address: str) -> NodeRecord | None:
        """Dial ``address`` and return who says hello there (``core.peering.Probe``)."""
        assert self._trust is not None, "a node that joins no others dials nobody"
        connection = self._make(address, False)
        try:
            async with asyncio.timeout(_PROBE_S):
                hello = await dial(address, connection, self._trust, _PROBE_S)
        except (Unreachable, TimeoutError):
            # Whoever has this machine id as well is refused, but has said so.
            return None if connection.link.peer is None else record_of(connection.link.peer, connection)
        connection.leave("it was only asked who it is")
        return record_of(hello, connection)
