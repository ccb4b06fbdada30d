"""One question to every other node, some of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from lambdamesh.core.asking import Asking, Question
from lambdamesh.errors import MeshError

_UNREADABLE = MeshError("the answer cannot be read")


class Others(NamedTuple):
    """Other places, as a door needs them: how to ask them, all that count as alive, how long each has to answer."""

    asking: Asking
    places: Callable[[], tuple[int, ...]]
    within_s: float


class Fold(Protocol):
    """Takes the answers of a survey one by one, so that nobody has to hold all of them."""

    def words(self) -> object | None:
        """What to ask the next node; ``None`` where nothing more is wanted of anybody."""

    def heard(self, raw: bytes, asked: Any) -> object | None:
        """Take the answer to the words ``asked``; return what to ask the same one next, ``None`` where it has said all.

        Raises:
            ValueError: it cannot be read.
        """

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
            self._ask(self._left.popleft(), words)
        self._is_going_on = False
        if words is None or not (self._left or self._open):
            self._end()

    def _ask(self, place: int, words: object) -> None:
        question = self._asking.ask(place, self._topic, words, self._hears(place, words), self._within_s)
        if question.is_open:
            self._open[place] = question

    def _end(self) -> None:
        is_whole = not (self._left or self._open)
        for question in self._open.values():
            question.cancel()
        self._left.clear()
        self._open.clear()
        self._fold.done(self._mute, is_whole=is_whole)

    def _hears(self, place: int, asked: object) -> Callable[[bytes | MeshError], None]:
        def heard(outcome: bytes | MeshError) -> None:
            self._open.pop(place, None)
            try:
                more = None if isinstance(outcome, MeshError) else self._fold.heard(outcome, asked)
            except ValueError:
                more, outcome = None, _UNREADABLE
            if isinstance(outcome, MeshError):
                self._mute.append(place)
            elif more is not None:
                self._ask(place, more)
            self._go_on()

        return heard
