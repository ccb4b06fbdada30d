"""Calls a second, latency and CPU a call, the subjects taking turns round by round."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from bench.cases.case import Plan, rotated, undisturbed
from bench.load import wrk
from bench.load.meter import LoadSpec, Sample
from bench.outcome import Outcome, Row, Target, add_latencies, add_ratios, disturbances
from bench.processes import PYTHON, run_on
from bench.stage import Stage, Subject

BUSY = 0.9


@dataclass(frozen=True)
class Goal:
    """A target for the row that is judged."""

    text: str
    column: str
    limit: float
    at_least: bool = False


NO_ERRORS = Goal("wrong or missing answers", "errors", 0)


@dataclass(frozen=True)
class CallsCase:
    """`at_once` connections of one call each, or that many calls on one `/connect` socket.

    `base` is the subject that the others are compared with, `judged` the one that has the goals, `has_added` whether
    it matters how much longer a call takes.
    """

    name: str
    title: str
    subjects: tuple[str, ...]
    body: str
    at_once: int
    over_connect: bool = False
    goals: tuple[Goal, ...] = (NO_ERRORS,)
    base: str = "constant"
    judged: str = "node"
    has_added: bool = False

    def steps(self, plan: Plan) -> int:
        """One for each round of each subject."""
        return plan.rounds * len(self.subjects)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        notes = [f"{name} was not run: it is not installed" for name in self.subjects if not stage.has(name)]
        names = [name for name in self.subjects if stage.has(name)]
        rows = {name: Row(name, {}) for name in names}
        for number in range(plan.rounds):
            for name in rotated(names, number):
                subject = stage.kept(name, self.body)
                sample = undisturbed(partial(self._measure, subject, stage, plan), plan.patience)
                rows[name].note_sample(sample)
                if sample.first_error:
                    notes.append(f"{name}: {sample.first_error}")
                further()
        node, measured = rows[self.judged], list(rows.values())
        add_ratios(measured, self.base)
        if self.has_added:
            add_latencies(measured, self.base)
        notes += self._doubts(measured)
        return Outcome(self.name, self.title, measured, self._targets(node), notes, node.is_disturbed)

    def _measure(self, subject: Subject, stage: Stage, plan: Plan) -> Sample:
        spec = LoadSpec(
            port=subject.port,
            path=subject.path,
            body=self.body,
            connections=self.at_once,
            seconds=plan.seconds,
            warm_up_s=plan.warm_up_s,
            node_pid=subject.process.pid,
            provider_pid=subject.provider.pid if subject.provider else 0,
            further_pids=[child.pid for child in subject.further],
        )
        if plan.with_wrk and not self.over_connect:
            return wrk.run(spec, stage.cores.load)
        module = "bench.load.over_connect" if self.over_connect else "bench.load.over_http"
        printed = run_on(stage.cores.load, [PYTHON, "-m", module], msgspec.json.encode(spec), plan.seconds + 30)
        return msgspec.json.decode(printed, type=Sample)

    def _targets(self, node: Row) -> list[Target]:
        return [
            Target(goal.text, goal.column, node.typical(goal.column), goal.limit, goal.at_least)
            for goal in self.goals
            if goal.column in node.rounds
        ]

    def _doubts(self, rows: list[Row]) -> list[str]:
        """What to know before one believes the figures."""
        doubts = disturbances(rows)
        if self.at_once == 1 or self.over_connect:
            return doubts
        return doubts + [
            f"{row.subject} had its core busy for {row.typical('node_share'):.0%} only: its rate is the load's limit"
            for row in rows
            if row.typical("node_share") < BUSY and not row.disturbed
        ]
