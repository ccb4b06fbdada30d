"""One question to every other node: some at a time, each for a while, and one end."""

from __future__ import annotations

import msgspec

from lambdamesh.core.survey import Survey
from lambdamesh.core.words import ListWords
from lambdamesh.errors import PeerUnreachable
from tests.unit.core.meshed import C, D, E, FakeLink, Node

UNREACHABLE = PeerUnreachable("nobody answers there")


class Surveyed:
    """A survey of a node, and how it ended."""

    def __init__(self, machines: list[int], at_a_time: int = 64, *, absent: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.node = Node()
        self.node.links.to = {machine: FakeLink(machine) for machine in machines}
        self.node.links.refusals = dict.fromkeys(absent, UNREACHABLE)
        self.ends: list[tuple[dict[int, bytes], list[int]]] = []
        survey = Survey(self.node.asking, machines, at_a_time, 2.0, self._done)
        survey.ask("count", ListWords())

    def _done(self, answers: dict[int, bytes], mute: list[int]) -> None:
        self.ends.append((answers, mute))

    def asked(self) -> list[int]:
        return [machine for machine, link in self.node.links.to.items() if link.said]

    def answer(self, machine: int) -> None:
        self.node.links.to[machine].answers(machine)


def test_every_node_is_asked_and_the_end_is_told_once() -> None:
    survey = Surveyed([C, D, E])
    assert survey.node.links.to[C].said == [("ask", "count", msgspec.json.encode(ListWords()))]
    survey.answer(D)
    survey.answer(C)
    assert not survey.ends
    survey.answer(E)
    survey.node.pass_time(10.0)
    assert survey.ends == [({C: b"12", D: b"13", E: b"14"}, [])]


def test_nobody_is_asked_where_there_is_nobody() -> None:
    assert Surveyed([]).ends == [({}, [])]


def test_who_does_not_answer_is_named() -> None:
    survey = Surveyed([C, D, E], absent={D})
    survey.answer(E)
    survey.node.pass_time(1.9)
    assert not survey.ends
    survey.node.pass_time(0.2)
    assert survey.ends == [({E: b"14"}, [D, C])]


def test_no_more_are_asked_at_a_time_than_may_be() -> None:
    survey = Surveyed(list(range(1, 8)), 3)
    assert survey.asked() == [1, 2, 3]
    survey.answer(2)
    assert survey.asked() == [1, 2, 3, 4]
    survey.node.pass_time(2.1)
    assert survey.asked() == list(range(1, 8))
    for machine in (5, 6, 7):
        survey.answer(machine)
    ((answers, mute),) = survey.ends
    assert (answers, sorted(mute)) == ({2: b"2", 5: b"5", 6: b"6", 7: b"7"}, [1, 3, 4])


def test_a_great_many_that_cannot_be_reached_are_no_trouble() -> None:
    machines = list(range(1, 5001))
    survey = Surveyed(machines, absent=set(machines[:-1]))
    survey.answer(5000)
    assert survey.ends == [({5000: b"5000"}, machines[:-1])]


def test_where_nobody_can_be_reached_the_end_comes_at_once() -> None:
    machines = list(range(1, 501))
    assert Surveyed(machines, absent=set(machines)).ends == [({}, machines)]
