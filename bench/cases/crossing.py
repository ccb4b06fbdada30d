"""What it costs that a call comes to one worker and its lambda is at the other."""

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec

from bench.cases.case import Plan, rotated, undisturbed
from bench.cases.crews import Crew, CrewSample, call_crew, gather_crew, provided
from bench.outcome import Outcome, Row, Target, add_costs, add_latencies, add_ratios, disturbances
from bench.stage import Stage

WORKERS = 2
AT_ONCE = 64
SAME, OTHER = "same worker", "other worker"


class CrossingCase:
    """Both workers are on the node's core, so that what is added is the work of two processes and no second core.

    The worker that has the connections changes from round to round.
    """

    name = "crossing"
    title = (
        '{"hello":"world"} over HTTP, 64 connections, then 1, to a lambda of the worker that has them, or of the other'
    )

    def steps(self, plan: Plan) -> int:
        """One for each round of both."""
        return plan.rounds * 2

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = {name: Row(name, {}) for name in (SAME, OTHER)}
        notes: list[str] = []
        with contextlib.ExitStack() as exits:
            crew = gather_crew(stage, exits, WORKERS, stage.cores.node)
            crew = provided(stage, exits, crew, stage.cores.load, WORKERS)
            for number in range(plan.rounds):
                caller = number % WORKERS
                for name in rotated(list(rows), number):
                    called = caller if name == SAME else 1 - caller
                    both = [_measure(stage, plan, crew, (caller, called), at_once) for at_once in (AT_ONCE, 1)]
                    _note(rows[name], *both)
                    notes += [f"{name}: {one.sample.first_error}" for one in both if one.sample.first_error]
                    further()
        measured = list(rows.values())
        add_ratios(measured, SAME)
        add_costs(measured, SAME)
        add_latencies(measured, SAME, column="alone_p50_ms")
        wrong = sum(row.typical("errors") for row in measured)
        targets = [Target("wrong or missing answers", "errors", wrong, 0)]
        notes += disturbances(measured)
        return Outcome(self.name, self.title, measured, targets, notes, rows[OTHER].is_disturbed)


def _measure(stage: Stage, plan: Plan, crew: Crew, ends: tuple[int, int], at_once: int) -> CrewSample:
    """One round; the first process of its CPU time is the worker that has the connections."""
    caller, called = ends
    spec = msgspec.structs.replace(
        crew.spec(plan, called, at_once),
        worker=caller,
        node_pid=crew.workers[caller],
        further_pids=[crew.workers[1 - caller]],
    )
    return undisturbed(partial(call_crew, crew, spec, stage.cores.load), plan.patience)


def _note(row: Row, many: CrewSample, alone: CrewSample) -> None:
    sample = many.sample
    row.note(
        rate=sample.rate,
        cpu_us=sample.cpu_us,
        first_cpu_us=sample.cpu_us - sample.further_cpu_us,
        further_cpu_us=sample.further_cpu_us,
        alone_p50_ms=alone.sample.p50_us / 1e3,
        node_share=sample.node_share,
        crossed=many.crossed,
        other_share=max(sample.other_share, alone.other_share),
        errors=sample.errors + alone.errors,
    )
