"""The directory of ``--peer``: addresses that somebody wrote down, and whoever is behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.known import DEAD_AFTER_S, FORGET_AFTER_S, Known, Word, log_death
from lambdamesh.directory.names import Resolve, address_text, look_up, parse_peer
from lambdamesh.ids import machine_id_text

log = structlog.get_logger(__name__)

LOOK_UP_EVERY_S = 30.0
_FIRST_RETRY_S = 1.0
_LOOK_UP_WITHIN_S = 10.0
_PROMPT_S = 0.25


class _Peer:
    """One ``--peer``: its name, and the addresses that it had when last somebody could say."""

    __slots__ = ("addresses", "has_answered", "host", "met", "port", "text", "why_not")

    def __init__(self, text: str) -> None:
        self.text = text
        self.host, self.port = parse_peer(text)
        self.addresses: tuple[str, ...] = ()
        self.met = 0
        """The machine that answers there and was not heard out yet: what it says of others comes with its hello."""
        self.has_answered = False
        self.why_not = ""
        """Why the last look-up failed; empty where it did not."""


class Static(Known):
    """The nodes behind ``peers``, and those that they tell of.

    A name with many addresses counts as many seeds. Names are looked up every ``look_up_every_s`` seconds; one
    that cannot be now keeps the addresses it had. Without ``peers`` it is complete ``recovering_s`` after its start:
    others dial this node, and it is not to deny them before they have. ``clock`` is monotonic, ``unix`` the wall clock,
    in seconds.

    Raises:
        ValueError: one of ``peers`` is not HOST:PORT.
    """

    def __init__(
        self,
        peers: tuple[str, ...],
        *,
        resolve: Resolve = look_up,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
        look_up_every_s: float = LOOK_UP_EVERY_S,
        recovering_s: float = 0.0,
    ) -> None:
        super().__init__(clock=clock, unix=unix)
        self._peers = tuple(_Peer(text) for text in dict.fromkeys(peers))
        self._resolve = resolve
        self._look_up_every_s = look_up_every_s
        self._recovering_s = recovering_s
        self._is_recovering = not peers and recovering_s > 0
        self._recovery: asyncio.TimerHandle | None = None
        self._own: set[str] = set()
        self._doubles: dict[str, NodeRecord] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self, me: NodeRecord) -> None:
        """Begin to look the names up."""
        self._me = me
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._look_again_and_again())
        self._task.add_done_callback(log_death)
        if self._is_recovering:
            self._recovery = loop.call_later(self._recovering_s, self._recovered)

    async def stop(self) -> None:
        """Look no more. There is nobody to say goodbye to: links do."""
        if self._recovery is not None:
            self._recovery.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    def complete(self) -> bool:
        """Whether some address of each name has answered, be it this node itself, and was heard out."""
        return not self._is_recovering and all(peer.has_answered for peer in self._peers)

    def _recovered(self) -> None:
        self._is_recovering = False
        self.changed()

    def trouble(self) -> str | None:
        """Say which peers cannot be looked up or have not answered, or who has this node's machine id."""
        for seed, double in self._doubles.items():
            return (
                f"{double.host or 'a node'} at {seed} has this node's machine id {machine_id_text(double.machine)}: "
                "give one of the two another with --machine-id, or a state directory of its own with --state"
            )
        if all(peer.has_answered for peer in self._peers):
            return None
        lost = [f"{peer.text} ({peer.why_not})" for peer in self._peers if not peer.has_answered and peer.why_not]
        if lost:
            return f"no address for --peer {', '.join(lost)}: check the name, or wait until it can be looked up"
        mute = ", ".join(peer.text for peer in self._peers if not peer.has_answered)
        return (
            f"no node has answered at --peer {mute}: check that one runs there, and that its mesh door can be reached"
        )

    def is_alive(self, machine: int, unix_s: float) -> bool:
        """Whether a node was heard of within the last 100 s."""
        heard_at = self.heard_at(machine)
        return heard_at is not None and unix_s - heard_at <= DEAD_AFTER_S

    def seeds(self) -> tuple[str, ...]:
        """Return every address of every name, without those that turned out to be this node itself."""
        addresses = dict.fromkeys(address for peer in self._peers for address in peer.addresses)
        return tuple(address for address in addresses if address not in self._own)

    def answered(self, seed: str, record: NodeRecord) -> None:
        """The node behind a seed has said hello; it may be this node itself."""
        before = self.complete(), self.seeds(), tuple(self._doubles)
        for peer in self._peers:
            if seed in peer.addresses:
                peer.met = record.machine
                peer.has_answered |= record.machine == self._me.machine
        self._doubles.pop(seed, None)
        if record.machine == self._me.machine:
            if record.instance == self._me.instance:
                self._own.add(seed)
            else:
                # It stays a seed: once its machine id is mended it is a node like others.
                self._doubles[seed] = record
                log.error("machine_id_taken", why=self.trouble(), once_a_minute=True)
        if before != (self.complete(), self.seeds(), tuple(self._doubles)):
            self.changed()

    def _hear(self, record: NodeRecord, word: Word, unix_s: float) -> bool:
        now_s = self._unix()
        is_news = self._take(record, word, unix_s, self._clock() - max(now_s - unix_s, 0.0))
        if self.is_alive(record.machine, now_s):
            is_news |= self._lives(record.machine)
        if word is Word.HELLO:
            is_news |= self._heard_out(record.machine)
        return is_news

    def _heard_out(self, machine: int) -> bool:
        """Note that a node's hello was taken; return whether that makes anything complete."""
        late = [peer for peer in self._peers if peer.met == machine and not peer.has_answered]
        for peer in late:
            peer.has_answered = True
        return bool(late)

    # -- names --------------------------------------------------------------------------------------------------

    async def _look_again_and_again(self) -> None:
        pause_s = _FIRST_RETRY_S
        while True:
            before = await self._look_all_up()
            self._drop_what_is_no_seed()
            self._forget(self._clock() - FORGET_AFTER_S)
            if self._note_the_living() or self.seeds() != before:
                self.changed()
            # A name that nobody has heard of yet is likely to be known soon: that of a service that starts with this.
            is_hopeful = any(not peer.addresses for peer in self._peers)
            pause_s = min(pause_s * 2 if is_hopeful else self._look_up_every_s, self._look_up_every_s)
            await asyncio.sleep(pause_s)

    async def _look_all_up(self) -> tuple[str, ...]:
        """Look every name up; return the seeds that were told of last."""
        before = self.seeds()
        looking = asyncio.gather(*(self._look_up(peer) for peer in self._peers))
        try:
            async with asyncio.timeout(_PROMPT_S):
                await asyncio.shield(looking)
        except TimeoutError:
            # A name that nobody answers for keeps those that are known from nobody.
            if self.seeds() != before:
                before = self.seeds()
                self.changed()
            await looking
        finally:
            looking.cancel()
        return before

    async def _look_up(self, peer: _Peer) -> None:
        try:
            async with asyncio.timeout(_LOOK_UP_WITHIN_S):
                found = await self._resolve(peer.host, peer.port)
        except TimeoutError:
            peer.why_not = "no answer to the look-up"
        except OSError as error:
            peer.why_not = error.strerror or str(error)
        except ValueError as error:
            # A name that DNS has no way to write is one as well (UnicodeError).
            peer.why_not = str(error)
        else:
            peer.why_not = "" if found else "it has no address"
            if found:
                peer.addresses = tuple(address_text(ip, peer.port) for ip in found)
        if peer.why_not:
            log.warning("peer_not_found", peer=peer.text, why=peer.why_not, once_a_minute=True)

    def _drop_what_is_no_seed(self) -> None:
        addresses = {address for peer in self._peers for address in peer.addresses}
        self._own &= addresses
        for seed in set(self._doubles) - addresses:
            del self._doubles[seed]

    def _note_the_living(self) -> bool:
        now_s = self._unix()
        return self._only_live(machine for machine in self._entries if self.is_alive(machine, now_s))
