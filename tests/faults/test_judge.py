"""The judge: a ledger that keeps the promise, and one for each way of breaking it, which is seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lambdamesh.ids import parse_lambda_id
from tests.faults.judge import LATE_S, START_S, STARVED, Happened, Judge, Ledgers, Verdict
from tests.faults.ledger import LOST, RESULT, Delivered, Kind, Record

ID, OTHER_ID = "rhowRuuCUoE5vlcA", "nlLjwAEAoOAaXlUF"
AT, DEADLINE = 100.0, 102.0
ONE = 1 << 40 | 1

Lines = list[Record]


def sent(number: int = ONE, at: float = AT, until: float = DEADLINE, entry: int = 1) -> Record:
    return Record(Kind.SENT, number, at, until, ID, entry)


def answer(
    number: int = ONE, at: float = AT + 0.1, code: str = RESULT, delivered: str = "YES", sound: bool = True
) -> Record:
    return Record(Kind.ANSWERED, number, at, code=code, delivered=Delivered[delivered], is_sound=sound)


def run(number: int = ONE, at: float = AT + 0.05, lambda_id: str = ID) -> Record:
    return Record(Kind.EXECUTED, number, at, lambda_id=lambda_id)


def opened(at: float, place: int, lambda_id: str = ID) -> Record:
    return Record(Kind.OPENED, 0, at, lambda_id=lambda_id, place=place)


def judged(
    calls: Lines, runs: Lines, happened: Sequence[Happened] = (), machines: dict[int, int] | None = None
) -> Verdict:
    return Judge(Ledgers({("caller1", 1): calls}, {("provider1", 1): runs}, machines or {}), happened).judge()


def rules(verdict: Verdict) -> list[str]:
    return [rule for rule, found in verdict.violations.items() if found]


def late(by_s: float, until: float = DEADLINE) -> Record:
    return answer(at=until + by_s, code="timeout", delivered="UNKNOWN")


KEPT: dict[str, tuple[Lines, Lines]] = {
    "a result": ([sent(), answer()], [run()]),
    "refused": ([sent(), answer(code="peer_unreachable", delivered="NO")], []),
    "unknown and executed": ([sent(), answer(code="lambda_lost", delivered="UNKNOWN")], [run()]),
    "unknown and not executed": ([sent(), answer(code="lambda_lost", delivered="UNKNOWN")], []),
    "executed behind its deadline": ([sent(), late(0.05)], [run(at=DEADLINE + 3)]),
    "at its deadline, nearly": ([sent(), late(LATE_S - 0.01)], []),
    "two calls": ([sent(), sent(ONE + 1), answer(ONE + 1), answer()], [run(ONE + 1), run()]),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_keeps_the_promise_is_passed(name: str) -> None:
    verdict = judged(*KEPT[name])
    assert verdict.is_kept, verdict.violations
    assert verdict.calls == sum(record.kind == Kind.SENT for record in KEPT[name][0])
    assert sum(verdict.outcomes.values()) == verdict.calls


BROKEN: dict[str, tuple[Lines, Lines]] = {
    "never answered": ([sent()], [run()]),
    "answered late": ([sent(), late(LATE_S + 0.01)], []),
    "answered twice": ([sent(), answer(), answer(code="timeout", delivered="UNKNOWN")], [run()]),
    "executed twice": ([sent(), answer()], [run(), run(at=AT + 0.07)]),
    "executed by another lambda": ([sent(), answer()], [run(lambda_id=OTHER_ID)]),
    "executed, though nobody made it": ([], [run()]),
    "answered, though its caller never made it": ([answer()], []),
    "answered with what belongs to another call": ([sent(), answer(sound=False)], [run()]),
    "ended in a way that no fault explains": ([sent(), answer(code="bad_request", delivered="NO")], []),
    "answered without a word on whether it was delivered": ([sent(), answer(code="timeout", delivered="ABSENT")], []),
    "executed, though the answer said that it was not delivered": (
        [sent(), answer(code="recovering", delivered="NO")],
        [run(at=DEADLINE + 1)],
    ),
    "not executed, though the answer said so": ([sent(), answer()], []),
    "lost with its connection, though nobody had killed its entry": (
        [sent(), answer(code=LOST, delivered="UNKNOWN")],
        [],
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_what_breaks_a_rule_is_seen(rule: str) -> None:
    verdict = judged(*BROKEN[rule])
    assert rules(verdict) == [rule]
    assert not verdict.is_kept


def test_a_result_from_before_it_was_executed_is_seen() -> None:
    assert rules(judged([sent(), answer()], [run(at=AT + 0.5)])) == ["not executed, though the answer said so"]


def test_an_answer_that_is_nobodys_is_seen() -> None:
    stray = Record(Kind.STRAY, 5, AT)
    assert rules(judged([stray], [])) == ["answered, though its caller never made it"]


def test_calls_are_those_of_their_caller_alone() -> None:
    calls: dict[tuple[str, int], Lines] = {("caller1", 1): [sent()], ("caller2", 1): [answer()]}
    verdict = Judge(Ledgers(calls, {("provider1", 1): [run()]}), ()).judge()
    assert rules(verdict) == ["never answered", "answered, though its caller never made it"]


def test_a_second_execution_by_another_provider_is_seen() -> None:
    runs: dict[tuple[str, int], Lines] = {("provider1", 1): [run()], ("provider1", 2): [run(at=AT + 1)]}
    verdict = Judge(Ledgers({("caller1", 1): [sent(), answer()]}, runs), ()).judge()
    assert rules(verdict) == ["executed twice"]


# -- what faults excuse ---------------------------------------------------------------------------------------------


def killed(since: float, run_number: int = 1) -> Happened:
    return Happened("kill caller", "caller1", since, since + 0.5, run_number)


def test_a_caller_that_was_killed_is_told_nothing() -> None:
    verdict = judged([sent()], [], [killed(AT + 1)])
    assert verdict.is_kept
    assert verdict.outcomes == {("caller_killed", "unknown"): 1}


def test_a_caller_that_was_killed_too_late_to_excuse_it_is_no_excuse() -> None:
    assert rules(judged([sent()], [], [killed(DEADLINE + LATE_S + 0.1)])) == ["never answered"]


def test_another_life_of_a_caller_that_was_killed_is_no_excuse() -> None:
    assert rules(judged([sent()], [], [killed(AT + 1, run_number=2)])) == ["never answered"]


@pytest.mark.parametrize(
    "fault",
    [
        Happened("stop caller long", "caller1", AT + 1, AT + 7, 1),
        Happened("stop node", "node1", AT + 1, AT + 7),
        Happened("stop worker", "node1", AT + 1, AT + 7),
        Happened(STARVED, "node1", AT + 1, AT + 7),
    ],
)
def test_who_was_stopped_answers_and_is_answered_later(fault: Happened) -> None:
    assert judged([sent(), answer(at=AT + 7.9, code="timeout", delivered="UNKNOWN")], [], [fault]).is_kept
    after = answer(at=fault.until + LATE_S + 0.1, code="timeout", delivered="UNKNOWN")
    assert rules(judged([sent(), after], [], [fault])) == ["answered late"]


def test_a_caller_that_has_not_run_is_excused_as_one_that_was_stopped() -> None:
    pause = Record(Kind.STALLED, 0, AT + 1, AT + 7)
    assert judged([sent(), pause, answer(at=AT + 7.5, code="timeout", delivered="UNKNOWN")], []).is_kept


def test_the_deadline_of_what_nobody_read_counts_from_when_it_was_read() -> None:
    stop = Happened("stop node", "node1", AT - 1, AT + 4)
    assert judged([sent(), late(4 + LATE_S - 0.1)], [], [stop]).is_kept
    assert rules(judged([sent(), late(4 + LATE_S + 0.1)], [], [stop])) == ["answered late"]


def test_what_lies_in_the_door_of_a_node_that_starts_is_read_behind_that() -> None:
    kill = Happened("kill node", "node1", AT - 1, AT - 0.5)
    assert judged([sent(), late(START_S - 0.5)], [], [kill]).is_kept
    assert rules(judged([sent(), late(START_S - 0.5 + LATE_S + 0.1)], [], [kill])) == ["answered late"]
    before = sent(at=AT - 1.5)
    assert rules(judged([before, late(LATE_S + 0.1)], [], [kill])) == ["answered late"]


def test_one_excuse_leads_to_the_next() -> None:
    stops = [
        Happened("stop node", "node1", AT + 1, AT + 5),
        Happened("stop caller", "caller1", AT + 5.5, AT + 9, 1),
    ]
    assert judged([sent(), answer(at=AT + 9.5, code="timeout", delivered="UNKNOWN")], [], stops).is_kept


@pytest.mark.parametrize(
    "fault",
    [
        Happened("stop node", "node2", AT + 1, AT + 7),
        Happened("stop provider", "provider1", AT + 1, AT + 7, 1),
        Happened("black hole", "node1", AT + 1, AT + 7),
        Happened("stop caller", "caller2", AT + 1, AT + 7, 1),
    ],
)
def test_the_troubles_of_others_excuse_nothing(fault: Happened) -> None:
    assert rules(judged([sent(), late(2)], [], [fault])) == ["answered late"]


LOST_CALL = [sent(), answer(at=AT + 1.5, code=LOST, delivered="UNKNOWN")]


@pytest.mark.parametrize("kind", ["kill node", "kill worker"])
def test_a_connection_may_be_lost_with_its_entry(kind: str) -> None:
    assert judged(LOST_CALL, [], [Happened(kind, "node1", AT + 1.4, AT + 2)]).is_kept
    for fault in (Happened(kind, "node2", AT + 1.4, AT + 2), Happened(kind, "node1", AT + 1.6, AT + 2)):
        assert rules(judged(LOST_CALL, [], [fault])) == ["lost with its connection, though nobody had killed its entry"]


def test_a_caller_that_was_stopped_sees_later_that_its_entry_was_killed() -> None:
    calls = [sent(until=AT + 5), answer(at=AT + 6.2, code=LOST, delivered="UNKNOWN")]
    kill = Happened("kill node", "node1", AT + 2, AT + 2.5)
    stop = Happened("stop caller", "caller1", AT + 1, AT + 6, 1)
    assert judged(calls, [], [kill, stop]).is_kept
    assert not judged(calls, [], [kill]).is_kept


# -- what faults befell ---------------------------------------------------------------------------------------------

HOME = {parse_lambda_id(ID.encode()).machine: 2}


def roles_of(fault: Happened, held: Sequence[Record] = ()) -> dict[str, int]:
    verdict = judged([sent(), answer(at=AT + 1)], [*held, run()], [fault], HOME)
    assert verdict.happened == {fault.kind: 1}
    assert bool(verdict.hits[fault.kind]) == bool(verdict.calls_hit)
    return {role: count for (_, role), count in verdict.calls_hit.items()}


def at(kind: str, target: str, since: float = AT + 0.5) -> Happened:
    return Happened(kind, target, since, since + 1, 1 if target[:4] in ("call", "prov") else 0)


def test_nodes_are_hit_in_their_roles() -> None:
    moved = [opened(AT - 5, 2), opened(AT - 1, 3)]
    assert roles_of(at("kill node", "node1"), moved) == {"entry": 1}
    assert roles_of(at("kill node", "node2"), moved) == {"home": 1}
    assert roles_of(at("kill node", "node3"), moved) == {"holder": 1}
    assert roles_of(at("kill node", "node3"), [*moved, opened(AT + 0.4, 2)]) == {}
    assert roles_of(at("kill node", "node2"), [opened(AT - 5, 2)]) == {"home": 1}


def test_a_fault_that_finds_no_call_under_way_hits_nothing() -> None:
    for since in (AT - 0.1, AT + 1.1):
        assert roles_of(at("kill node", "node1", since)) == {}


def test_pairs_are_hit_by_what_is_between_them() -> None:
    assert roles_of(at("partition", "node1-node2"), [opened(AT - 5, 2)]) == {"entry": 1, "home": 1}
    assert roles_of(at("one-way partition", "node2>node1"), [opened(AT - 5, 2)]) == {"entry": 1, "home": 1}
    assert roles_of(at("partition", "node1-node3"), [opened(AT - 5, 2)]) == {}


def test_what_stays_in_a_node_is_not_hit_by_its_cable() -> None:
    home = {parse_lambda_id(ID.encode()).machine: 1}
    for kind, count in (("link down", 0), ("black hole", 0), ("kill node", 1)):
        verdict = judged([sent(), answer(at=AT + 1)], [opened(AT - 5, 1), run()], [at(kind, "node1")], home)
        assert verdict.hits[kind] == count


def test_actors_are_hit_by_name() -> None:
    held = [opened(AT - 5, 2)]
    assert roles_of(at("stop provider", "provider1"), held) == {"provider": 1}
    assert roles_of(at("stop provider", "provider2"), held) == {}
    assert roles_of(at("stop caller", "caller1"), held) == {"caller": 1}
    assert roles_of(at("stop caller", "caller2"), held) == {}
    assert roles_of(at("kill NATS", "nats2"), held) == {"any": 1}


def test_a_final_word_about_a_lambda_that_lives_is_counted() -> None:
    calls = [sent(), answer(code="lambda_gone", delivered="NO")]
    assert judged(calls, [opened(AT - 5, 1), opened(AT + 5, 2)]).given_up == {"lambda_gone": 1}
    assert judged(calls, [opened(AT - 5, 1)]).given_up == {}
    assert judged(calls, [opened(AT + 5, 1)]).given_up == {}
