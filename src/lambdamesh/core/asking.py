"""Questions from node to node, each with an answer or a reason why there is none, in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from lambdamesh.core.places import place_text
from lambdamesh.core.ports import Links, Provider
from lambdamesh.core.wheel import Slot, Wheel
from lambdamesh.errors import LambdaLost, MeshError, PeerUnreachable

Heard = Callable[[bytes | MeshError], None]
"""Told the answer as JSON, or why there is none; once."""

T = TypeVar("T")


class Question:
    """One question on its way (``protocol.answer.Pending``, ``Expiring``)."""

    __slots__ = ("_heard", "_on_item", "_place", "_sent", "_slot")

    def __init__(self, place: int, heard: Heard, on_item: Callable[[bytes], None] | None = None) -> None:
        self._place = place
        self._heard: Heard | None = heard
        self._on_item = on_item
        self._slot: Slot | None = None
        self._sent: tuple[Provider, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""
        return self._heard is not None

    def sent(self, sent: tuple[Provider, int] | None, slot: Slot | None) -> None:
        """It is on its way, or answered already."""
        if self._heard is not None:
            self._sent, self._slot = sent, slot
        elif slot is not None:
            slot.pop(self, None)

    def result(self, raw: bytes) -> None:
        """The other node answered."""
        self._end(raw)

    def item(self, raw: bytes) -> None:
        """It tells something more."""
        if self._on_item is not None and self._heard is not None:
            self._on_item(raw)

    def fault(self, error: MeshError) -> None:
        """It refused, or cannot be reached."""
        if isinstance(error, LambdaLost):
            error = PeerUnreachable(f"the node {place_text(self._place)} went away before it answered: try again")
        self._end(error)

    def moved(self, provider: Provider, number: int) -> None:
        """The link is up that it waited for (``Pending``)."""
        self._sent = (provider, number)

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._heard = None
        self._drop()

    def expire(self, now: float) -> None:
        """The other node took too long."""
        self._slot = None
        heard, self._heard = self._heard, None
        self._drop()
        if heard is not None:
            heard(PeerUnreachable(f"the node {place_text(self._place)} did not answer in time: try again"))

    def _drop(self) -> None:
        if self._slot is not None:
            self._slot.pop(self, None)
            self._slot = None
        sent, self._sent = self._sent, None
        if sent is not None:
            sent[0].cancel(sent[1])

    def _end(self, outcome: bytes | MeshError) -> None:
        heard, self._heard, self._sent = self._heard, None, None
        self._drop()
        if heard is not None:
            heard(outcome)


class Asking:
    """Asks other nodes. ``time`` tells monotonic seconds."""

    __slots__ = ("_time", "_wheel", "links")

    def __init__(self, links: Links, wheel: Wheel, time: Callable[[], float]) -> None:
        self.links = links
        self._wheel = wheel
        self._time = time

    def ask(self, place: int, topic: str, words: object, heard: Heard, within_s: float | None) -> Question:
        """Ask ``place`` and have ``heard`` told its answer within so many seconds (``None``: whenever)."""
        return self.follow(place, topic, words, (heard, None), within_s)

    def follow(
        self,
        place: int,
        topic: str,
        words: object,
        told: tuple[Heard, Callable[[bytes], None] | None],
        within_s: float | None,
    ) -> Question:
        """The same where the answer is told bit by bit, to the second of ``told``, before it ends."""
        question = Question(place, *told)
        slot = None if within_s is None else self._wheel.add(question, self._time() + within_s)
        question.sent(self.links.ask(place, topic, msgspec.json.encode(words), question), slot)
        return question

    def tell(self, place: int, topic: str, words: object) -> None:
        """Tell ``place`` something, if it can be reached."""
        self.links.tell(place, topic, msgspec.json.encode(words))


def read(outcome: bytes | MeshError, kind: type[T]) -> T | MeshError:
    """Read an answer as ``kind``; the error where it is one, or cannot be read."""
    if isinstance(outcome, MeshError):
        return outcome
    try:
        return msgspec.json.decode(outcome, type=kind)
    except msgspec.MsgspecError:
        return PeerUnreachable("the other node answers in a way that this one cannot read: bring both to one release")
