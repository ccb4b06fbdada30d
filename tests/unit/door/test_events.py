"""The stream of what happens to lambdas."""

from __future__ import annotations

import json

import pytest

from lambdamesh.core.clock import Clock
from lambdamesh.core.limits import Limits
from lambdamesh.core.listing import timestamp
from lambdamesh.core.reopening import Key
from lambdamesh.door.events import Events
from lambdamesh.errors import Overloaded
from tests.unit.fakes import NOW_MS, TEXT, World


class Reader:
    """A subscriber that keeps what it gets; one that ``only_head`` asked with HEAD."""

    def __init__(self, *, only_head: bool = False) -> None:
        self.content_type = b""
        self.pieces: list[bytes] = []
        self._only_head = only_head

    def stream(self, content_type: bytes) -> bool:
        self.content_type = content_type
        return not self._only_head

    def send(self, piece: bytes) -> None:
        self.pieces.append(piece)

    @property
    def events(self) -> list[tuple[str, object]]:
        """The events, without the comments."""
        found: list[tuple[str, object]] = []
        for block in b"".join(self.pieces).decode().split("\n\n")[:-1]:
            if not block.startswith(":"):
                name, data = block.split("\n")
                found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found

    @property
    def pings(self) -> int:
        """How many comments came after the greeting."""
        return self.pieces.count(b": ping\n\n")


class Stage:
    """A world whose events are published."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.world = World(limits)
        self.clock = Clock(self.world.now, NOW_MS)
        self.events = Events(self.world.limits, self.world.counters, self.world.wheel, self.clock)
        self.world.registry.publish = self.events.publish

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.now = self.world.now + 1
            self.world.pass_time(1)


def test_a_life_as_events() -> None:
    stage, reader = Stage(), Reader()
    stage.events.subscribe(reader)
    stage.world.leave(stage.world.open(grace_s=15))
    stage.world.leave(stage.world.reopen(Key.RIGHT), final=True)
    opened = {"id": TEXT.decode(), "timestamp": timestamp(TEXT), "code": "json-rpc"}
    assert reader.content_type.startswith(b"text/event-stream")
    assert reader.pieces[0].startswith(b":")
    assert reader.events == [
        ("open", {**opened, "reopened": False}),
        ("open", {**opened, "reopened": True}),
        ("close", {"id": TEXT.decode(), "reason": "closed"}),
    ]


def test_nobody_is_told_after_leaving() -> None:
    stage, stays, leaves = Stage(), Reader(), Reader()
    stage.events.subscribe(stays)
    stage.events.subscribe(leaves)
    stage.events.unsubscribe(leaves)
    stage.events.unsubscribe(leaves)
    stage.world.open()
    assert (len(stays.events), len(leaves.events)) == (1, 0)


def test_head_subscribes_to_nothing() -> None:
    stage, reader = Stage(), Reader(only_head=True)
    stage.events.subscribe(reader)
    stage.world.open()
    assert reader.pieces == []


def test_only_so_many_may_subscribe() -> None:
    stage, readers = Stage(Limits(events_subscribers=1)), [Reader(), Reader()]
    stage.events.subscribe(readers[0])
    with pytest.raises(Overloaded):
        stage.events.subscribe(readers[1])
    assert readers[1].content_type == b""
    assert stage.world.counters.overloaded_events == 1
    stage.events.unsubscribe(readers[0])
    stage.events.subscribe(readers[1])


def test_a_comment_every_15_s() -> None:
    stage, reader = Stage(), Reader()
    stage.events.subscribe(reader)
    stage.pass_time(61)
    assert reader.pings in (3, 4)


def test_readers_that_come_and_go_wind_up_no_more_timers() -> None:
    stage = Stage()
    for _ in range(5):
        reader = Reader()
        stage.events.subscribe(reader)
        stage.pass_time(1)
        stage.events.unsubscribe(reader)
    last = Reader()
    stage.events.subscribe(last)
    stage.pass_time(61)
    assert last.pings in (3, 4)
