"""What a door asks of a lambda whose home, or socket, may be anywhere in the mesh; and the holder's part of it.

A door says claim, then take; or show, or delete. What has its home here is decided here (``core.homes``), everything
else is asked of its home.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from lambdamesh.core.asking import Asking, Heard, read
from lambdamesh.core.clock import Clock
from lambdamesh.core.held import Lambda, Placing
from lambdamesh.core.homes import DELETED, Homes
from lambdamesh.core.limits import Limits
from lambdamesh.core.listing import lambda_object
from lambdamesh.core.places import NOWHERE, machine_of
from lambdamesh.core.ports import Linked, Seat
from lambdamesh.core.registry import DRAINED, Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim, Grant
from lambdamesh.core.routing import next_stop
from lambdamesh.core.taking import Exchange, SocketTaker, Taken
from lambdamesh.core.words import (
    ANY_EPOCH,
    ClaimWords,
    EvictWords,
    GrantWords,
    HoldingWords,
    IdWords,
    LeftWords,
    PlacedWords,
    ReleaseWords,
    TakeWords,
    Turn,
)
from lambdamesh.errors import LambdaLost, MeshError
from lambdamesh.protocol.call import Call

_REASON = "deleted"


class Claims:
    """The lambdas of the mesh, as far as this node has to do with them."""

    def __init__(
        self, registry: Registry, relay: Relay, homes: Homes, asking: Asking | None, clock: Clock, limits: Limits
    ) -> None:
        self._registry = registry
        self._home_of = registry.home_of
        # No two runs of a worker begin in the same microsecond.
        self._turn: Turn = (int(relay.time() * 1e6), 0)
        self._relay = relay
        self._homes = homes
        self._asking = asking
        self._clock = clock
        self._limits = limits
        self._arriving: dict[bytes, list[SocketTaker]] = {}
        """The sockets here that take a lambda of another home, in the order in which that was asked."""
        registry.departed = self._departed

    def _is_elsewhere(self, text: bytes) -> bool:
        return self._asking is not None and self._home_of(text) not in (NOWHERE, self._registry.here)

    # -- a socket of this node wants a lambda -------------------------------------------------------------------

    def claim(self, claim: Claim, heard: Callable[[Grant | MeshError], None]) -> None:
        """Have its home say whether a socket may re-open a lambda."""
        if self._asking is None or not self._is_elsewhere(claim.text):
            self._homes.claim(claim, heard)
            return

        def told(outcome: bytes | MeshError) -> None:
            words = read(outcome, GrantWords)
            if isinstance(words, GrantWords):
                heard(Grant(words.resume_key.encode(), tuple(words.pending)))
            else:
                heard(words)

        words = ClaimWords(claim.text.decode(), claim.shown.decode("latin-1"), claim.door)
        self._asking.ask(self._home_of(claim.text), "claim", words, told, self._limits.ask_timeout_s)

    def take(self, claim: Claim, seat: Seat, keep: Collection[int], taken: Taken) -> None:
        """Give a lambda to a socket that has answered ``open``."""
        if claim.is_new:
            taken(self._registry.take(claim, seat, self._relay.time(), self._clock.unix_ms))
            return
        taker = SocketTaker(self._relay, self._registry, claim, seat, taken)
        taker.keep = keep
        if self._asking is None or not self._is_elsewhere(claim.text):
            self._homes.take(taker)
            return
        self._arriving.setdefault(claim.text, []).append(taker)
        self._turn = (self._turn[0], self._turn[1] + 1)
        shown = claim.shown.decode("latin-1")
        words = TakeWords(claim.text.decode(), shown, claim.door, list(keep), self._turn)
        home, within_s = self._home_of(claim.text), self._limits.ask_timeout_s
        self._asking.ask(home, "take", words, lambda outcome: self._placed(taker, outcome), within_s)

    def _placed(self, taker: SocketTaker, outcome: bytes | MeshError) -> None:
        text = taker.claim.text
        arriving = self._arriving[text]
        arriving.remove(taker)
        if not arriving:
            del self._arriving[text]
        words = read(outcome, PlacedWords)
        if isinstance(words, MeshError):
            taker.refused(words)
            if self._asking is not None and text not in self._arriving:
                # The home may have said yes, and nobody heard it.
                held = self._registry.live.get(text)
                epoch = ANY_EPOCH if held is None else held.epoch
                left = LeftWords(text.decode(), ANY_EPOCH, 0, epoch, turn=self._turn)
                self._asking.tell(self._home_of(text), "left", left)
            return
        number = words.number
        if number is None:
            held = self._registry.live.get(text)
            known = self._registry.closed.last_number
            number = held.last_number if held is not None else known(text, self._clock.unix_ms)
        taker.granted(Placing(number, words.epoch, words.proof), is_new_here=words.number is not None)

    def adopted(self, place: int, call: Call, number: int, answer: Exchange) -> None:
        """Another node lets go of a call whose provider is now here, or behind this node."""
        arriving = self._arriving.get(call.lambda_id, ()) if self._home_of(call.lambda_id) == place else ()
        keeper = next((taker for taker in arriving if number in taker.keep), None)
        if keeper is not None:
            keeper.adopt(call, number, answer)
        elif not self._homes.adopted(place, call, number, answer):
            answer.fault(LambdaLost("the lambda moved on and the call was lost on the way: it may have run"))

    # -- what is held here of another home ----------------------------------------------------------------------

    def release(self, place: int, words: ReleaseWords, link: Linked) -> tuple[int | None, Callable[[], None]]:
        """Let a lambda go at the word of its home, ``place``.

        Returns the number of its last call (``None``: it is not here), and what sends on the calls that waited for it,
        once the home knows that number.
        """
        now, text = self._relay.time(), words.id.encode()
        if self._home_of(text) != place:
            return None, lambda: None
        released = self._registry.release(text, link, words.keep, to=words.to)
        if released is None:
            return None, lambda: None

        def deliver() -> None:
            while released.waiting:
                released.waiting.pop(0).deliver(link, now)

        return released.number, deliver

    def unanswered(self, text: bytes) -> tuple[int, ...]:
        """Return the numbers of the calls that whoever re-opens a lambda may answer."""
        return self._registry.unanswered(text)

    def evict(self, place: int, words: EvictWords) -> None:
        """Take a lambda away from its socket at the word of its home."""
        held = self._registry.live.get(words.id.encode())
        if held is None or self._home_of(held.id) != place or held.epoch > words.epoch:
            return
        if words.code == DELETED:
            self._registry.evict(held, DELETED, _REASON, self._relay.time())
        else:
            self._homes.send_on(place, self._registry.surrender(held))

    def holding(self, place: int) -> tuple[str, bytes]:
        """Return what a node is told first, topic and words: which of its lambdas are held here."""
        registry = self._registry
        theirs = registry.abroad.get(machine_of(place), ())
        held = [registry.live[text] for text in theirs if self._home_of(text) == place]
        arriving = [text.decode() for text in self._arriving if self._home_of(text) == place]
        words = HoldingWords([(one.id.decode(), one.epoch, one.proof) for one in held], arriving, self._turn)
        return "holding", msgspec.json.encode(words)

    def homes(self) -> Collection[int]:
        """Return the places that are, or may be, home to lambdas held here; none of this machine's own."""
        atlas = self._registry.atlas
        return {place for machine in self._registry.abroad for place in atlas.places_of(machine)} - {*atlas.own_places}

    def _departed(self, held: Lambda, reason: str) -> None:
        if self._asking is None or held.id in self._arriving:
            # Whether a socket that is about to take it gets it decides whether it has left.
            return
        words = LeftWords(held.id.decode(), held.epoch, held.last_number, turn=self._turn)
        if reason == DRAINED and held.grace_s > 0:
            words.grace_s, words.code, words.headers = held.grace_s, held.code, msgspec.Raw(held.headers)
        self._asking.tell(self._home_of(held.id), "left", words)

    # -- questions about one lambda -----------------------------------------------------------------------------

    def show(self, text: bytes, heard: Heard, *, at_holder: bool = False) -> None:
        """Have ``heard`` told the object of a lambda, or why there is none."""
        held = self._registry.live.get(text)
        if held is not None:
            heard(lambda_object(held))
        else:
            self._ask_on(text, "show", heard, at_holder=at_holder)

    def delete(self, text: bytes, heard: Heard) -> None:
        """Close a lambda for good; ``heard`` is told ``{}``, or why there is none."""
        if self._is_elsewhere(text):
            self._ask_on(text, "delete", heard, at_holder=False)
            return
        if not self._homes.delete(text):
            try:
                self._registry.delete(text, self._relay.time(), self._clock.unix_ms)
            except MeshError as error:
                heard(error)
                return
        heard(b"{}")

    def _ask_on(self, text: bytes, topic: str, heard: Heard, *, at_holder: bool) -> None:
        registry, home = self._registry, self._home_of(text)
        away = registry.away.get(text)
        holder = None if away is None else away.place
        place = None if self._asking is None else next_stop(home, registry.here, holder, 0, at_holder=at_holder)
        if place is None or self._asking is None:
            now = self._relay.time()
            heard(registry.departure(text, now) if at_holder else registry.absence(text, now))
        elif isinstance(place, MeshError):
            heard(place)
        else:
            words = IdWords(text.decode("latin-1"), at_holder=home == registry.here)
            self._asking.ask(place, topic, words, heard, self._limits.ask_timeout_s)
