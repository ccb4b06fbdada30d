"""Listings of the whole mesh: each node's lambdas as its answer comes, and never more than are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.core.survey import Others
from lambdamesh.core.words import LISTED_BYTES, ListWords
from lambdamesh.errors import PeerUnreachable
from tests.unit.core.meshed import C, D, E, FakeLink, Node
from tests.unit.door.doors import Reply, Stage as DoorStage
from tests.unit.door.heads import request_of
from tests.unit.fakes import TEXT, an_id


class Stage(DoorStage):
    """A door with one lambda here, ``TEXT``, and other nodes that the test answers for."""

    def __init__(self, *machines: int, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.node = Node()
        self.links = self.node.links.to = {machine: FakeLink(machine) for machine in machines}
        self.door.others = Others(self.node.asking, lambda: machines, 2.0)
        self.later: list[Callable[[], None]] = []
        self.door.call_soon = self.later.append

    def get(self, target: str) -> Reply:
        return self.ask(request_of("GET", target))

    def asked(self, machine: int, topic: str = "list") -> list[int]:
        """The limits that a node was asked with."""
        return [words.limit for words in self.links[machine].words("ask", topic, ListWords)]

    def answers(self, machine: int, *texts: bytes, is_cut: bool = False, skipped: int = 0) -> None:
        self.says(machine, answer_of(*texts, is_cut=is_cut, skipped=skipped))

    def says(self, machine: int, raw: bytes) -> None:
        link = self.links[machine]
        link.pending.pop(link.numbers[-1]).result(raw)


def answer_of(*texts: bytes, is_cut: bool = False, count: int | None = None, skipped: int = 0) -> bytes:
    entries = b",".join(b'"%b":{"id":"%b" , "of":"afar"}' % (text, text) for text in texts)
    cut = b"true" if is_cut else b"false"
    count = len(texts) if count is None else count
    return b'{"count":%d,"is_cut":%b,"skipped":%d,"lambdas":{%b}}' % (count, cut, skipped, entries)


def ids(reply: Reply) -> list[bytes]:
    assert reply.status == 200
    return [text.encode() for text in json.loads(reply.body)]


def fields(reply: Reply) -> dict[bytes, bytes]:
    return dict(reply.fields)


AFAR = [an_id(number, machine=C) for number in range(1, 10)]


def test_the_lambdas_of_all_nodes_as_they_wrote_them() -> None:
    stage = Stage(C, D, E)
    reply = stage.get("/lambda?scope=mesh")
    stage.answers(D, *AFAR[:2])
    stage.answers(C)
    assert reply.status == 0
    stage.answers(E, AFAR[2])
    assert ids(reply) == [TEXT, *AFAR[:3]]
    assert b'{"id":"%b" , "of":"afar"}' % AFAR[0] in reply.body
    assert fields(reply) == {}


def test_nobody_is_asked_for_more_than_there_is_room_for() -> None:
    stage = Stage(C, D, limits=Limits(listing_nodes=1))
    reply = stage.get("/lambda?scope=mesh&limit=4")
    assert (stage.asked(C), stage.asked(D)) == ([3], [])
    stage.answers(C, *AFAR[:2])
    assert stage.asked(D) == [1]
    stage.answers(D, AFAR[2], is_cut=True)
    assert ids(reply) == [TEXT, *AFAR[:3]]
    assert fields(reply) == {b"Lambda-Truncated": b"true"}


def test_what_is_beyond_the_limit_is_dropped_as_it_comes() -> None:
    stage = Stage(C, D, E)
    reply = stage.get("/lambda?scope=mesh&limit=4")
    stage.answers(C, *AFAR[:2])
    stage.answers(D, *AFAR[2:5])
    # Nobody waits for the third.
    assert ids(reply) == [TEXT, *AFAR[:3]]
    assert fields(reply) == {b"Lambda-Truncated": b"true"}
    assert stage.links[E].cancelled == [1]


def test_a_listing_that_just_fits_is_not_cut() -> None:
    stage = Stage(C)
    reply = stage.get("/lambda?scope=mesh&limit=3")
    stage.answers(C, *AFAR[:2])
    assert (len(ids(reply)), fields(reply)) == (3, {})


@pytest.mark.parametrize(("limit", "shown"), [(0, []), (1, [TEXT])])
def test_where_this_node_fills_it_nobody_is_asked(limit: int, shown: list[bytes]) -> None:
    stage = Stage(C)
    reply = stage.get(f"/lambda?scope=mesh&limit={limit}")
    assert (ids(reply), fields(reply)) == (shown, {b"Lambda-Truncated": b"true"})
    assert stage.asked(C) == []


def test_a_node_that_has_more_than_it_may_say_at_a_time_is_asked_for_the_rest() -> None:
    stage = Stage(C)
    reply = stage.get("/lambda?scope=mesh&limit=4")
    stage.answers(C, *AFAR[:2], is_cut=True)
    assert [(words.limit, words.skip) for words in stage.links[C].words("ask", "list", ListWords)] == [(3, 0), (1, 2)]
    stage.answers(C, AFAR[2], is_cut=True, skipped=2)
    assert ids(reply) == [TEXT, *AFAR[:3]]
    assert fields(reply) == {b"Lambda-Truncated": b"true"}


def test_a_node_that_begins_from_the_start_each_time_is_cut() -> None:
    stage = Stage(C)
    reply = stage.get("/lambda?scope=mesh")
    stage.answers(C, AFAR[0], is_cut=True)
    stage.answers(C, AFAR[0], is_cut=True)
    assert ids(reply) == [TEXT, AFAR[0]]
    assert fields(reply) == {b"Lambda-Truncated": b"true"}


def test_a_node_that_has_more_and_says_nothing_of_it_is_cut() -> None:
    stage = Stage(C)
    reply = stage.get("/lambda?scope=mesh")
    stage.answers(C, is_cut=True)
    assert fields(reply) == {b"Lambda-Truncated": b"true"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"count":-1,"is_cut":false,"lambdas":{}}',
        b'{"count":1,"is_cut":false,"lambdas":[1]}',
        b'{"count":1,"is_cut":false,"lambdas":5}',
        b'{"count":1,"is_cut":false,"lambdas":{"a":"\xff"}}',
        b'{"count":99999,"is_cut":false,"lambdas":"x"}',
        b'{"count":1,"is_cut":false,"lambdas":{"a":"%b"}}' % (b"x" * (LISTED_BYTES + 300)),
    ],
)
def test_who_answers_what_is_no_listing_is_named(raw: bytes) -> None:
    stage = Stage(C, D)
    reply = stage.get("/lambda?scope=mesh")
    stage.says(C, raw)
    stage.answers(D, AFAR[0])
    assert (ids(reply), fields(reply)) == ([TEXT, AFAR[0]], {b"Lambda-Unreachable": b"0000000c"})


def test_a_node_that_counts_wrong_breaks_no_json() -> None:
    stage = Stage(C, D, E)
    reply = stage.get("/lambda?scope=mesh")
    stage.says(C, answer_of(count=3))
    stage.says(D, b'{ "count":1, "is_cut":false, "lambdas": { "a": 1 } }')
    stage.says(E, answer_of(AFAR[0], count=0))
    assert ids(reply) == [TEXT, b"a", AFAR[0]]


def test_who_does_not_answer_is_named() -> None:
    for target, topic in (("/lambda?scope=mesh", "list"), ("/lambda?scope=mesh&count", "count")):
        stage = Stage(C, D)
        reply = stage.get(target)
        assert len(stage.asked(D, topic)) == 1
        link = stage.links[D]
        link.refuses(PeerUnreachable("nobody answers there"))
        stage.says(C, b"5" if topic == "count" else answer_of())
        assert fields(reply) == {b"Lambda-Unreachable": b"0000000d"}


def test_counts_are_added() -> None:
    stage = Stage(C, D, E)
    reply = stage.get("/lambda?scope=mesh&count")
    stage.says(C, b"5")
    stage.says(D, b"-5")
    stage.says(E, b"6")
    assert reply.body == b'{"count":12}'
    assert fields(reply) == {b"Lambda-Unreachable": b"0000000d"}


@pytest.mark.parametrize("target", ["/lambda", "/lambda?scope=mesh"])
def test_many_lambdas_are_written_some_at_a_time(target: str) -> None:
    stage = Stage()
    texts = [an_id(number) for number in range(10, 1210)]
    for text in texts:
        stage.world.open(text)
    reply = stage.get(target)
    turns = 0
    while stage.later:
        assert reply.status == 0
        if turns == 0:
            # The end of one that is not written yet.
            del stage.door.registry.live[texts[-1]]
        stage.later.pop()()
        turns += 1
    assert turns == 2
    assert ids(reply) == [TEXT, *texts[:-1]]


def test_a_listing_needs_no_more_than_it_shows() -> None:
    stage = Stage(*range(100, 164))
    reply: Any = stage.get("/lambda?scope=mesh&limit=5")
    for machine in range(100, 164):
        if reply.status == 0:
            stage.answers(machine, *AFAR)
    assert len(ids(reply)) == 5
    assert sum(bool(link.cancelled) for link in stage.links.values()) == 63
