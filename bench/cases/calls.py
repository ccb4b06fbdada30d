"""Calls a second, latency and CPU a call, the subjects taking turns round by round."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bench.cases.case import Plan, rotated
from bench.load import wrk
from bench.load.meter import LoadSpec, Sample
from bench.outcome import DISTURBED, Outcome, Row, Target, add_ratios
from bench.processes import PYTHON, run_on
from bench.stage import Stage, Subject

BUSY = 0.9


@dataclass(frozen=True)
class Goal:
    """A target for the node's row."""

    text: str
    column: str
    limit: float
    at_least: bool = False


NO_ERRORS = Goal("wrong or missing answers", "errors", 0)


@dataclass(frozen=True)
class CallsCase:
    """`at_once` connections of one call each, or that many calls on one `/connect` socket."""

    name: str
    title: str
    subjects: tuple[str, ...]
    body: str
    at_once: int
    over_connect: bool = False
    goals: tuple[Goal, ...] = (NO_ERRORS,)

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
                sample = self._undisturbed(stage.kept(name, self.body), stage, plan)
                rows[name].note_sample(sample)
                if sample.first_error:
                    notes.append(f"{name}: {sample.first_error}")
                further()
        node, measured = rows["node"], list(rows.values())
        add_ratios(measured, base="constant")
        notes += self._doubts(measured)
        return Outcome(self.name, self.title, measured, self._targets(node), notes, node.is_disturbed)

    def _undisturbed(self, subject: Subject, stage: Stage, plan: Plan) -> Sample:
        """A round in which nobody else used the cores, or the best of those that could be had."""
        samples = [self._measure(subject, stage, plan)]
        while samples[-1].other_share > DISTURBED and not samples[-1].errors and len(samples) <= plan.patience:
            samples.append(self._measure(subject, stage, plan))
        return min(samples, key=lambda sample: (-sample.errors, sample.other_share))

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
        doubts = [
            f"{row.subject}: something else used its cores in {row.disturbed} rounds; these count only if all are so"
            for row in rows
            if row.disturbed
        ]
        if self.at_once == 1 or self.over_connect:
            return doubts
        return doubts + [
            f"{row.subject} had its core busy for {row.typical('node_share'):.0%} only: its rate is the load's limit"
            for row in rows
            if row.typical("node_share") < BUSY and not row.disturbed
        ]
