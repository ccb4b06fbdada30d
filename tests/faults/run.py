"""One run of the ledger: the stage, the schedule, the judge, and a table for people."""

from __future__ import annotations

import heapq
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from tests.faults.judge import SHOWN, Happened, Judge, Verdict
from tests.faults.kinds import KINDS
from tests.faults.ledger import CLOCK
from tests.faults.schedule import DEADLY, Fault, encore, schedule
from tests.faults.stage import Stage, StageSpec, stage
from tests.faults.starving import Starving
from tests.nodes import Node

LOOK_S = 0.1
CHECK_S = 1.0
MORE_S = 40.0
"""Where so much is left when a schedule is over, there is another one."""
SLACK_S = 60.0
"""A part of a run that lasts twice as long as its rate says, and so much longer, has come to a standstill."""
SUCCEEDED = 0.5
"""Least share of calls that come back with a result, lest a run is passed in which nothing works."""
ROLE_KINDS, ROLES = ("kill node", "stop node", "stop node long"), ("entry", "home", "holder")
OFTEN = 5
"""A kind that came so often has met nodes in all their roles."""

Show = Callable[[int, int, str], None]
"""Is told how many calls there have been, how many there are to be, and what is broken now."""


@dataclass
class Outcome:
    """What one run has shown."""

    verdict: Verdict
    faults: list[str]
    """What is wrong with the run as a whole: too little happened, or a process said what it may not."""
    took_s: float

    @property
    def is_kept(self) -> bool:
        return self.verdict.is_kept and not self.faults


class Run:
    """Breaks the stage by the schedule until all faults are over and enough calls have been made."""

    def __init__(self, on: Stage, calls: int, show: Show, starving: Starving) -> None:
        self._stage = on
        self._calls = calls
        self._show = show
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._dead: set[str] = set()
        self._broken: list[str] = []
        self._starting: list[tuple[Happened, Node]] = []
        self._happened: list[Happened] = []
        self._starving = starving

    def happened(self) -> list[Happened]:
        """What has been done until now. The death of a node lasts until it says that it has started again."""
        starting = [replace(fault, until=max(fault.until, _started_at(node))) for fault, node in self._starting]
        return [*self._happened, *starting, *self._starving.seen]

    def _later(self, after_s: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._due, (CLOCK() + after_s, next(self._order), deed))

    def run(self) -> None:
        """Do what is planned, and once more what has befallen no call.

        Raises: AssertionError where a process ends by itself, or the calls come to a standstill.
        """
        seed, cast = self._stage.spec.seed, self._stage.cast
        left_s, turn = self._left_s(), 0
        while not turn or left_s > MORE_S:
            self._do(schedule(seed + turn, left_s, cast))
            left_s, turn = self._left_s(), turn + 1
        self._do([])
        found = Judge(self._stage.ledgers(), self.happened()).judge()
        missed = [kind for kind in cast.kinds() if not found.hits[kind]]
        if missed:
            self._do(encore(seed, missed, cast))

    def _left_s(self) -> float:
        """How long the calls take that are still to be made, where nothing is broken."""
        return (self._calls - self._stage.calls()) / self._stage.spec.rate

    def _do(self, planned: list[Fault]) -> None:
        """Do what is planned; where that is nothing, wait until there are enough calls."""
        for fault in planned:
            self._later(fault.at_s, lambda fault=fault: self._break(fault))  # type: ignore[misc]
        planned_s = max((fault.ends_s for fault in planned), default=0.0)
        ends_at = CLOCK() + planned_s + 2 * max(self._left_s(), 0.0) + SLACK_S
        checked_at = 0.0
        while self._due or not (planned or self._left_s() <= 0):
            now = CLOCK()
            if now > ends_at:
                raise AssertionError(f"{self._stage.calls()} of {self._calls} calls, and no more in time")
            if now - checked_at > CHECK_S:
                checked_at = now
                self._stage.check(self._dead)
                self._show(self._stage.calls(), self._calls, ", ".join(self._broken))
            if self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            else:
                time.sleep(min(LOOK_S, max(self._due[0][0] - now, 0)) if self._due else LOOK_S)

    def _break(self, fault: Fault) -> None:
        breaking = KINDS[fault.kind]
        run = self._stage.run_of(fault.target)
        if breaking.is_dead:
            self._dead.add(fault.target)
        since, text = CLOCK(), f"{fault.kind} {fault.target}"
        self._broken.append(text)
        breaking.do(self._stage, fault, self._later)

        def mend() -> None:
            breaking.undo(self._stage, fault, self._later)
            if breaking.is_dead:
                # Another fault that is over says nothing of who was killed meanwhile.
                self._dead.discard(fault.target)
            self._broken.remove(text)
            happened = Happened(fault.kind, fault.target, since, CLOCK(), run)
            if fault.kind in DEADLY:
                self._starting.append((happened, self._stage.nodes[fault.target]))
            else:
                self._happened.append(happened)

        self._later(fault.for_s, mend)


