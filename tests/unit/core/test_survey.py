"""One question to every other node: some at a time, each for a while, and one end."""

from __future__ import annotations

import msgspec

from lambdamesh.core.survey import Survey
from lambdamesh.core.words import ListWords
from lambdamesh.errors import PeerUnreachable
from tests.unit.core.meshed import C, D, E, FakeLink, Node

UNREACHABLE = PeerUnreachable("nobody answers there")


class Surveyed:
    """A survey of a node, what it took of the answers, and how it ended. It wants ``most`` answers."""

    def __init__(
        self,
        machines: list[int],
        at_a_time: int = 64,
        *,
        absent: frozenset[int] | set[int] = frozenset(),
        most: int = 10_000,
        unreadable: bytes = b"nonsense",
    ) -> None:
        self.node = Node()
        self.node.links.to = {machine: FakeLink(machine) for machine in machines}
        self.node.links.refusals = dict.fromkeys(absent, UNREACHABLE)
        self.answers: list[bytes] = []
        self.next: list[object] = []
        self.ends: list[tuple[list[int], bool]] = []
        self._most = most
        self._unreadable = unreadable
        Survey(self.node.asking, at_a_time, 2.0, self).ask(machines, "count")

    def words(self) -> object | None:
        room = self._most - len(self.answers)
        return ListWords(room) if room else None

    def heard(self, raw: bytes, asked: object) -> object | None:
        assert not self.ends
        if raw == self._unreadable:
            raise ValueError(raw)
        self.answers.append(raw)
        return self.next.pop(0) if self.next else None

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        self.ends.append((mute, is_whole))

    def asked(self) -> list[int]:
        return [machine for machine, link in self.node.links.to.items() if link.said]

    def answer(self, machine: int) -> None:
        self.node.links.to[machine].answers(machine)


def test_every_node_is_asked_and_the_end_is_told_once() -> None:
    survey = Surveyed([C, D, E])
    assert survey.node.links.to[C].said == [("ask", "count", msgspec.json.encode(ListWords(10_000)))]
    survey.answer(D)
    assert survey.answers == [b"13"]
    survey.answer(C)
    assert not survey.ends
    survey.answer(E)
    survey.node.pass_time(10.0)
    assert (survey.answers, survey.ends) == ([b"13", b"12", b"14"], [([], True)])


def test_who_has_more_to_say_is_asked_again() -> None:
    survey = Surveyed([C, D], at_a_time=1)
    survey.next.append(ListWords(7, 3))
    survey.answer(C)
    link = survey.node.links.to[C]
    assert link.said[1] == ("ask", "count", msgspec.json.encode(ListWords(7, 3)))
    assert survey.asked() == [C], "in the place of the first question"
    survey.node.links.to[C].answers(C, 1)
    survey.answer(D)
    assert (survey.answers, survey.ends) == ([b"12", b"12", b"13"], [([], True)])


def test_nobody_is_asked_where_there_is_nobody() -> None:
    assert Surveyed([]).ends == [([], True)]


def test_who_does_not_answer_is_named() -> None:
    survey = Surveyed([C, D, E], absent={D})
    survey.answer(E)
    survey.node.pass_time(1.9)
    assert not survey.ends
    survey.node.pass_time(0.2)
    assert (survey.answers, survey.ends) == ([b"14"], [([D, C], True)])


def test_who_answers_what_cannot_be_read_is_named() -> None:
    survey = Surveyed([C, D], unreadable=b"12")
    survey.answer(C)
    survey.answer(D)
    assert (survey.answers, survey.ends) == ([b"13"], [([C], True)])


def test_no_more_are_asked_at_a_time_than_may_be() -> None:
    survey = Surveyed(list(range(1, 8)), 3)
    assert survey.asked() == [1, 2, 3]
    survey.answer(2)
    assert survey.asked() == [1, 2, 3, 4]
    survey.node.pass_time(2.1)
    assert survey.asked() == list(range(1, 8))
    for machine in (5, 6, 7):
        survey.answer(machine)
    ((mute, is_whole),) = survey.ends
    assert (survey.answers, sorted(mute), is_whole) == ([b"2", b"5", b"6", b"7"], [1, 3, 4], True)


def test_once_enough_is_known_nobody_more_is_asked_nor_waited_for() -> None:
    survey = Surveyed(list(range(1, 8)), 3, most=2)
    survey.answer(3)
    assert survey.asked() == [1, 2, 3, 4]
    assert survey.node.links.to[4].words("ask", "count", ListWords) == [ListWords(1)]
    survey.answer(1)
    assert (survey.answers, survey.ends) == ([b"3", b"1"], [([], False)])
    assert survey.asked() == [1, 2, 3, 4]
    assert [machine for machine, link in survey.node.links.to.items() if link.cancelled] == [2, 4]
    survey.node.pass_time(10.0)
    assert len(survey.ends) == 1


def test_where_the_last_of_them_fills_it_the_answer_is_whole() -> None:
    survey = Surveyed([C, D], most=2)
    survey.answer(C)
    survey.answer(D)
    assert survey.ends == [([], True)]


def test_nobody_is_asked_where_nothing_is_wanted() -> None:
    survey = Surveyed([C, D], most=0)
    assert (survey.asked(), survey.ends) == ([], [([], False)])


def test_a_great_many_that_cannot_be_reached_are_no_trouble() -> None:
    machines = list(range(1, 5001))
    survey = Surveyed(machines, absent=set(machines[:-1]))
    survey.answer(5000)
    assert (survey.answers, survey.ends) == ([b"5000"], [(machines[:-1], True)])


def test_where_nobody_can_be_reached_the_end_comes_at_once() -> None:
    machines = list(range(1, 501))
    assert Surveyed(machines, absent=set(machines)).ends == [(machines, True)]
