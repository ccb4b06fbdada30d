"""The home's part of a re-opening: it checks the key, keeps who holds the lambda, and moves it (contract: re-opening).

Whoever held the lambda before releases it first, with the calls that the new socket keeps. What is decided about one
lambda is decided one after the other, so that the last to answer ``open`` wins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

import msgspec

from lambdamesh.core.asking import Asking, read
from lambdamesh.core.clock import Clock
from lambdamesh.core.held import Away, Placing, Waiting
from lambdamesh.core.places import machine_of
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim, Grant
from lambdamesh.core.taking import Exchange, Taker
from lambdamesh.core.words import (
    ANY_EPOCH,
    NO_TURN,
    EvictWords,
    HoldingWords,
    IdWords,
    LeftWords,
    PendingWords,
    ReleasedWords,
    ReleaseWords,
    Turn,
    is_before,
    is_of_another_run,
)
from lambdamesh.errors import LambdaGone, MeshError, PeerUnreachable, Recovering
from lambdamesh.protocol.call import Call

RELEASE_S = 2.0
"""How long a holder has to let go of a lambda, or to say which calls it may still answer."""

_SUPERSEDED, DELETED = 4409, 4410
_HEADERS_BYTES = 16 * 1024
"""Several times what a lambda keeps of them, as JSON."""


class Proofs(Protocol):
    """Proves to a home, over its restarts too, that it has placed a lambda itself."""

    def mint(self, text: bytes, place: int, epoch: int) -> str:
        """Return the proof that ``place`` was given the lambda ``text`` as the holder of ``epoch``."""

    def is_right(self, proof: str, text: bytes, place: int, epoch: int) -> bool:
        """Whether it is that, in constant time."""


class Unproven:
    """Believes whoever shows nothing: for meshes that are simulated."""

    def mint(self, text: bytes, place: int, epoch: int) -> str:
        """Return nothing (``Proofs``)."""
        return ""

    def is_right(self, proof: str, text: bytes, place: int, epoch: int) -> bool:
        """Whether nothing was shown (``Proofs``)."""
        return not proof


class Homes:
    """The lambdas whose home this is. ``mint_key`` makes a resume key for an id at a door."""

    def __init__(
        self,
        registry: Registry,
        relay: Relay,
        asking: Asking | None,
        clock: Clock,
        mint_key: Callable[[bytes, str], bytes],
    ) -> None:
        self._registry = registry
        self._relay = relay
        self._asking = asking
        self._clock = clock
        self._mint_key = mint_key
        self.proofs: Proofs = Unproven()
        self._held_by: dict[int, set[bytes]] = {}
        """The lambdas that are away, by the place that holds them."""
        self._moving: dict[bytes, Away] = {}
        """Those that are on their way from one node to another."""
        self._lost_at: dict[int, float] = {}
        """Since when a holder could not be reached."""

    # -- a socket wants a lambda --------------------------------------------------------------------------------

    def claim(self, claim: Claim, heard: Callable[[Grant | MeshError], None]) -> None:
        """Say whether a socket may re-open a lambda, and what it may still answer of it."""
        refusal = self._registry.refusal(claim, self._clock.unix_ms)
        if refusal is not None:
            heard(refusal)
            return
        key = self._mint_key(claim.text, claim.door)
        away = self._registry.away.get(claim.text)
        if away is None or self._asking is None:
            heard(Grant(key, self._registry.unanswered(claim.text)))
            return

        def told(outcome: bytes | MeshError) -> None:
            words = read(outcome, PendingWords)
            heard(Grant(key, () if isinstance(words, MeshError) else tuple(words.pending)))

        self._asking.ask(away.place, "unanswered", IdWords(claim.text.decode()), told, RELEASE_S)

    def take(self, taker: Taker) -> None:
        """Give a lambda to ``taker``, whose provider has answered ``open``."""
        if not taker.is_there:
            # It was given up while it waited for its turn: nobody would know that it has the lambda.
            return
        text = taker.claim.text
        away = self._registry.away.get(text)
        if away is not None and away.mover is not None:
            away.movers.append(taker)
            return
        refusal = self._registry.refusal(taker.claim, self._clock.unix_ms)
        if refusal is not None:
            taker.refused(refusal)
        elif away is None:
            self._give(taker)
        elif away.place == taker.place:
            away.turn = taker.turn
            taker.granted(self._placing(taker, 0, away.epoch), is_new_here=False)
        else:
            self._move(away, taker)

    def _give(self, taker: Taker) -> None:
        """Nobody else holds it: it is here, or nowhere."""
        registry, text, now = self._registry, taker.claim.text, self._relay.time()
        placing = registry.placing(text, self._clock.unix_ms)
        if taker.link is None:
            taker.granted(placing, is_new_here=True)
            return
        placing = self._placing(taker, placing.number, placing.epoch)
        away = self._note(Away(text, taker.place, placing.epoch, placing.number))
        away.turn = taker.turn
        # Those whose calls end because of the move may call at once: they wait until it is done.
        away.mover = taker
        released = registry.release(text, taker.link, taker.keep, to=machine_of(taker.place))
        if registry.away.get(text) is not away:
            # It was deleted by one of them.
            self._end(away, placing.number)
            _give_up(released.waiting if released is not None else [])
            return
        away.mover = None
        waiting, away.waiting = away.waiting or [], None
        taker.granted(placing, is_new_here=True)
        taker.deliver(released.waiting if released is not None else [], now)
        taker.deliver(waiting, now)
        self._go_on(away)

    def _placing(self, taker: Taker, number: int, epoch: int) -> Placing:
        return Placing(number, epoch, self.proofs.mint(taker.claim.text, taker.place, epoch))

    def _note(self, away: Away) -> Away:
        """Note that another node holds a lambda; its id is never minted any more."""
        self._registry.away[away.id] = away
        self._held_by.setdefault(away.place, set()).add(away.id)
        self._registry.closed.forget(away.id)
        self._registry.note(away.id)
        return away

    def _drop(self, away: Away) -> None:
        """Note that nobody else holds it any more."""
        del self._registry.away[away.id]
        held = self._held_by[away.place]
        held.discard(away.id)
        if not held:
            del self._held_by[away.place]

    def _move(self, away: Away, taker: Taker) -> None:
        assert self._asking is not None, "only a node with links has lambdas that are away"
        away.mover = taker
        self._moving[away.id] = away
        words = ReleaseWords(away.id.decode(), list(taker.keep), machine_of(taker.place))
        self._asking.ask(away.place, "release", words, partial(self._released, away, taker), RELEASE_S)

    def _released(self, away: Away, taker: Taker, outcome: bytes | MeshError) -> None:
        registry, text, now = self._registry, away.id, self._relay.time()
        if registry.away.get(text) is not away:
            # It was deleted meanwhile, and the taker knows.
            return
        del self._moving[text]
        words = read(outcome, ReleasedWords)
        number = None if isinstance(words, MeshError) else words.number
        if number is None:
            # It did not let go, or not so that anybody heard it: whatever it has is not the lambda any more.
            self._evict(away.place, text, away.epoch, _SUPERSEDED)
            number = self._last_number(away)
        placing = self._placing(taker, number, registry.next_epoch(self._clock.unix_ms))
        away.mover = None
        waiting, away.waiting = away.waiting or [], None
        self._drop(away)
        if not taker.is_there:
            self._end(away, number)
            _give_up(waiting)
        else:
            if taker.link is not None:
                away.place, away.epoch, away.number = taker.place, placing.epoch, number
                away.turn = taker.turn
                self._note(away)
            taker.granted(placing, is_new_here=True)
            taker.deliver(waiting, now)
        self._go_on(away)

    def adopted(self, place: int, call: Call, number: int, answer: Exchange) -> bool:
        """Pass a call on that the holder on ``place`` lets go of; ``False`` where nothing moves from there."""
        away = self._registry.away.get(call.lambda_id)
        if away is None or away.mover is None or away.place != place:
            return False
        away.mover.adopt(call, number, answer)
        return True

    # -- what holders say ---------------------------------------------------------------------------------------

    def left(self, place: int, words: LeftWords) -> None:
        """A lambda has closed at its holder."""
        away = self._registry.away.get(words.id.encode())
        if away is not None and away.mover is not None and words.epoch == ANY_EPOCH:
            self._turn_away(away, place, words.turn)
        if away is None or away.mover is not None or away.place != place or is_before(words.turn, away.turn):
            return
        if words.epoch == away.epoch and words.grace_s > 0:
            self._drop(away)
            grace_s = min(words.grace_s, self._relay.limits.grace_max_s)
            claim = Claim(away.id, False, grace_s=grace_s, headers=_shown(words.headers))
            self._registry.park(claim, words.code, Placing(words.number, words.epoch), self._relay.time())
        elif words.epoch == away.epoch:
            self._drop(away)
            self._end(away, words.number)
        elif words.epoch == ANY_EPOCH and words.held < away.epoch:
            self._lose(away, words.held)

    def holding(self, place: int, words: HoldingWords) -> None:
        """A node says which lambdas of this home it holds: believe what is news, correct what has been overtaken."""
        told = {text.encode(): (epoch, proof) for text, epoch, proof in words.lambdas}
        arriving = {text.encode() for text in words.arriving}
        self._abandon(place, arriving, words.turn)
        for text in tuple(self._held_by.get(place, ())):
            away = self._registry.away[text]
            has_left = text not in told and text not in arriving and not is_before(words.turn, away.turn)
            if away.mover is None and has_left:
                self._drop(away)
                self._end(away, self._last_number(away), has_died=is_of_another_run(words.turn, away.turn))
        for text, (epoch, proof) in told.items():
            if self._registry.home_of(text) == self._registry.here:
                is_proven = self.proofs.is_right(proof, text, place, epoch)
                away_then = self._registry.away.get(text)
                is_old = away_then is not None and is_before(words.turn, away_then.turn)
                self._hear_of(place, text, epoch, is_proven=is_proven, is_arriving=is_old or text in arriving)
                away_now = self._registry.away.get(text)
                if away_now is not None and away_now.place == place and away_now.turn == NO_TURN:
                    # In which run it has it, to know whether that has ended.
                    away_now.turn = (words.turn[0], 0)

    def _abandon(self, place: int, arriving: Collection[bytes], turn: Turn) -> None:
        """A link to ``place`` has come up anew: whoever asked over the one before does not hear the answer."""
        for away in tuple(self._moving.values()):
            if away.id not in arriving:
                self._turn_away(away, place, turn)

    def _turn_away(self, away: Away, place: int, turn: Turn) -> None:
        """Nobody on ``place`` waits for a lambda who asked for it before ``turn``."""
        for taker in (away.mover, *away.movers):
            if taker is not None and taker.place == place and not is_before(turn, taker.turn):
                taker.refused(PeerUnreachable("the link ended before the lambda was there: try again"))

    def _hear_of(self, place: int, text: bytes, epoch: int, *, is_proven: bool, is_arriving: bool) -> None:
        registry = self._registry
        held, away = registry.live.get(text), registry.away.get(text)
        known = held.epoch if held is not None else away.epoch if away is not None else -1
        if registry.closed.is_deleted(text):
            self._evict(place, text, epoch, DELETED)
        elif not is_proven:
            self._evict(place, text, epoch, _SUPERSEDED)
        elif away is not None and away.place == place:
            if epoch < away.epoch and away.mover is None and not is_arriving:
                self._lose(away, epoch)
        elif epoch <= known or (away is not None and away.mover is not None):
            self._evict(place, text, epoch, _SUPERSEDED)
        else:
            waiting = [] if held is None else registry.surrender(held)
            if away is not None:
                self._evict(away.place, text, away.epoch, _SUPERSEDED)
                self._drop(away)
            registry.next_epoch(epoch)
            self._note(Away(text, place, epoch))
            self.send_on(place, waiting)

    def send_on(self, place: int, waiting: list[Waiting]) -> None:
        """Have calls answered elsewhere that have waited for a lambda that has gone from here."""
        seat = None if self._asking is None else self._asking.links.seat(place)
        while waiting:
            if seat is None or isinstance(seat, MeshError):
                waiting.pop(0).give_up(Recovering("the lambda has moved from one node to another: try again"))
            else:
                waiting.pop(0).deliver(seat.provider, self._relay.time())

    def _lose(self, away: Away, held: int) -> None:
        """Its holder never heard that it has it, and has no more than what was overtaken before."""
        self._drop(away)
        if held != ANY_EPOCH:
            self._evict(away.place, away.id, held, _SUPERSEDED)
        self._end(away, self._last_number(away))

    def _evict(self, place: int, text: bytes, epoch: int, code: int) -> None:
        if self._asking is not None:
            self._asking.tell(place, "evict", EvictWords(text.decode(), epoch, code))

    def delete(self, text: bytes) -> bool:
        """Close a lambda for good that another node holds; ``False`` where none does."""
        away = self._registry.away.get(text)
        if away is None:
            return False
        self._drop(away)
        self._registry.closed.bury(text, self._clock.unix_ms)
        self._evict(away.place, text, away.epoch, DELETED)
        if away.mover is not None:
            # It is neither here nor there: whoever was to have it is told the same.
            self._moving.pop(text, None)
            away.mover.refused(LambdaGone("this lambda was deleted: ask for a new id"))
            self._go_on(away)
        _give_up(away.waiting or [])
        return True

    def forget_lost(self, is_lost: Callable[[int], bool], now: float) -> None:
        """Give up the lambdas of holders that have been out of reach for as long as ids are remembered.

        ``is_lost`` says of a place whether it is out of reach now; asked again and again.
        """
        for place in tuple(self._lost_at):
            if place not in self._held_by or not is_lost(place):
                del self._lost_at[place]
        for place in tuple(self._held_by):
            if not is_lost(place):
                continue
            lost_at = self._lost_at.setdefault(place, now)
            if now - lost_at >= self._relay.limits.gone_ttl_s:
                del self._lost_at[place]
                self.holding(place, HoldingWords())

    def _go_on(self, away: Away) -> None:
        """Have those decided on who came while it moved."""
        movers = tuple(away.movers)
        away.movers.clear()
        for mover in movers:
            self.take(mover)

    def _last_number(self, away: Away) -> int:
        """Return what no call of a lambda is behind whose holder cannot say."""
        return max(away.number, self._registry.closed.last_number(away.id, self._clock.unix_ms))

    def _end(self, away: Away, number: int, *, has_died: bool = False) -> None:
        self._registry.closed.remember(away.id, number, self._relay.time(), may_return=has_died)
        _give_up(away.waiting or [])


def _shown(headers: msgspec.Raw) -> bytes:
    """Return what another node tells of a lambda's headers, if a lambda can have such."""
    raw = bytes(headers)
    return raw if raw.startswith(b"{") and len(raw) <= _HEADERS_BYTES else b"{}"


def _give_up(waiting: list[Waiting]) -> None:
    while waiting:
        waiting.pop(0).give_up(LambdaGone("the lambda closed before it could take the call: ask for a new id"))
