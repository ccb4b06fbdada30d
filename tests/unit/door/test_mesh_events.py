"""The events of a mesh: who tells whom, from when, until when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdamesh.core.clock import Clock
from lambdamesh.core.survey import Others
from lambdamesh.door.events import Events
from lambdamesh.door.mesh_events import MeshEvents
from lambdamesh.errors import BadRequest, MeshError, Overloaded
from lambdamesh.protocol.link_exchange import Cancellable
from tests.unit.core.meshed import C, D, FakeLink, Node
from tests.unit.door.test_events import Reader
from tests.unit.fakes import NOW_MS, TEXT


class Follower:
    """Another node that follows (``Follower``)."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.faults: list[MeshError] = []
        self.flight: Cancellable | None = None
        self.waiting_bytes = 0

    def in_flight(self, flight: Cancellable | None) -> None:
        self.flight = flight

    def item(self, raw: bytes) -> None:
        self.items.append(json.loads(raw))

    def fault(self, error: MeshError) -> None:
        self.faults.append(error)
        self.flight = None

    def leave(self) -> None:
        assert self.flight is not None
        self.flight.cancel()

    @property
    def events(self) -> list[str]:
        return [item["event"] for item in self.items]


class Stage:
    """A node whose events are published to whoever follows it, and that follows two others."""

    def __init__(self) -> None:
        self.node = Node()
        self.links: dict[int, FakeLink] = {}
        clock = Clock(self.node.now, NOW_MS)
        events = Events(self.node.limits, self.node.counters, self.node.wheel, clock)
        others = Others(self.node.asking, lambda: (C, D), 2.0)
        of_node = Events(self.node.limits, self.node.counters, self.node.wheel, clock)
        self.mesh_events = MeshEvents(of_node, events, others, self.node.registry.atlas, self.node.wheel)
        self.node.registry.publish = self.mesh_events.publish

    def follow(self, place: int = C) -> Follower:
        follower = Follower()
        link = self.links.setdefault(place, FakeLink(place))
        self.mesh_events.follow(link, follower)
        return follower

    def subscribe(self) -> Reader:
        reader = Reader()
        told: Any = reader
        self.mesh_events.subscribe(told, self.node.now, is_of_mesh=True)
        return reader

    def tells(self, machine: int, words: bytes) -> None:
        """Another node tells something."""
        link: FakeLink = self.node.links.to[machine]
        link.pending[link.numbers[-1]].item(words)


def test_who_follows_is_told_what_happens_here() -> None:
    stage = Stage()
    follower = stage.follow()
    stage.node.open()
    assert follower.events == ["follows", "open"]
    assert follower.items[1]["fields"]["id"] == TEXT.decode()


def test_who_does_not_follow_any_more_is_forgotten_at_once() -> None:
    stage = Stage()
    one, other = stage.follow(C), stage.follow(D)
    one.leave()
    assert stage.mesh_events.followers == 1
    stage.node.open()
    assert (one.events, other.events) == (["follows"], ["follows", "open"])


def test_a_great_many_that_come_and_go_leave_nothing() -> None:
    stage = Stage()
    for _ in range(1000):
        stage.follow().leave()
    assert stage.mesh_events.followers == 0


def test_one_link_follows_once() -> None:
    stage = Stage()
    first, second = stage.follow(C), stage.follow(C)
    assert stage.mesh_events.followers == 1
    assert [type(error) for error in first.faults] == [BadRequest]
    stage.node.open()
    assert (first.events, second.events) == (["follows"], ["follows", "open"])


def test_who_takes_nothing_is_told_no_more() -> None:
    stage = Stage()
    follower = stage.follow()
    follower.waiting_bytes = 2 * 1024 * 1024
    stage.node.open()
    assert follower.events == ["follows"]
    assert [type(error) for error in follower.faults] == [Overloaded]
    assert stage.mesh_events.followers == 0


def test_what_others_tell_is_shown_with_the_node() -> None:
    stage = Stage()
    reader = stage.subscribe()
    stage.tells(C, b'{"event":"follows"}')
    stage.tells(C, b'{"event":"close","fields":{"id":"x","reason":"lost"}}')
    assert reader.events == [("close", {"id": "x", "reason": "lost", "node": "0000000c"})]


@pytest.mark.parametrize(
    "words", [b"nonsense", b'{"event":"open\\nevent: close"}', b'{"event":"open","fields":{"id":["x"]}}']
)
def test_what_is_no_event_is_not_shown(words: bytes) -> None:
    stage = Stage()
    reader = stage.subscribe()
    before = len(reader.pieces)
    stage.tells(C, words)
    assert len(reader.pieces) == before


def test_a_node_that_tells_no_more_is_asked_again() -> None:
    stage = Stage()
    stage.subscribe()
    link = stage.node.links.to[C]
    assert [topic for _, topic, _ in link.said] == ["events"]
    link.refuses(Overloaded("ask again"))
    stage.node.pass_time(1.1)
    assert [topic for _, topic, _ in link.said] == ["events", "events"]
    assert [topic for _, topic, _ in stage.node.links.to[D].said] == ["events"]


def test_where_nobody_listens_others_are_not_followed() -> None:
    stage = Stage()
    reader: Any = stage.subscribe()
    stage.mesh_events.unsubscribe(reader)
    stage.node.pass_time(1.1)
    assert stage.node.links.to[C].cancelled == stage.node.links.to[D].cancelled == [1]
