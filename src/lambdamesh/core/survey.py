"""One question to every other node, some of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from lambdamesh.core.asking import Asking, Question
from lambdamesh.errors import MeshError


class Others(NamedTuple):
    """The other nodes of the mesh, as a door needs them: how to ask them, and all that count as alive."""

    asking: Asking
    machines: Callable[[], tuple[int, ...]]


class Fold(Protocol):
    """Takes the answers of a survey one by one, so that nobody has to hold all of them."""

    def words(self) -> object | None:
        """What to ask the next node; ``None`` where nothing more is wanted of anybody."""

    def heard(self, raw: bytes) -> bool:
        """Take an answer; ``False`` where it cannot be read."""

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        """It is over: the machines that gave no answer, and whether every other was heard. Told once."""


class Survey:
    """Asks nodes, ``at_a_time`` of them at once, each for at most ``within_s``, as long as ``fold`` wants more."""

    def __init__(self, asking: Asking, at_a_time: int, within_s: float, fold: Fold) -> None:
        self._asking = asking
        self._at_a_time = at_a_time
        self._within_s = within_s
        self._fold = fold
        self._left: deque[int] = deque()
        self._open: dict[int, Question] = {}
        self._is_going_on = False
        self._mute: list[int] = []

    def ask(self, machines: Iterable[int], topic: str) -> None:
        """Begin."""
        self._left.extend(machines)
        self._topic = topic
        self._go_on()

    def _go_on(self) -> None:
        if self._is_going_on:
            # A node that answers at once does so from within: the loop there goes on.
            return
        self._is_going_on = True
        while (words := self._fold.words()) is not None and self._left and len(self._open) < self._at_a_time:
            machine = self._left.popleft()
            question = self._asking.ask(machine, self._topic, words, self._hears(machine), self._within_s)
            if question.is_open:
                self._open[machine] = question
        self._is_going_on = False
        if words is None or not (self._left or self._open):
            self._end()

    def _end(self) -> None:
        is_whole = not (self._left or self._open)
        for question in self._open.values():
            question.cancel()
        self._left.clear()
        self._open.clear()
        self._fold.done(self._mute, is_whole=is_whole)

    def _hears(self, machine: int) -> Callable[[bytes | MeshError], None]:
        def heard(outcome: bytes | MeshError) -> None:
            self._open.pop(machine, None)
            if isinstance(outcome, MeshError) or not self._fold.heard(outcome):
                self._mute.append(machine)
            self._go_on()

        return heard
