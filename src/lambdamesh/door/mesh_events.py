"""The streams of what happens to lambdas: this worker's own events, and those it has other places tell."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import msgspec

from lambdamesh.core.asking import Question
from lambdamesh.core.held import Lambda
from lambdamesh.core.places import Atlas, machine_of
from lambdamesh.core.registry import MOVED
from lambdamesh.core.survey import Others
from lambdamesh.core.wheel import Wheel
from lambdamesh.core.words import EventFields, EventWords, ListWords
from lambdamesh.door.events import Events, Subscriber, event_fields
from lambdamesh.door.request import HttpReply
from lambdamesh.errors import BadRequest, Draining, MeshError, Overloaded
from lambdamesh.ids import machine_id_text
from lambdamesh.protocol.link_exchange import Cancellable

_FOLLOWS = "follows"
"""The first word of a node that tells, to be no event here."""
_LOOK_S = 1.0
"""How often to look for nodes that do not tell yet."""
_TELLING_BYTES = 1024 * 1024
"""What may wait for a link before a node that follows is told no more: it asks again."""


class Linking(Protocol):
    """The link to whoever follows (``protocol.link.Link``)."""

    place: int

    def __hash__(self) -> int:
        """Return what it is told apart by."""


class Follower(Protocol):
    """Another place that wants to know (``protocol.link_exchange.Inbound``)."""

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
    """Another place follows this one over a link, until it cancels that or the link ends (``Cancellable``)."""

    __slots__ = ("_followers", "_link")

    def __init__(self, followers: dict[Linking, Follower], link: Linking) -> None:
        self._followers = followers
        self._link = link

    def cancel(self) -> None:
        """Forget it."""
        self._followers.pop(self._link, None)

    def credit(self, add: int) -> None:
        """What waits for its link is its bound, not credit."""


class MeshEvents:
    """Follows other places while anybody here listens, and tells those that follow this one.

    ``of_node`` is the stream of this node's lambdas, whichever worker holds them, ``of_mesh`` that of all nodes.
    """

    def __init__(self, of_node: Events, of_mesh: Events, others: Others, atlas: Atlas, wheel: Wheel) -> None:
        self._of_node = of_node
        self._of_mesh = of_mesh
        self._others = others
        self._atlas = atlas
        self._wheel = wheel
        self._followed: dict[int, Question] = {}
        self._following: set[int] = set()
        """Those of them that have said that they tell."""
        self._followers: dict[Linking, Follower] = {}
        """Who follows, by link: one each."""
        self._is_armed = self._is_stopping = False

    def subscribe(self, subscriber: HttpReply, now: float, *, is_of_mesh: bool) -> None:
        """Begin a stream of the events of all nodes, or of this one. Raises: MeshError."""
        if is_of_mesh:
            self._of_mesh.subscribe(subscriber)
            for machine in sorted(set(map(machine_of, self._following))):
                self._of_mesh.say(_follows(machine))
        else:
            self._of_node.subscribe(subscriber)
        self.start(now)

    def start(self, now: float) -> None:
        """Have those places tell that are wanted. The other workers of this node are from the first: no event of the
        node is to be missed by a stream that has begun.
        """
        if self._follow() and not self._is_armed:
            self._is_armed = True
            self._wheel.add(self, now + _LOOK_S)

    def stop(self) -> None:
        """Tell nobody any more, and have nobody tell: links are to become quiet."""
        self._is_stopping = True
        self._follow()
        followers, self._followers = tuple(self._followers.values()), {}
        for follower in followers:
            follower.fault(Draining("this node is going down"))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End a stream that its reader has left."""
        self._of_mesh.unsubscribe(subscriber)
        self._of_node.unsubscribe(subscriber)

    def follow(self, link: Linking, follower: Follower) -> None:
        """Tell whoever is behind a link what happens here, from now on, in place of whom was told over it before."""
        former = self._followers.pop(link, None)
        if former is not None:
            former.fault(BadRequest("events were asked for again over the same link: the later question is answered"))
        self._followers[link] = follower
        follower.in_flight(_Following(self._followers, link))
        follower.item(msgspec.json.encode(EventWords(_FOLLOWS)))

    @property
    def followers(self) -> int:
        """How many places follow this one."""
        return len(self._followers)

    def publish(self, subject: Lambda, kind: str, detail: str) -> None:
        """Tell everybody of one event of this worker (``core.registry.Publish``)."""
        if not (self._followers or self._of_node.has_subscribers or self._of_mesh.has_subscribers):
            return
        fields = event_fields(subject, kind, detail)
        self._tell(msgspec.json.encode(EventWords(kind, fields)), is_move=detail == MOVED)
        self._show(self._atlas.here, kind, fields)

    def _tell(self, words: bytes, *, is_move: bool) -> None:
        for link, follower in tuple(self._followers.items()):
            if is_move and not self._atlas.is_own(link.place):
                # It opens somewhere else: of the mesh as a whole nothing has closed.
                continue
            if follower.waiting_bytes > _TELLING_BYTES:
                del self._followers[link]
                follower.fault(Overloaded("events come faster than the link takes them: ask again"))
            else:
                follower.item(words)

    def _show(self, place: int, kind: str, fields: EventFields) -> None:
        if self._atlas.is_own(place):
            self._of_node.show(kind, fields)
        if fields.get("reason") != MOVED:
            self._of_mesh.show(kind, fields | {"node": machine_id_text(machine_of(place))})

    # -- others -------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Time to look who tells and who listens (``Expiring``)."""
        self._is_armed = False
        self.start(now)

    def _follow(self) -> bool:
        """Have those tell that are wanted, and no others; return whether to look again whether they do."""
        wanted = () if self._is_stopping else self._wanted()
        for place in tuple(self._followed):
            if place not in wanted:
                self._followed.pop(place).cancel()
                self._following.discard(place)
        for place in wanted:
            if place not in self._followed:
                self._begin(place)
        return bool(wanted) or (self._of_mesh.has_subscribers and not self._is_stopping)

    def _wanted(self) -> tuple[int, ...]:
        """Which places have to tell, for somebody here to hear it."""
        return self._others.places() if self._of_mesh.has_subscribers else self._atlas.siblings

    def _begin(self, place: int) -> None:
        told = (partial(self._ended, place), partial(self._heard, place))
        question = self._others.asking.follow(place, "events", ListWords(), told, None)
        if question.is_open:
            self._followed[place] = question

    def _ended(self, place: int, _outcome: bytes | MeshError) -> None:
        question = self._followed.get(place)
        if question is not None and not question.is_open:
            del self._followed[place]
            self._following.discard(place)

    def _heard(self, place: int, raw: bytes) -> None:
        try:
            words = msgspec.json.decode(raw, type=EventWords)
        except msgspec.MsgspecError:
            return
        if words.event == _FOLLOWS:
            self._following.add(place)
            self._of_mesh.say(_follows(machine_of(place)))
        else:
            self._show(place, words.event, words.fields)


def _follows(machine: int) -> str:
    return f"the node {machine_id_text(machine)} tells its events"
