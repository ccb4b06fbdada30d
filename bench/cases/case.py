"""What every case is given, and what it must offer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.outcome import Outcome
from bench.stage import Stage


@dataclass(frozen=True)
class Plan:
    """How much to measure. `patience` is how often a disturbed round is repeated."""

    rounds: int
    seconds: float
    warm_up_s: float
    lambdas: int
    opened_a_round: int
    hold_s: float
    patience: int
    with_wrk: bool


class Case(Protocol):
    """One thing to measure."""

    @property
    def name(self) -> str:
        """For the command line."""

    @property
    def title(self) -> str:
        """For people."""

    def steps(self, plan: Plan) -> int:
        """How many times it will say that it has got further."""

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""


def rotated(subjects: list[str], number: int) -> list[str]:
    """Their order in a round: each is first, second, ... equally often."""
    turn = number % len(subjects)
    return subjects[turn:] + subjects[:turn]
