"""One worker speaks for all: whether the node is ready, and what it measures."""

from __future__ import annotations

import json

import msgspec
import pytest

from lambdamesh.core.asking import Asking
from lambdamesh.core.places import place_of
from lambdamesh.core.survey import Others
from lambdamesh.core.words import MeasuresWords, ReadyWords
from lambdamesh.errors import Recovering
from tests.unit.core.meshed import FakeLink, FakeLinks
from tests.unit.door.doors import Reply, Stage
from tests.unit.door.heads import request_of
from tests.unit.fakes import MACHINE

ONE, OTHER = place_of(MACHINE, 1), place_of(MACHINE, 2)
WITHIN_S = 1.0


class Crew:
    """A door whose node has two more workers, that answer by hand."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.links = FakeLinks()
        self.links.to = {place: FakeLink(place) for place in (ONE, OTHER)}
        asking = Asking(self.links, self.stage.world.wheel, lambda: self.stage.world.now)
        self.stage.door.siblings = Others(asking, lambda: (ONE, OTHER), WITHIN_S)
        self.heard: list[MeasuresWords] = []
        self.stage.door.exposition = self._write

    def _write(self, siblings: object) -> bytes:
        assert isinstance(siblings, list)
        self.heard = siblings
        return b"# metrics\n"

    def ask(self, target: str) -> Reply:
        return self.stage.ask(request_of("GET", target))

    def answer(self, place: int, words: object) -> None:
        [pending] = self.links.to[place].pending.values()
        pending.result(words if isinstance(words, bytes) else msgspec.json.encode(words))

    def pass_time(self, seconds: float) -> None:
        self.stage.world.wheel.sweep(self.stage.world.now + seconds)


@pytest.fixture
def crew() -> Crew:
    return Crew()


def test_all_are_ready(crew: Crew) -> None:
    reply = crew.ask("/readyz")
    crew.answer(ONE, ReadyWords(False))
    assert reply.status == 0
    crew.answer(OTHER, ReadyWords(False))
    assert (reply.status, reply.body) == (200, b'{"status":"ready"}')


def test_one_that_is_not_ready_speaks_for_all(crew: Crew) -> None:
    reply = crew.ask("/readyz")
    crew.answer(ONE, ReadyWords(True))
    crew.answer(OTHER, ReadyWords(False))
    assert (reply.status, reply.body) == (503, b"draining")


def test_this_one_is_not_ready_and_asks_nobody(crew: Crew) -> None:
    crew.stage.door.is_ready = False
    assert crew.ask("/readyz").status == 503
    assert not crew.links.to[ONE].pending


def test_troubles_are_told_once_each(crew: Crew) -> None:
    crew.stage.door.trouble = lambda: "NATS is away"
    reply = crew.ask("/readyz")
    crew.answer(ONE, ReadyWords(False, "NATS is away"))
    crew.answer(OTHER, ReadyWords(False, "a node is away"))
    assert reply.status == 200
    assert json.loads(reply.body) == {"status": "degraded", "why": "NATS is away; a node is away"}


def test_one_that_is_mute_is_named_after_a_while(crew: Crew) -> None:
    reply = crew.ask("/readyz")
    crew.answer(ONE, ReadyWords(False))
    crew.pass_time(WITHIN_S / 2)
    assert reply.status == 0
    crew.pass_time(WITHIN_S + 0.1)
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "status": "degraded",
        "why": "worker 2 does not answer: it is started again",
    }


def test_those_that_are_not_there_are_named_at_once(crew: Crew) -> None:
    crew.links.refusals = {ONE: Recovering("it is started again"), OTHER: Recovering("it is started again")}
    why = json.loads(crew.ask("/readyz").body)["why"]
    assert "worker 1 does not" in why
    assert "worker 2 does not" in why


def test_an_answer_that_cannot_be_read_is_none(crew: Crew) -> None:
    reply = crew.ask("/readyz")
    crew.answer(ONE, b'{"is_ending":"perhaps"}')
    crew.answer(OTHER, ReadyWords(False))
    assert "worker 1 does not" in json.loads(reply.body)["why"]


def test_metrics_are_written_with_those_that_answered(crew: Crew) -> None:
    words = MeasuresWords(7, {"lambdas": 2.0})
    reply = crew.ask("/metrics")
    crew.answer(OTHER, words)
    assert reply.status == 0
    crew.pass_time(WITHIN_S + 0.1)
    assert (reply.status, reply.body) == (200, b"# metrics\n")
    assert crew.heard == [words]


def test_a_worker_without_siblings_answers_at_once() -> None:
    stage = Stage()
    assert stage.ask(request_of("GET", "/readyz")).body == b'{"status":"ready"}'
    assert stage.ask(request_of("GET", "/metrics")).body == b"# metrics\n"
