"""The directory that nodes keep in NATS: a bucket with one key for each machine."""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from lambdamesh.core.peering import NodeRecord, Probe
from lambdamesh.directory.attention import Attention
from lambdamesh.directory.known import FORGET_AFTER_S, Known, Word, log_death
from lambdamesh.directory.nats_access import NatsAccess, NatsServer, check_nats_urls
from lambdamesh.directory.pace import Pace

if TYPE_CHECKING:
    from lambdamesh.directory.nats_claim import Claim
    from lambdamesh.directory.nats_session import Session

log = structlog.get_logger(__name__)

_GOODBYE_S = 2.0
_CANCEL_AGAIN_S = 0.1
_DISCOVERED = 32
_DOUBLINGS = 8


class Nats(Known):
    """The nodes whose claims are in the bucket ``lambdamesh``; with NATS gone, those that were known stay.

    ``probe`` dials whoever holds this node's machine id. Of the workers of a node one is its speaker, and claims it.
    ``clock`` is monotonic, ``unix`` the wall clock, in seconds. ``changed`` is also told when ``complete`` or
    ``trouble`` has another answer.

    Raises:
        ValueError: the URLs of ``access`` are none.
    """

    def __init__(
        self,
        access: NatsAccess,
        probe: Probe,
        *,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
        pace: Pace | None = None,
        is_speaker: bool = True,
    ) -> None:
        super().__init__(clock=clock, unix=unix)
        self._access = access
        self._probe = probe
        self._pace = pace or Pace()
        self._is_speaker = is_speaker
        self._given = check_nats_urls(access.urls)
        self._discovered: tuple[NatsServer, ...] = ()
        self._turn = 0
        self._failures = 0
        self._attention = Attention(clock, self._pace.silent_s)
        self._stamps: dict[int, tuple[int, float]] = {}
        self._is_listed = False
        self._has_news = False
        self._why: str | None = f"NATS at {self._given[0]} has not answered yet: is it running, and is --nats right?"
        self._claim: Claim | None = None
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._is_stopping = False

    async def start(self, me: NodeRecord) -> None:
        """Begin to connect; again and again, until it succeeds."""
        self._me = me
        self._is_stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(log_death)
        self._look_who_lives()

    async def stop(self) -> None:
        """Delete the own key, where NATS can be told within 2 s, so that others see this node go."""
        task, self._task = self._task, None
        if task is None:
            return
        self._is_stopping = True
        if self._sweep is not None:
            self._sweep.cancel()
        if self._session is not None and self._session.is_claimed:
            self._session.stop()
            await asyncio.wait((task,), timeout=_GOODBYE_S)
        # The library swallows a cancellation here and there.
        while not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=_CANCEL_AGAIN_S)
        self._is_listed = False

    def complete(self) -> bool:
        """Whether the whole list has been read, and each change of it would be heard of now."""
        return self._is_listed

    def trouble(self) -> str | None:
        """Say what is wrong with NATS and what to do; ``None`` while the list is watched and the own claim is kept."""
        return self._why

    def is_alive(self, machine: int, unix_s: float) -> bool:
        """Whether a node was heard of in the last 100 s in which it would have been, by the own clock."""
        entry = self._entries.get(machine)
        if entry is None or entry.has_left:
            return False
        return self._attention.ticks - entry.ticks <= self._pace.dead_after_s

    def seeds(self) -> tuple[str, ...]:
        """No link is kept from the start: whoever has a call for a node finds it."""
        return ()

    def answered(self, seed: str, record: NodeRecord) -> None:
        """There are no seeds that could."""

    def _hear(self, record: NodeRecord, word: Word, unix_s: float) -> bool:
        return self._heard(record, word, unix_s, self._attention.ticks - max(self._unix() - unix_s, 0.0))

    # -- sessions -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        # Imported here, and not with this module: nodes that have no NATS start without its client. It takes a while,
        # in which others have their turn.
        await asyncio.to_thread(importlib.import_module, "lambdamesh.directory.nats_session")
        from lambdamesh.directory import nats_session
        from lambdamesh.directory.nats_claim import Claim, Listener, Taken

        kind = Claim if self._is_speaker else Listener
        self._claim = kind(self._me, self._probe, self._pace.probe_s)
        ears = nats_session.Ears(self._told, self._attention.beat, self._listed, self._deaf)
        while not self._is_stopping:
            server = self._next_server()
            session = self._session = nats_session.Session(server, self._access, self._pace, self._claim, ears)
            try:
                await session.run(self._failures)
            except Taken as taken:
                self._deaf(str(taken))
                log.error("machine_id_taken", why=str(taken))
                self.failed(str(taken))
                return
            except nats_session.Cut as cut:
                self._lost(session, str(cut))
            self._failures = 0 if session.was_well else self._failures + 1
            self._discovered = session.discovered[:_DISCOVERED] or self._discovered
            self._turn += 1
            await asyncio.sleep(self._pause_s())

    def _lost(self, session: Session, why: str) -> None:
        if self._is_stopping:
            return
        self._deaf(why)
        log.warning("nats_lost" if session.was_well else "nats_unreachable", why=why, once_a_minute=True)

    def _next_server(self) -> NatsServer:
        servers = tuple(dict.fromkeys((*self._given, *self._discovered)))
        server = servers[self._turn % len(servers)]
        if server.user is None and server.token is None:
            # As with other clients of NATS, one URL with credentials is enough.
            known = next((given for given in self._given if given.user or given.token), None)
            server = server if known is None else server.known_as(known)
        return server

    def _pause_s(self) -> float:
        """How long to wait before the next attempt: all servers are tried in a row, and then with growing pauses."""
        rounds = self._failures // len(self._given)
        pause_s = min(self._pace.first_pause_s * 2.0 ** min(rounds, _DOUBLINGS), self._pace.longest_pause_s)
        # Spread, or all nodes of a mesh knock at a server that has just come back at the same moment.
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311

    # -- what sessions hear -------------------------------------------------------------------------------------

    def _told(self, machine: int, record: NodeRecord | None, written_at: float, stamp: tuple[int, float]) -> None:
        if machine == self._me.machine:
            if self._claim is not None and self._session is not None and self._claim.seen(record, stamp[0]):
                self._session.stir()
            return
        if self._stamps.get(machine) == stamp:
            return
        self._stamps[machine] = stamp
        if record is None:
            is_news = self._leave(machine)
        else:
            heard_at = min(written_at, self._unix())
            is_news = self._heard(record, Word.LISTED, heard_at, self._attention.ticks)
        if not is_news:
            return
        self._has_news = True
        if self._is_listed:
            self._tell()

    def _heard(self, record: NodeRecord, word: Word, unix_s: float, ticks: float) -> bool:
        is_news = self._take(record, word, unix_s, ticks)
        if self.is_alive(record.machine, unix_s):
            is_news |= self._lives(record.machine)
        return is_news

    def _listed(self) -> None:
        if not self._is_listed:
            log.info("nats_listed", nodes=len(self._entries))
        is_news = not self._is_listed or self._why is not None or self._has_news
        self._is_listed, self._why = True, None
        if is_news:
            self._tell()

    def _deaf(self, why: str) -> None:
        self._attention.stop()
        is_news = self._is_listed or self._why != why
        self._is_listed, self._why = False, why
        if is_news:
            self._tell()

    def _tell(self) -> None:
        self._has_news = False
        self.changed()

    # -- time ---------------------------------------------------------------------------------------------------

    def _look_who_lives(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self._pace.idle_s, self._look_who_lives)
        self._forget(self._attention.ticks - FORGET_AFTER_S)
        for machine in self._stamps.keys() - self._entries.keys():
            del self._stamps[machine]
        if self._note_the_living():
            self.changed()

    def _note_the_living(self) -> bool:
        now_s = self._unix()
        return self._only_live(machine for machine in self._entries if self.is_alive(machine, now_s))
