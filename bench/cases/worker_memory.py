"""What workers take of memory: the supervisor, each of them, and an idle lambda of a node that has several."""

import contextlib
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import mean

from bench.cases.case import Plan
from bench.cases.crews import Crew, gather_crew, name_of
from bench.cases.crowds import dismiss, gather, warm_up
from bench.cases.idle import SETTLE_S, SPARE_FILES
from bench.outcome import Outcome, Row, Target
from bench.processes import allow_open_files
from bench.procfs import anonymous_kib
from bench.stage import Stage

COUNTS = (1, 2, 4)
MB_A_KIB = 1.024 / 1000


class WorkerMemoryCase:
    """Memory that processes share with no file, after a few lambdas came and went: what first use takes is in it."""

    name = "worker-memory"
    title = "idle lambdas, at nodes of one worker and of several"

    def steps(self, plan: Plan) -> int:
        """One for each number of workers."""
        return len(COUNTS)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        count = min(plan.lambdas, allow_open_files(plan.lambdas + SPARE_FILES) - SPARE_FILES)
        notes = [] if count == plan.lambdas else [f"{count:,} lambdas only: the limit on open files allows no more"]
        rows = []
        for workers in COUNTS:
            row = Row(name_of(workers), {})
            with contextlib.ExitStack() as exits:
                _measure(stage, gather_crew(stage, exits, workers, stage.cores.node), count, row)
            rows.append(row)
            further()
        for (fewer, before), (more, after) in pairwise(zip(COUNTS, rows, strict=True)):
            added_mb = after.typical("node_mb") - before.typical("node_mb")
            after.note(each_further_mb=added_mb / (more - fewer))
        lost = sum(row.typical("errors") for row in rows)
        targets = [Target("lambdas that failed, were lost or were left", "errors", lost, 0)]
        return Outcome(self.name, f"{count:,} {self.title}", rows, targets, notes)


def _measure(stage: Stage, crew: Crew, count: int, row: Row) -> None:
    node = crew.node
    warm_up(stage, node)
    time.sleep(SETTLE_S)
    before_kib = {pid: anonymous_kib(pid) for pid in crew.pids}
    with contextlib.ExitStack() as exits:
        holder, _ = gather(stage, exits, node, count)
        missing = count - node.wait_for_count(count)
        time.sleep(SETTLE_S)
        full_kib = sum(map(anonymous_kib, crew.pids))
        lost = dismiss(holder).lost
        left = node.wait_for_count(0)
    empty_kib = sum(before_kib.values())
    if node.process.pid not in crew.workers:
        row.note(supervisor_mb=before_kib[node.process.pid] * MB_A_KIB)
    row.note(
        worker_mb=mean(before_kib[pid] for pid in crew.workers) * MB_A_KIB,
        node_mb=empty_kib * MB_A_KIB,
        kb_each=(full_kib - empty_kib) * 1.024 / count,
        errors=abs(missing) + lost + left,
    )
