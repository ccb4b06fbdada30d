"""Whoever is about to get a lambda from its home: a socket of this node, or another node."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from lambdamesh.core.flight import Flight
from lambdamesh.core.held import Placing, Waiting
from lambdamesh.core.ports import Linked, Provider, Seat
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim
from lambdamesh.core.words import NO_TURN, PlacedWords, Turn
from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.call import Call

Taken = Callable[[MeshError | None], None]
"""Told, once, that the lambda is the socket's, or why not."""


class Exchange(Answer, Protocol):
    """An exchange with another node, that may be cancelled from there."""

    @property
    def is_open(self) -> bool:
        """Whether the other node still waits."""

    def in_flight(self, flight: Flight | None) -> None:
        """What to cancel should it not wait any more."""


class Taker(Protocol):
    """Gets the lambda of ``claim``, with the open calls in ``keep``."""

    claim: Claim
    keep: Collection[int]
    turn: Turn

    @property
    def is_there(self) -> bool:
        """Whether it still wants the lambda."""

    @property
    def link(self) -> Linked | None:
        """The link to it, where it is another node."""

    @property
    def place(self) -> int:
        """Where it is."""

    def adopt(self, call: Call, number: int, answer: Exchange) -> None:
        """Have it answer call ``number``, which runs since before, for another node."""

    def granted(self, placing: Placing, *, is_new_here: bool) -> None:
        """The lambda is its own; unless ``is_new_here`` it held it before, and numbers go on where they are."""

    def refused(self, error: MeshError) -> None:
        """It is not."""

    def deliver(self, waiting: list[Waiting], now: float) -> None:
        """Have it answer calls that have waited."""


class SocketTaker:
    """A socket of this node."""

    is_there = True
    link: Linked | None = None
    turn = NO_TURN

    def __init__(self, relay: Relay, registry: Registry, claim: Claim, seat: Seat, taken: Taken) -> None:
        self._relay = relay
        self._registry = registry
        self._seat = seat
        self._taken = taken
        self.claim = claim
        self.keep: Collection[int] = ()
        self.place = registry.here

    def adopt(self, call: Call, number: int, answer: Exchange) -> None:
        """Have its provider answer a call that it holds from elsewhere (``Taker``)."""
        provider: Provider = self._seat.provider
        flight = self._relay.adopt(call, answer, provider, self._relay.time())
        flight.number = number
        provider.pending[number] = flight
        answer.in_flight(flight)

    def granted(self, placing: Placing, *, is_new_here: bool) -> None:
        """Seat it (``Taker``)."""
        self._registry.seat(self.claim, self._seat, placing, self._relay.time(), self.keep)
        self._taken(None)

    def refused(self, error: MeshError) -> None:
        """Tell it why not (``Taker``)."""
        self._taken(error)

    def deliver(self, waiting: list[Waiting], now: float) -> None:
        """Send it the calls that have waited (``Taker``)."""
        while waiting:
            waiting.pop(0).deliver(self._seat.provider, now)


class NodeTaker:
    """Another node, behind ``link``; ``answer`` is how it hears."""

    def __init__(self, relay: Relay, claim: Claim, link: Linked, place: int, answer: Exchange) -> None:
        self._relay = relay
        self._answer = answer
        self.claim = claim
        self.keep: Collection[int] = ()
        self.turn = NO_TURN
        self.link: Linked | None = link
        self._to: Linked = link
        self.place = place

    @property
    def is_there(self) -> bool:
        """Whether it has not gone (``Taker``)."""
        return self._answer.is_open

    def adopt(self, call: Call, number: int, answer: Exchange) -> None:
        """Pass a call on that its provider holds from elsewhere (``Taker``)."""
        flight = self._relay.adopt(call, answer, self._to, self._relay.time())
        flight.number = self._to.adopt(call, number, flight)
        answer.in_flight(flight)

    def granted(self, placing: Placing, *, is_new_here: bool) -> None:
        """Tell it so (``Taker``)."""
        number = placing.number if is_new_here else None
        self._answer.result(msgspec.json.encode(PlacedWords(placing.epoch, number, placing.proof)))

    def refused(self, error: MeshError) -> None:
        """Tell it why not (``Taker``)."""
        self._answer.fault(error)

    def deliver(self, waiting: list[Waiting], now: float) -> None:
        """Pass on the calls that have waited (``Taker``)."""
        while waiting:
            waiting.pop(0).deliver(self._to, now)
