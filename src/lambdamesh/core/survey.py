"""One question to every other node, some of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from lambdamesh.core.asking import Asking, Question
from lambdamesh.errors import MeshError


class Others(NamedTuple):
    """Other places, as a door needs them: how to ask them, all that count as alive, how long each has to answer."""

    asking: Asking
    places: Callable[[], tuple[int, ...]]
    within_s: float


class Fold(Protocol):
    """Takes the answers of a survey one by one, so that nobody has to hold all of them."""

    def words(self) -> object | None:
        """What to ask the next node; ``None`` where nothing more is wanted of anybody."""

    def heard(self, raw: bytes) -> bool:
        """Take an answer; ``False`` where it cannot be read."""

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        """It is over: the places that gave no answer, and whether every other was heard. Told once."""


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

    def ask(self, places: Iterable[int], topic: str) -> None:
        """Begin."""
        self._left.extend(places)
        self._topic = topic
        self._go_on()

    def _go_on(self) -> None:
        if self._is_going_on:
            # A node that answers at once does so from within: the loop there goes on.
            return
        self._is_going_on = True
        while (words := self._fold.words()) is not None and self._left and len(self._open) < self._at_a_time:
            place = self._left.popleft()
            question = self._asking.ask(place, self._topic, words, self._hears(place), self._within_s)
            if question.is_open:
                self._open[place] = question
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

    def _hears(self, place: int) -> Callable[[bytes | MeshError], None]:
        def heard(outcome: bytes | MeshError) -> None:
            self._open.pop(place, None)
            if isinstance(outcome, MeshError) or not self._fold.heard(outcome):
                self._mute.append(place)
            self._go_on()

        return heard
