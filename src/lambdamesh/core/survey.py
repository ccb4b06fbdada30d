"""One question to every other node, some of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lambdamesh.core.asking import Asking
from lambdamesh.errors import MeshError

Done = Callable[[dict[int, bytes], list[int]], None]
"""Told each answer by machine, and the machines that gave none."""


class Others(NamedTuple):
    """The other nodes of the mesh, as a door needs them: how to ask them, and all that count as alive."""

    asking: Asking
    machines: Callable[[], tuple[int, ...]]


class Survey:
    """Asks ``machines``, ``at_a_time`` of them at once, each for at most ``within_s``; ``done`` is told once."""

    def __init__(self, asking: Asking, machines: Iterable[int], at_a_time: int, within_s: float, done: Done) -> None:
        self._asking = asking
        self._left = deque(machines)
        self._at_a_time = at_a_time
        self._within_s = within_s
        self._done = done
        self._open = 0
        self._is_going_on = False
        self._answers: dict[int, bytes] = {}
        self._mute: list[int] = []

    def ask(self, topic: str, words: object) -> None:
        """Begin."""
        self._topic, self._words = topic, words
        self._go_on()

    def _go_on(self) -> None:
        if self._is_going_on:
            # A node that answers at once does so from within: the loop there goes on.
            return
        self._is_going_on = True
        while self._left and self._open < self._at_a_time:
            machine = self._left.popleft()
            self._open += 1
            self._asking.ask(machine, self._topic, self._words, self._hears(machine), self._within_s)
        self._is_going_on = False
        if not (self._left or self._open):
            self._done(self._answers, self._mute)

    def _hears(self, machine: int) -> Callable[[bytes | MeshError], None]:
        def heard(outcome: bytes | MeshError) -> None:
            self._open -= 1
            if isinstance(outcome, MeshError):
                self._mute.append(machine)
            else:
                self._answers[machine] = outcome
            self._go_on()

        return heard
