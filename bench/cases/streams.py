"""Items a second of one stream, through one node and over a hop, the two taking turns round by round."""

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec

from bench.cases.case import Plan, rotated, undisturbed
from bench.load.meter import LoadSpec, Sample
from bench.outcome import Outcome, Row, Target, add_ratios, disturbances
from bench.processes import PYTHON, run_on
from bench.stage import SMALL, Stage, Subject

NODE, HOP = "node", "hop"


class StreamCase:
    """One caller reads one endless stream of small items as NDJSON; the credit of 16 items paces it."""

    name = "hop-stream"
    title = "items of one stream over HTTP (NDJSON), from node A to node B"

    def steps(self, plan: Plan) -> int:
        """One for each round of both."""
        return plan.rounds * 2

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = {name: Row(name, {}) for name in (NODE, HOP)}
        notes: list[str] = []
        with contextlib.ExitStack() as exits:
            subjects = {name: _streaming(stage, exits, name) for name in rows}
            for number in range(plan.rounds):
                for name in rotated(list(rows), number):
                    sample = undisturbed(partial(_measure, stage, plan, subjects[name]), plan.patience)
                    rows[name].note_items(sample)
                    if sample.first_error:
                        notes.append(f"{name}: {sample.first_error}")
                    further()
        measured = list(rows.values())
        add_ratios(measured, NODE, rate="item_rate", cost="item_cpu_us")
        notes += disturbances(measured)
        hop = rows[HOP]
        targets = [Target("wrong, missing or doubled items", "errors", hop.typical("errors"), 0)]
        return Outcome(self.name, self.title, measured, targets, notes, hop.is_disturbed)


def _streaming(stage: Stage, exits: contextlib.ExitStack, name: str) -> Subject:
    """The node or the nodes that other cases have too, with a provider that streams."""
    return stage.provide(stage.kept(name, SMALL), exits, "bench.load.stream_provider")


def _measure(stage: Stage, plan: Plan, subject: Subject) -> Sample:
    assert subject.provider is not None
    spec = LoadSpec(
        port=subject.port,
        path=subject.path,
        body="",
        connections=1,
        seconds=plan.seconds,
        warm_up_s=plan.warm_up_s,
        node_pid=subject.process.pid,
        provider_pid=subject.provider.pid,
        further_pids=[child.pid for child in subject.further],
    )
    command = [PYTHON, "-m", "bench.load.over_stream"]
    printed = run_on(stage.cores.load, command, msgspec.json.encode(spec), plan.seconds + 30)
    return msgspec.json.decode(printed, type=Sample)
