"""The judge: whether a ledger keeps the promise, and what was done to those that wrote it.

Every accepted call ends in exactly one answer that says whether it was delivered. What a caller that was killed would
have been told, nobody knows; a caller that was stopped, or whose entry was, is told later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from lambdamesh.ids import parse_lambda_id
from tests.faults.ledger import LOST, RESULT, Delivered, Kind, Record
from tests.faults.schedule import SHAPES

LATE_S = 1.0
"""How long behind its deadline a call may be answered."""
UNREAD_S = 0.1
"""How long a call that was sent may wait until its entry reads it, on a busy machine."""
START_S = 3.0
"""How long behind its start, or the death of a worker, what is sent to a node may lie in its door, on a busy machine."""
UNSAID = "caller_killed"
"""The outcome of a call whose caller was killed before it was told."""
EXPECTED = frozenset((
    RESULT, LOST, "timeout", "lambda_lost", "peer_unreachable", "overloaded", "recovering", "draining", "lambda_gone",
    "lambda_not_found", "loop",
))  # fmt: skip
"""The outcomes that faults explain: nobody here sends anything wrong."""
STARVED = "starved"
"""What happens to a node that the machine keeps from running."""
FINAL = frozenset(("lambda_gone", "lambda_not_found"))
"""The outcomes after which a caller gives a lambda up."""
CABLES = frozenset(kind for kind, shape in SHAPES.items() if shape.needs == "network")
SHOWN = 10
"""How many violations of one rule are written out."""


@dataclass(frozen=True)
class Happened:
    """A fault that was there from ``since`` until ``until``. ``run`` is which process of that name it befell."""

    kind: str
    target: str
    since: float
    until: float
    run: int = 0


@dataclass
class Ledgers:
    """All that was written, by the process that wrote it: its name and which run of it. ``machines``: id to place."""

    callers: Mapping[tuple[str, int], Iterable[Record]]
    providers: Mapping[tuple[str, int], Iterable[Record]]
    machines: Mapping[int, int] = field(default_factory=dict)


@dataclass
class Verdict:
    """What was found. ``hits``: how many faults of a kind befell calls in flight, and how many calls, in which role."""

    calls: int = 0
    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    calls_hit: Counter[tuple[str, str]] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    """How many calls were told that a lambda is gone or unknown which was held before and afterwards."""
    latest_s: float = 0.0
    """How long behind its deadline the latest answer came, of those that nothing excuses."""

    @property
    def is_kept(self) -> bool:
        return not any(self.violations.values())

    @property
    def results(self) -> int:
        """Calls that came back with their result."""
        return self.outcomes[RESULT, "yes"]


@dataclass(frozen=True)
class _Run:
    """One executed call, the first time."""

    lambda_id: str
    at: float


@dataclass(frozen=True, order=True)
class _Pause:
    """A time in which nobody reads. ``is_still``: nobody is told anything either."""

    since: float
    until: float
    is_still: bool = True


def _bound(call: Record, pauses: Iterable[_Pause]) -> float:
    """When a call has to be answered, at the latest. ``pauses`` are those of its caller and its entry, in order.

    What is sent while nobody reads, or just before, is read behind that, and its deadline counts from then.
    """
    bound = call.until + LATE_S
    for pause in pauses:
        if pause.since - UNREAD_S <= call.at <= pause.until:
            bound = max(bound, pause.until + (call.until - call.at) + LATE_S)
        elif pause.is_still and pause.since <= bound and pause.until >= call.at:
            bound = max(bound, pause.until + LATE_S)
    return bound


class Judge:
    """Reads the ledgers of one run and what was done meanwhile."""

    def __init__(self, ledgers: Ledgers, happened: Iterable[Happened]) -> None:
        self._ledgers = ledgers
        self._happened = sorted(happened, key=attrgetter("since"))
        self._since = [fault.since for fault in self._happened]
        self._befallen: dict[Happened, int] = dict.fromkeys(self._happened, 0)
        self._runs: dict[int, _Run] = {}
        self._held: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._owner: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self._unsent: set[int] = set()
        self.verdict = Verdict()

    def judge(self) -> Verdict:
        """Judge everything, once."""
        for (name, _), records in self._ledgers.providers.items():
            self._read_provider(name, records)
        for held in self._held.values():
            held.sort()
        self._unsent = set(self._runs)
        for (name, run), records in self._ledgers.callers.items():
            self._judge_caller(name, run, records)
        for number in self._unsent:
            self._violated("executed, though nobody made it", number)
        self.verdict.happened.update(fault.kind for fault in self._happened)
        self.verdict.hits.update(fault.kind for fault, calls in self._befallen.items() if calls)
        return self.verdict

    def _violated(self, rule: str, number: int, more: str = "") -> None:
        self.verdict.violations[rule].append(f"call {number:#x}{more and ': '}{more}")

    def _read_provider(self, name: str, records: Iterable[Record]) -> None:
        for record in records:
            self._last[record.lambda_id] = max(record.at, self._last.get(record.lambda_id, 0.0))
            if record.kind == Kind.OPENED:
                self._held[record.lambda_id].append((record.at, record.place))
                self._owner[record.lambda_id] = name
            elif record.number in self._runs:
                first = self._runs[record.number]
                self._violated(
                    "executed twice",
                    record.number,
                    f"by {first.lambda_id}, and {record.at - first.at:.3f} s later by {record.lambda_id}",
                )
            else:
                self._runs[record.number] = _Run(record.lambda_id, record.at)

    # -- callers ------------------------------------------------------------------------------------------------

    def _judge_caller(self, name: str, run: int, records: Iterable[Record]) -> None:
        calls: dict[int, Record] = {}
        answers: dict[int, Record] = {}
        gaps = [_Pause(gap.since, gap.until) for gap in self._of(name, "stop caller", run)]
        for record in records:
            if record.kind == Kind.SENT:
                calls[record.number] = record
            elif record.kind == Kind.STALLED:
                gaps.append(_Pause(record.at, record.until))
            elif record.kind == Kind.STRAY or record.number not in calls:
                self._violated("answered, though its caller never made it", record.number)
            elif record.number in answers:
                first = answers[record.number]
                self._violated("answered twice", record.number, f"{first.code}, then {record.code}")
            else:
                answers[record.number] = record
        killed_at = min((fault.since for fault in self._of(name, "kill caller", run)), default=None)
        pauses = self._pauses(next(iter(calls.values())).place if calls else 0, gaps)
        for number, call in calls.items():
            self._judge_call(name, call, answers.get(number), killed_at, pauses)
        self.verdict.calls += len(calls)

    def _of(self, name: str, kind: str, run: int) -> list[Happened]:
        return [
            fault
            for fault in self._happened
            if fault.target == name and fault.run == run and fault.kind.startswith(kind)
        ]

    def _pauses(self, place: int, gaps: Iterable[_Pause]) -> list[_Pause]:
        """When nobody read: the caller did not run, or its entry did not, or was being started."""
        pauses = list(gaps)
        for fault in self._happened:
            if fault.target == f"node{place}" and fault.kind.startswith(("stop node", "stop worker", STARVED)):
                pauses.append(_Pause(fault.since, fault.until))
            elif fault.target == f"node{place}" and fault.kind.startswith("kill"):
                pauses.append(_Pause(fault.since, fault.until + START_S, is_still=False))
        return sorted(pauses)

    def _judge_call(
        self,
        name: str,
        call: Record,
        answer: Record | None,
        killed_at: float | None,
        pauses: list[_Pause],
    ) -> None:
        self._unsent.discard(call.number)
        bound = _bound(call, pauses)
        run = self._runs.get(call.number)
        if run is not None and run.lambda_id != call.lambda_id:
            self._violated("executed by another lambda", call.number, f"{run.lambda_id} for {call.lambda_id}")
        if answer is None:
            self._judge_silence(call, killed_at, bound)
        else:
            self._judge_answer(call, answer, bound, pauses)
        ended_at = answer.at if answer is not None else killed_at if killed_at is not None else bound
        self._count_hits(name, call, ended_at)

    def _judge_silence(self, call: Record, killed_at: float | None, bound: float) -> None:
        if killed_at is None or bound < killed_at:
            self._violated("never answered", call.number, f"of {call.lambda_id} by node{call.place}")
        self.verdict.outcomes[UNSAID if killed_at is not None else "none", "unknown"] += 1

    def _judge_answer(self, call: Record, answer: Record, bound: float, pauses: list[_Pause]) -> None:
        said, run = answer.delivered, self._runs.get(call.number)
        self.verdict.outcomes[answer.code, said.name.lower()] += 1
        if answer.at > bound:
            self._violated(
                "answered late", call.number, f"{answer.code} {answer.at - call.until:.3f} s behind its deadline"
            )
        elif bound == call.until + LATE_S:
            self.verdict.latest_s = max(self.verdict.latest_s, answer.at - call.until)
        if not answer.is_sound:
            self._violated("answered with what belongs to another call", call.number)
        if answer.code not in EXPECTED:
            self._violated("ended in a way that no fault explains", call.number, answer.code)
        if said == Delivered.ABSENT:
            self._violated("answered without a word on whether it was delivered", call.number, answer.code)
        if said == Delivered.NO and run is not None:
            self._violated(
                "executed, though the answer said that it was not delivered",
                call.number,
                f"{answer.code} {answer.at - call.at:.3f} s after it was sent, executed {run.at - answer.at:+.3f} s from then",
            )
        if said == Delivered.YES and (run is None or run.at > answer.at):
            self._violated("not executed, though the answer said so", call.number, answer.code)
        held = self._held.get(call.lambda_id)
        if answer.code in FINAL and held and held[0][0] < answer.at and self._last.get(call.lambda_id, 0.0) > answer.at:
            self.verdict.given_up[answer.code] += 1
        if answer.code == LOST and not self._is_lost_by_fault(call.place, answer.at, pauses):
            self._violated("lost with its connection, though nobody had killed its entry", call.number)

    def _is_lost_by_fault(self, place: int, at: float, pauses: list[_Pause]) -> bool:
        """Whether the entry was killed, so lately that its caller has only now had the time to see it."""
        entry = f"node{place}"
        for fault in self._happened:
            if fault.target == entry and fault.kind.startswith("kill") and fault.since <= at:
                seen_by = fault.until + LATE_S
                for pause in pauses:
                    if pause.is_still and pause.since <= seen_by and pause.until >= fault.since:
                        seen_by = max(seen_by, pause.until + LATE_S)
                if at <= seen_by:
                    return True
        return False

    # -- what befell whom -----------------------------------------------------------------------------------------

    def _count_hits(self, name: str, call: Record, ended_at: float) -> None:
        for fault in self._happened[bisect_left(self._since, call.at) : bisect_right(self._since, ended_at)]:
            roles = self._roles(name, call, fault)
            if roles:
                self._befallen[fault] += 1
                self.verdict.calls_hit.update((fault.kind, role) for role in roles)

    def _roles(self, name: str, call: Record, fault: Happened) -> tuple[str, ...]:
        """What those whom a fault befell had to do with a call; nothing where they had nothing."""
        if fault.target.startswith(("nats", "bucket")):
            return ("any",)
        if fault.target.startswith("caller"):
            return ("caller",) if fault.target == name else ()
        if fault.target.startswith("provider"):
            return ("provider",) if fault.target == self._owner.get(call.lambda_id) else ()
        there = {
            "entry": call.place,
            "home": self._home(call.lambda_id),
            "holder": self._holder(call.lambda_id, fault.since),
        }
        if there["holder"] == there["home"]:
            del there["holder"]
        befallen = {int(part.removeprefix("node")) for part in fault.target.replace(">", "-").split("-")}
        places = set(there.values())
        if not befallen <= places or (fault.kind in CABLES and len(places) == 1):
            return ()
        return tuple(role for role, place in there.items() if place in befallen)

    def _home(self, lambda_id: str) -> int:
        return self._ledgers.machines.get(parse_lambda_id(lambda_id.encode()).machine, 0)

    def _holder(self, lambda_id: str, at: float) -> int:
        held = self._held.get(lambda_id, [])
        index = bisect_right(held, (at, 99)) - 1
        return held[index][1] if index >= 0 else 0
