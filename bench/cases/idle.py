"""What lambdas cost that nobody calls, and whether they leave anything behind."""

import contextlib
import time
from collections.abc import Callable

import msgspec

from bench.cases.case import Plan
from bench.cases.crowds import answers, dismiss, gather, warm_up
from bench.outcome import Outcome, Row, Target
from bench.processes import allow_open_files
from bench.procfs import cpu_seconds, memory_kib
from bench.stage import Stage, Subject

SETTLE_S = 1.0
SPARE_FILES = 2_000
KB_EACH = 12.0


class IdleCase:
    """Ten thousand lambdas on one core, held for longer than the node's ping interval."""

    name = "idle"
    title = "idle lambdas"
    subjects = ("node", "aiohttp")

    def steps(self, plan: Plan) -> int:
        """One for each subject."""
        return len(self.subjects)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        count = min(plan.lambdas, allow_open_files(plan.lambdas + SPARE_FILES) - SPARE_FILES)
        notes = [] if count == plan.lambdas else [f"{count:,} lambdas only: the limit on open files allows no more"]
        rows = []
        for name in self.subjects:
            row = Row(name, {})
            with stage.fresh(name, provided=False) as subject:
                notes += self._measure(stage, subject, count, plan.hold_s, row)
            rows.append(row)
            further()
        node = rows[0]
        targets = [
            Target("KB of memory for an idle lambda", "kb_each", node.typical("kb_each"), KB_EACH),
            Target("lambdas left after they went", "left", node.typical("left"), 0),
            Target("lambdas that failed, were lost or did not answer", "errors", node.typical("errors"), 0),
        ]
        return Outcome(self.name, f"{count:,} {self.title}", rows, targets, notes)

    def _measure(self, stage: Stage, subject: Subject, count: int, hold_s: float, row: Row) -> list[str]:
        warm_up(stage, subject)
        time.sleep(SETTLE_S)
        before_kib = memory_kib(subject.process.pid)
        with contextlib.ExitStack() as exits:
            holder, crowd = gather(stage, exits, subject, count)
            missing = count - subject.wait_for_count(count)
            time.sleep(SETTLE_S)
            full_kib = memory_kib(subject.process.pid)
            idle_share = _share_while_idle(subject, hold_s)
            silent = sum(not answers(subject, lambda_id) for lambda_id in crowd.sample_ids)
            lost = dismiss(holder).lost
            left = subject.wait_for_count(0)
        time.sleep(SETTLE_S)
        row.note(
            kb_each=(full_kib - before_kib) * 1.024 / count,
            idle_share=idle_share,
            left=left,
            left_mb=(memory_kib(subject.process.pid) - before_kib) * 1.024 / 1000,
            errors=abs(missing) + silent + lost,
        )
        return _remains(subject)


def _share_while_idle(subject: Subject, hold_s: float) -> float:
    """Part of the core that the subject uses while nobody calls."""
    before = cpu_seconds(subject.process.pid)
    time.sleep(hold_s)
    return (cpu_seconds(subject.process.pid) - before) / hold_s


def _remains(subject: Subject) -> list[str]:
    """What its listing still has, as notes."""
    listed = msgspec.json.decode(subject.ask("GET", "/lambda")[1])
    return [f"{subject.name} still lists {len(listed)} lambdas"] if listed else []
