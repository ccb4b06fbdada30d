"""How links grow with nodes: how many each has, what one takes of memory, and what idle nodes take of a core."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

from bench.cases.case import Plan
from bench.cases.crowds import gather
from bench.load.crowd import Crowd
from bench.outcome import Outcome, Row, Target, disturbances
from bench.procfs import anonymous_kib, busy_seconds, cpu_seconds
from bench.stage import SMALL, Stage, Subject, start_mesh

SIZES = (2, 4, 8)
SETTLE_S = 1.5
WITHIN_S = 20.0
LOOK_S = 0.05
Member = tuple[Subject, str]


class LinksCase:
    """One mesh of real nodes on one core that grows from two nodes to eight; in each size everybody calls everybody."""

    name = "links"
    title = "nodes of one mesh, each of which calls each"

    def steps(self, plan: Plan) -> int:
        """One for each size."""
        return len(SIZES)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = []
        with contextlib.ExitStack() as exits:
            arriving = _members(stage, exits)
            members: list[Member] = []
            first_kib: list[float] = []
            for size in SIZES:
                members += [next(arriving) for _ in range(size - len(members))]
                row = Row(f"{size} nodes", {})
                self._measure(stage, plan, members, first_kib, row)
                rows.append(row)
                further()
        last, size = rows[-1], SIZES[-1]
        targets = [
            Target(
                "links of a node among eight that called each other", "links_each", last.typical("links_each"), size - 1
            ),
            Target("calls that failed", "errors", sum(row.typical("errors") for row in rows), 0),
        ]
        return Outcome(self.name, self.title, rows, targets, disturbances(rows))

    def _measure(self, stage: Stage, plan: Plan, members: Sequence[Member], first_kib: list[float], row: Row) -> None:
        before = _links_each(members)
        failed = sum(not _answers(caller, called) for caller, called in permutations(members, 2))
        time.sleep(SETTLE_S)
        pids = [node.process.pid for node, _ in members]
        core = stage.cores.node
        cpu, busy = [cpu_seconds(pid) for pid in pids], busy_seconds(core)
        time.sleep(plan.hold_s)
        used_s = sum(cpu_seconds(pid) - then for pid, then in zip(pids, cpu, strict=True))
        first_kib.append(anonymous_kib(pids[0]))
        if len(first_kib) > 1:
            links = len(members) - SIZES[0]
            row.note(kb_each=(first_kib[-1] - first_kib[0]) * 1.024 / links)
        row.note(
            links_before=before,
            links_each=_links_each(members),
            idle_share=used_s / len(members) / plan.hold_s,
            other_share=max(busy_seconds(core) - busy - used_s, 0.0) / plan.hold_s,
            errors=failed,
        )


def _members(stage: Stage, exits: contextlib.ExitStack) -> Iterator[Member]:
    """One node after the other, each with a lambda."""
    for node in start_mesh(stage, exits):
        _, crowd = gather(stage, exits, node, 1)
        yield node, _only(crowd)


def _only(crowd: Crowd) -> str:
    return crowd.sample_ids[0]


def _answers(caller: Member, called: Member) -> bool:
    """Whether a call from the one node reaches the lambda of the other, as soon as the two know each other."""
    give_up_at = time.monotonic() + WITHIN_S
    path = f"/lambda/{called[1]}/test"
    while time.monotonic() < give_up_at:
        if caller[0].ask("POST", path, SMALL) == (200, SMALL.encode()):
            return True
        time.sleep(LOOK_S)
    return False


def _links_each(members: Sequence[Member]) -> float:
    """How many links a node has, on average, as its metrics say."""
    return sum(node.figures("lambdamesh_links")[0] for node, _ in members) / len(members)