def _started_at(node: Node) -> float:
    """When a node has said that it has started; now, where it has not yet."""
    said = [line["timestamp"] for line in list(node.logs) if line.get("event") == "node_started"]
    return CLOCK() - (time.time() - datetime.fromisoformat(said[0]).timestamp()) if said else CLOCK()


def run(folder: Path, spec: StageSpec, calls: int, show: Show) -> Outcome:
    """Make so many calls under the schedule of the seed, and judge them. Raises: AssertionError."""
    begun_at = CLOCK()
    with stage(folder, spec) as on:
        starving = Starving()
        running = Run(on, calls, show, starving)
        with starving.watching(on.processes):
            on.begin()
            running.run()
            on.finish()
        complaints = on.complaints()
        happened = running.happened()
        (folder / "faults.jsonl").write_text("\n".join(json.dumps(asdict(fault)) for fault in happened))
        ledgers, cast = on.ledgers(), on.cast
    verdict = Judge(ledgers, happened).judge()
    wrong = [f"in the log of {line}" for line in complaints]
    wrong += [f"no call was under way when this happened: {kind}" for kind in cast.kinds() if not verdict.hits[kind]]
    for kind in ROLE_KINDS:
        if verdict.happened[kind] >= OFTEN:
            wrong += [f"{kind} hit no {role} of a call" for role in ROLES if not verdict.calls_hit[kind, role]]
    if verdict.calls < calls:
        wrong.append(f"{verdict.calls} calls of {calls}")
    if verdict.results < SUCCEEDED * verdict.calls:
        wrong.append(f"{verdict.results} results of {verdict.calls} calls: nothing works")
    return Outcome(verdict, wrong, CLOCK() - begun_at)


def report(outcome: Outcome, spec: StageSpec) -> str:
    """Say what has happened, for people."""
    verdict = outcome.verdict
    lines = [
        f"seed {spec.seed}: {verdict.calls} calls in {outcome.took_s:.0f} s, {spec.nodes} nodes x {spec.workers}",
        "",
    ]
    for (code, delivered), count in verdict.outcomes.most_common():
        lines.append(f"  {code:<18} {delivered:<8} {count:>9}")
    lines += ["", f"  the latest answer came {verdict.latest_s:+.3f} s behind its deadline", ""]
    for kind, count in sorted(verdict.happened.items()):
        roles = {role: calls for (of, role), calls in verdict.calls_hit.items() if of == kind}
        told = ", ".join(f"{role} of {calls}" for role, calls in sorted(roles.items()))
        lines.append(f"  {kind:<18} {count:>4} times, {verdict.hits[kind]:>4} under calls: {told}")
    for code, count in verdict.given_up.items():
        lines.append(f"  {code}, {count} times, of lambdas that were held before and afterwards")
    lines.append("")
    for rule, found in sorted(verdict.violations.items()):
        lines += [f"  VIOLATED, {len(found)} times: {rule}", *(f"    {line}" for line in found[:SHOWN])]
    lines += [f"  WRONG: {line}" for line in outcome.faults[:SHOWN]]
    lines.append(
        f"  {'the promise is kept' if outcome.is_kept else f'NOT KEPT; again with LAMBDAMESH_FAULTS_SEED={spec.seed}'}"
    )
    return "\n".join(lines)
