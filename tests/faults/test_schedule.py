"""The schedule: the same for the same seed, every kind at least once, nothing that undoes something else."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.faults.kinds import KINDS
from tests.faults.schedule import LEAD_S, NODES, SHAPES, TAIL_S, Cast, Fault, claims, encore, schedule

SEEDS = range(40)
FULL = Cast(workers=2)


def overlap(one: Fault, other: Fault) -> bool:
    return one.at_s < other.ends_s and other.at_s < one.ends_s


def test_a_seed_repeats_itself() -> None:
    assert schedule(7, 30, FULL) == schedule(7, 30, FULL)
    assert len({tuple(schedule(seed, 30, FULL)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seconds", [5.0, 25.0, 300.0])
def test_every_kind_comes_in_order_of_time(seconds: float) -> None:
    for seed in SEEDS:
        planned = schedule(seed, seconds, FULL)
        assert {fault.kind for fault in planned} == set(SHAPES)
        assert planned == sorted(planned)
        assert planned[0].at_s >= LEAD_S


def test_a_longer_run_has_more_of_each() -> None:
    counts = [len(schedule(1, seconds, FULL)) for seconds in (25, 250, 500)]
    assert counts[0] == len(SHAPES)
    assert counts[1] >= 3 * counts[0] and counts[2] >= 6 * counts[0]


def test_there_is_time_for_what_comes_last() -> None:
    for seed in SEEDS:
        assert schedule(seed, 250, FULL)[-1].at_s < 250 + 30
        assert sum(fault.at_s > 250 - TAIL_S for fault in schedule(seed, 250, FULL)) < len(SHAPES)


def test_faults_that_overlap_have_nothing_in_common() -> None:
    for seed in SEEDS:
        for one, other in combinations(schedule(seed, 25, FULL), 2):
            if overlap(one, other):
                assert not claims(one.kind, one.target) & claims(other.kind, other.target), (seed, one, other)
                ends = [
                    fault for fault in (one, other) if fault.kind.startswith(("kill node", "kill sup", "stop node"))
                ]
                assert len(ends) < 2, (seed, one, other)


def test_faults_do_overlap() -> None:
    assert any(overlap(*pair) for pair in combinations(schedule(1, 25, FULL), 2))


def test_targets_are_of_the_cast() -> None:
    cast = Cast(nodes=3, providers=2, callers=5, servers=3, workers=2)
    names = {f"node{number}" for number in (1, 2, 3)} | {"provider1", "provider2", "nats1", "nats2", "nats3", "bucket"}
    names |= {f"caller{number}" for number in range(1, 6)}
    for seed in SEEDS:
        for fault in schedule(seed, 60, cast):
            parts = fault.target.replace(">", "-").split("-")
            assert len(set(parts)) == len(parts) and set(parts) <= names, fault
            assert (">" in fault.target, "-" in fault.target) == (
                fault.kind == "one-way partition",
                fault.kind == "partition",
            )


def test_stops_are_both_shorter_and_longer_than_the_silence_of_a_link() -> None:
    silence_s = 4.5
    for what in ("node", "provider", "caller"):
        assert SHAPES[f"stop {what}"].most_s < silence_s < SHAPES[f"stop {what} long"].least_s
    for shape in SHAPES.values():
        if shape.needs == "network" and shape.target != NODES:
            assert shape.least_s < silence_s < shape.most_s


def test_what_there_is_not_is_not_broken() -> None:
    alone = {fault.kind for fault in schedule(1, 25, Cast(has_network=False))}
    assert alone == {kind for kind, shape in SHAPES.items() if not shape.needs}
    assert {fault.kind for fault in schedule(1, 25, Cast())} == set(SHAPES) - {
        kind for kind in SHAPES if "worker" in kind or "supervisor" in kind
    }


def test_each_kind_can_be_done() -> None:
    assert set(KINDS) == set(SHAPES)


def test_an_encore_has_each_kind_on_its_own() -> None:
    kinds = ["kill node", "partition", "wipe bucket"]
    planned = encore(3, kinds, FULL)
    assert [fault.kind for fault in planned] == kinds
    assert not any(overlap(one, other) for one, other in combinations(planned, 2))
    assert planned == encore(3, kinds, FULL)
