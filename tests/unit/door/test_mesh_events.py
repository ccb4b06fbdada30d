"""The events of a mesh: who tells whom, from when, until when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdamesh.core.clock import Clock
from lambdamesh.core.places import place_of
from lambdamesh.core.survey import Others
from lambdamesh.door.events import Events
from lambdamesh.door.mesh_events import MeshEvents
from lambdamesh.errors import BadRequest, Draining, MeshError, Overloaded
from lambdamesh.protocol.link_exchange import Cancellable
from tests.unit.core.meshed import C, D, FakeLink, Node
from tests.unit.door.test_events import Reader
from tests.unit.fakes import MACHINE, NOW_MS, TEXT

SIBLING = place_of(MACHINE, 1)


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

    def __init__(self, workers: int = 1, machines: tuple[int, ...] = (C, D)) -> None:
        self.machines = list(machines)
        self.node = Node()
        self.node.registry.atlas.workers = workers
        self.node.links.to[SIBLING] = FakeLink(SIBLING)
        self.links: dict[int, FakeLink] = {}
        clock = Clock(self.node.now, NOW_MS)
        events = Events(self.node.limits, self.node.counters, self.node.wheel, clock)
        others = Others(self.node.asking, lambda: tuple(self.machines), 2.0)
        of_node = Events(self.node.limits, self.node.counters, self.node.wheel, clock)
        self.mesh_events = MeshEvents(of_node, events, others, self.node.registry.atlas, self.node.wheel)
        self.node.registry.publish = self.mesh_events.publish

    def follow(self, place: int = C) -> Follower:
        follower = Follower()
        link = self.links.setdefault(place, FakeLink(place))
        self.mesh_events.follow(link, follower)
        return follower

    def subscribe(self, *, is_of_mesh: bool = True) -> Reader:
        reader = Reader()
        told: Any = reader
        self.mesh_events.subscribe(told, self.node.now, is_of_mesh=is_of_mesh)
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


def test_a_node_that_is_new_is_followed_while_somebody_listens() -> None:
    stage = Stage(machines=())
    stage.subscribe()
    stage.machines.append(C)
    stage.node.pass_time(1.1)
    assert [topic for _, topic, _ in stage.node.links.to[C].said] == ["events"]


# -- the workers of one node -------------------------------------------------------------------------------------


def test_the_other_workers_of_a_node_tell_from_the_start_for_as_long_as_it_lasts() -> None:
    stage = Stage(workers=2)
    stage.mesh_events.start(stage.node.now)
    link = stage.node.links.to[SIBLING]
    assert [topic for _, topic, _ in link.said] == ["events"]
    reader = stage.subscribe(is_of_mesh=False)
    stage.tells(SIBLING, b'{"event":"close","fields":{"id":"x","reason":"lost"}}')
    assert reader.events == [("close", {"id": "x", "reason": "lost"})]
    told: Any = reader
    stage.mesh_events.unsubscribe(told)
    stage.node.pass_time(1.1)
    assert link.cancelled == []
    assert stage.node.links.to[C].said == [], "nobody listens to the mesh"


def test_the_stream_of_a_node_has_no_events_of_others_and_that_of_the_mesh_has_all() -> None:
    stage = Stage(workers=2)
    of_node, of_mesh = stage.subscribe(is_of_mesh=False), stage.subscribe()
    stage.tells(C, b'{"event":"close","fields":{"id":"x","reason":"lost"}}')
    stage.node.open()
    own: list[Any] = [fields for _, fields in of_node.events]
    of_all: list[Any] = [fields for _, fields in of_mesh.events]
    assert [fields["id"] for fields in own] == [TEXT.decode()]
    assert [fields["id"] for fields in of_all] == ["x", TEXT.decode()]


def test_what_moves_to_another_node_has_closed_for_this_one_and_not_for_the_mesh() -> None:
    stage = Stage(workers=2)
    follower, sibling = stage.follow(C), stage.follow(SIBLING)
    of_node, of_mesh = stage.subscribe(is_of_mesh=False), stage.subscribe()
    stage.node.open()
    stage.node.registry.release(TEXT, stage.node.links.to[D], (), to=D)
    assert [kind for kind, _ in of_node.events] == ["open", "close"]
    assert [kind for kind, _ in of_mesh.events] == follower.events[1:] == ["open"]
    assert sibling.events[1:] == ["open", "close"]


def test_what_moves_to_another_worker_has_not_closed() -> None:
    stage = Stage(workers=2)
    of_node = stage.subscribe(is_of_mesh=False)
    stage.node.open()
    stage.node.registry.release(TEXT, stage.node.links.to[SIBLING], (), to=MACHINE)
    assert [kind for kind, _ in of_node.events] == ["open"]


def test_a_worker_that_goes_down_leaves_no_question_open() -> None:
    stage = Stage(workers=2)
    stage.mesh_events.start(stage.node.now)
    follower = stage.follow(SIBLING)
    stage.mesh_events.stop()
    assert stage.node.links.to[SIBLING].cancelled == [1]
    assert [type(error) for error in follower.faults] == [Draining]
    stage.node.pass_time(2.0)
    assert [topic for _, topic, _ in stage.node.links.to[SIBLING].said] == ["events"]
