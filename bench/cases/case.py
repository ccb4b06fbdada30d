"""What every case is given, and what it must offer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.outcome import DISTURBED, Outcome
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


class Measured(Protocol):
    """The result of one round: errors in it, and what part of a core anybody else used, 0 to 1."""

    @property
    def errors(self) -> int:
        """How many."""

    @property
    def other_share(self) -> float:
        """Of the core where it was more."""


M = TypeVar("M", bound=Measured)


def undisturbed(measure: Callable[[], M], patience: int) -> M:
    """A round in which nobody else used the cores, or the best of those that could be had; one with errors counts."""
    rounds = [measure()]
    while rounds[-1].other_share > DISTURBED and not rounds[-1].errors and len(rounds) <= patience:
        rounds.append(measure())
    return min(rounds, key=lambda measured: (-measured.errors, measured.other_share))


def rotated(subjects: list[str], number: int) -> list[str]:
    """Their order in a round: each is first, second, ... equally often."""
    turn = number % len(subjects)
    return subjects[turn:] + subjects[:turn]
