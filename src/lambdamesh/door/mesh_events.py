"""The stream of what happens to lambdas anywhere in the mesh: this node's own events, and those it has others tell."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Protocol

import msgspec

from lambdamesh.core.asking import Question
from lambdamesh.core.held import Lambda
from lambdamesh.core.registry import MOVED
from lambdamesh.core.survey import Others
from lambdamesh.core.wheel import Wheel
from lambdamesh.core.words import EventFields, EventWords, ListWords
from lambdamesh.door.events import Events, Subscriber, event_fields
from lambdamesh.door.request import HttpReply
from lambdamesh.errors import BadRequest, MeshError, Overloaded
from lambdamesh.ids import machine_id_text
from lambdamesh.protocol.link_exchange import Cancellable

_FOLLOWS = "follows"
"""The first word of a node that tells, to be no event here."""
_LOOK_S = 1.0
"""How often to look for nodes that do not tell yet."""
_TELLING_BYTES = 1024 * 1024
"""What may wait for a link before a node that follows is told no more: it asks again."""


class Follower(Protocol):
    """Another node that wants to know (``protocol.link_exchange.Inbound``)."""

    @property
    def waiting_bytes(self) -> int:
        """What waits for the link to it."""

    def in_flight(self, flight: Cancellable | None) -> None:
        """Remember what to cancel once it does not want to know any more, or is gone."""

    def item(self, raw: bytes) -> None:
        """Tell it one event."""

    def fault(self, error: MeshError) -> None:
        """Tell it no more."""


class _Following:
    """A node follows this one over a link, until it cancels that or the link ends (``Cancellable``)."""

    __slots__ = ("_followers", "_link")

    def __init__(self, followers: dict[Hashable, Follower], link: Hashable) -> None:
        self._followers = followers
        self._link = link

    def cancel(self) -> None:
        """Forget it."""
        self._followers.pop(self._link, None)

    def credit(self, add: int) -> None:
        """What waits for its link is its bound, not credit."""


class MeshEvents:
    """Follows other nodes while anybody here listens, and tells those that follow this one."""

    def __init__(self, events: Events, others: Others, machine: int, wheel: Wheel) -> None:
        self._events = events
        self._others = others
        self._machine = machine
        self._wheel = wheel
        self._followed: dict[int, Question] = {}
        self._following: set[int] = set()
        """Those of them that have said that they tell."""
        self._followers: dict[Hashable, Follower] = {}
        """Who follows, by link: one each."""
        self._is_armed = False

    def subscribe(self, subscriber: HttpReply, now: float) -> None:
        """Begin a stream of the events of all nodes. Raises: MeshError."""
        self._events.subscribe(subscriber)
        for machine in self._following:
            self._events.say(_follows(machine))
        if not self._is_armed:
            self._is_armed = True
            self._look(now)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End a stream that its reader has left."""
        self._events.unsubscribe(subscriber)

    def follow(self, link: Hashable, follower: Follower) -> None:
        """Tell the node behind a link what happens here, from now on, in place of whom was told over it before."""
        former = self._followers.pop(link, None)
        if former is not None:
            former.fault(BadRequest("events were asked for again over the same link: the later question is answered"))
        self._followers[link] = follower
        follower.in_flight(_Following(self._followers, link))
        follower.item(msgspec.json.encode(EventWords(_FOLLOWS)))

    @property
    def followers(self) -> int:
        """How many nodes follow this one."""
        return len(self._followers)

    def publish(self, subject: Lambda, kind: str, detail: str) -> None:
        """Tell everybody of one event of this node (``core.registry.Publish``)."""
        if detail == MOVED:
            # It opens somewhere else: of the mesh as a whole nothing has closed.
            return
        fields = event_fields(subject, kind, detail)
        if self._followers:
            self._tell(msgspec.json.encode(EventWords(kind, fields)))
        self._show(self._machine, kind, fields)

    def _tell(self, words: bytes) -> None:
        for link, follower in tuple(self._followers.items()):
            if follower.waiting_bytes > _TELLING_BYTES:
                del self._followers[link]
                follower.fault(Overloaded("events come faster than the link takes them: ask again"))
            else:
                follower.item(words)

    def _show(self, machine: int, kind: str, fields: EventFields) -> None:
        self._events.show(kind, fields | {"node": machine_id_text(machine)})

    # -- others -------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Time to look who tells and who listens (``Expiring``)."""
        self._look(now)

    def _look(self, now: float) -> None:
        if not self._events.has_subscribers:
            self._is_armed = False
            for question in self._followed.values():
                question.cancel()
            self._followed.clear()
            self._following.clear()
            return
        for machine in self._others.machines():
            if machine not in self._followed:
                self._begin(machine)
        self._wheel.add(self, now + _LOOK_S)

    def _begin(self, machine: int) -> None:
        told = (partial(self._ended, machine), partial(self._heard, machine))
        question = self._others.asking.follow(machine, "events", ListWords(), told, None)
        if question.is_open:
            self._followed[machine] = question

    def _ended(self, machine: int, _outcome: bytes | MeshError) -> None:
        question = self._followed.get(machine)
        if question is not None and not question.is_open:
            del self._followed[machine]
            self._following.discard(machine)

    def _heard(self, machine: int, raw: bytes) -> None:
        try:
            words = msgspec.json.decode(raw, type=EventWords)
        except msgspec.MsgspecError:
            return
        if words.event == _FOLLOWS:
            self._following.add(machine)
            self._events.say(_follows(machine))
        else:
            self._show(machine, words.event, words.fields)


def _follows(machine: int) -> str:
    return f"the node {machine_id_text(machine)} tells its events"
