"""A lambda as the worker knows it that holds it, and as its home knows it where somebody else does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lambdamesh.core.ports import Provider, Seat
from lambdamesh.core.reopening import Claim
from lambdamesh.core.wheel import Slot
from lambdamesh.core.words import NO_TURN
from lambdamesh.errors import MeshError

if TYPE_CHECKING:
    from lambdamesh.core.taking import Taker


class Waiting(Protocol):
    """A call that waits for its lambda to be re-opened, or to arrive where it is going."""

    def deliver(self, provider: Provider, now: float) -> None:
        """The lambda is back."""

    def give_up(self, error: MeshError) -> None:
        """It will not come back."""


class Line(Protocol):
    """Where calls wait for a lambda. ``left`` owes the answers of open calls, where it is known who does."""

    left: Provider | None
    waiting: list[Waiting] | None


class Lambda:
    """One lambda: open while it has a seat, waiting while it has none.

    ``left`` is the provider of the socket that ended, while calls are open that the next one may answer. ``epoch``
    orders the sockets that took the lambda one after the other, on whatever node: the home counts, 0 for the first.
    ``proof`` is what another home gave for holding it. ``expired`` is told when its grace has passed.
    """

    __slots__ = (
        "_expired",
        "code",
        "epoch",
        "grace_s",
        "headers",
        "id",
        "left",
        "number",
        "proof",
        "seat",
        "slot",
        "waiting",
    )

    def __init__(self, claim: Claim, code: str, expired: Callable[[Lambda, str, float], None]) -> None:
        self._expired = expired
        self.id = claim.text
        self.code = code
        self.headers = claim.headers
        self.grace_s = claim.grace_s
        self.number = 0
        self.epoch = 0
        self.proof = ""
        self.seat: Seat | None = None
        self.left: Provider | None = None
        self.waiting: list[Waiting] | None = None
        self.slot: Slot | None = None

    @property
    def state(self) -> str:
        """``open`` or ``waiting``."""
        return "waiting" if self.seat is None else "open"

    @property
    def provider(self) -> Provider | None:
        """Whoever owes the answers of the calls that are open."""
        return self.left if self.seat is None else self.seat.provider

    @property
    def last_number(self) -> int:
        """The number of the last call."""
        return self.number if self.seat is None else self.seat.provider.number

    def expire(self, now: float) -> None:
        """The grace has passed (``Expiring``)."""
        self.slot = None
        self._expired(self, "expired", now)

    def disarm(self) -> None:
        """It is back, or has ended otherwise."""
        if self.slot is not None:
            self.slot.pop(self, None)
            self.slot = None


class Away:
    """A lambda whose home this is and that the worker at ``place`` holds.

    ``number`` is that of its last call when it was placed there, ``turn`` where its holder stood when it asked for it.
    While it moves (``mover`` is whoever gets it), calls wait here, and so do those in ``movers`` who want it next.
    """

    __slots__ = ("epoch", "id", "left", "mover", "movers", "number", "place", "turn", "waiting")

    def __init__(self, text: bytes, place: int, epoch: int, number: int = 0) -> None:
        self.id = text
        self.place = place
        self.epoch = epoch
        self.number = number
        self.left: Provider | None = None
        self.waiting: list[Waiting] | None = None
        self.mover: Taker | None = None
        self.movers: deque[Taker] = deque()
        self.turn = NO_TURN


class Placing:
    """Where a lambda stands in its own history: ``number`` of its last call, ``epoch`` of the socket that takes it.

    ``proof`` is by which its home knows again that it placed the lambda so.
    """

    __slots__ = ("epoch", "number", "proof")

    def __init__(self, number: int, epoch: int, proof: str = "") -> None:
        self.number = number
        self.epoch = epoch
        self.proof = proof
