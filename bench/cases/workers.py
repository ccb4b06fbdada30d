"""What a second worker brings: calls a second of the same two cores, with one worker and with two."""

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec

from bench.cases.case import Plan, rotated, undisturbed
from bench.cases.crews import Crew, CrewSample, call_crew, gather_crew, name_of, provided
from bench.outcome import Outcome, Row, Target, add_ratios, disturbances
from bench.processes import Cores
from bench.stage import Stage

AT_ONCE = 64
COUNTS = (1, 2)
LAMBDAS = 2
BUSY = 0.9


class WorkersCase:
    """Connections go where the kernel puts them, and call two lambdas in turns: of two workers, each has one."""

    name = "workers"
    title = '{"hello":"world"} over HTTP, 64 connections to two lambdas, a node of one worker or two on two cores'

    def steps(self, plan: Plan) -> int:
        """One for each round of both."""
        return plan.rounds * len(COUNTS)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = {name_of(count): Row(name_of(count), {}) for count in COUNTS}
        notes: list[str] = []
        with contextlib.ExitStack() as exits:
            crews = {name_of(count): _crew(stage, exits, count) for count in COUNTS}
            for number in range(plan.rounds):
                for name in rotated(list(rows), number):
                    measure = partial(_measure, crews[name], plan, stage.cores)
                    sample = undisturbed(measure, plan.patience)
                    _note(rows[name], sample)
                    if sample.sample.first_error:
                        notes.append(f"{name}: {sample.sample.first_error}")
                    further()
        measured = list(rows.values())
        add_ratios(measured, base=name_of(1))
        notes += disturbances(measured) + _doubts(stage.cores, measured)
        wrong = sum(row.typical("errors") for row in measured)
        targets = [Target("wrong or missing answers", "errors", wrong, 0)]
        return Outcome(self.name, self.title, measured, targets, notes, rows[name_of(2)].is_disturbed)


def _crew(stage: Stage, exits: contextlib.ExitStack, count: int) -> Crew:
    """A node of so many workers, and as many lambdas as the other has."""
    crew = gather_crew(stage, exits, count, stage.cores.pair)
    return provided(stage, exits, crew, stage.cores.beside_pair, LAMBDAS)


def _measure(crew: Crew, plan: Plan, cores: Cores) -> CrewSample:
    spec = msgspec.structs.replace(crew.spec(plan, 0, AT_ONCE), further_paths=[crew.path(1)])
    return call_crew(crew, spec, cores.beside_pair)


def _note(row: Row, crossing: CrewSample) -> None:
    sample = crossing.sample
    row.note(
        rate=sample.rate,
        p50_ms=sample.p50_us / 1e3,
        p99_ms=sample.p99_us / 1e3,
        cpu_us=sample.cpu_us,
        cpu_second_rate=1e6 / sample.cpu_us if sample.cpu_us else 0.0,
        node_share=sample.node_share,
        load_share=sample.load_share,
        caller_share=sample.caller_share,
        crossed=crossing.crossed,
        other_share=sample.other_share,
        errors=sample.errors,
    )


def _doubts(cores: Cores, rows: list[Row]) -> list[str]:
    """What to know before one believes the rates."""
    doubts = []
    if cores.beside_pair == cores.pair:
        shares = ", ".join(f"{row.typical('load_share'):.0%} with {row.subject}" for row in rows)
        doubts.append(
            f"caller and providers share the node's {len(cores.pair)} cores and take {shares} (100% is one core): "
            "calls/s says what they leave to it; calls/CPU s is the node's own"
        )
    return doubts + [
        f"{row.subject}: the caller used {row.typical('caller_share'):.0%} of a core: the rate may be its limit"
        for row in rows
        if row.typical("caller_share") > BUSY
    ]
