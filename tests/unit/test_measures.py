"""What a worker writes down of what it counts, and how long the event loop was kept from its timer."""

from __future__ import annotations

import os

from lambdamesh.core.counters import Counters
from lambdamesh.door.door import Core
from lambdamesh.measures import Counting, Load, measures
from lambdamesh.part import Part
from lambdamesh.protocol.session import SessionCounters
from lambdamesh.telemetry.tally import Tally, new_tally

WORKERS = 2


def worker_of(fd: int, worker: int) -> tuple[Core, Counting]:
    """A worker that starts: it goes on from where those before it were."""
    part = Part(worker=worker, workers=WORKERS, tally=Tally(fd, WORKERS))
    core, former = Core(), part.tally.read(worker)
    core.counters, core.sessions = Counters(former), SessionCounters(former)
    return core, Counting(core, part)


def test_counters_are_those_of_all_workers_and_of_those_before_them() -> None:
    fd = new_tally(WORKERS)
    (one, counting), (other, elsewhere) = worker_of(fd, 0), worker_of(fd, 1)
    one.counters.calls, one.sessions.bad_answers, other.counters.calls = 5, 2, 7
    elsewhere.note()
    assert (counting.totals()["calls"], counting.totals()["bad_answers"]) == (12, 2)
    again, restarted = worker_of(fd, 0)
    os.close(fd)
    again.counters.calls += 1
    again.sessions.bad_answers += 1
    assert measures(restarted, {"lambdas": 1.0}).gauges == {"lambdas": 1.0}
    assert (elsewhere.totals()["calls"], elsewhere.totals()["bad_answers"]) == (13, 3)


def test_a_node_of_one_worker_counts_alone() -> None:
    core = Core()
    core.counters, core.sessions = Counters(), SessionCounters()
    core.counters.calls = 3
    assert Counting(core, Part()).totals()["calls"] == 3


def turned(*turns: tuple[float, float]) -> float:
    """The longest time after turns of the timer, each at a time and with what the process had used so far."""
    load = Load()
    for now, cpu_s in turns:
        load.turn(now, cpu_s)
    return load.longest_s


def test_nothing_has_been_seen_yet() -> None:
    assert turned() == 0.0


def test_what_the_start_took_does_not_count() -> None:
    assert turned((100.0, 7.0)) == 0.0
    assert turned((100.0, 7.0), (100.02, 7.001)) < 0.01


def test_the_longest_counts() -> None:
    assert turned((1.0, 1.0), (1.1, 1.1), (2.0, 1.4), (2.1, 1.45)) == 1.4 - 1.1


def test_time_that_others_had_does_not_count() -> None:
    assert turned((1.0, 1.0), (30.0, 1.0)) == 0.0


def test_it_is_forgotten_after_two_minutes_and_not_before_one() -> None:
    long_ago = [(1.0, 1.0), (2.0, 1.5)]
    assert turned(*long_ago, (62.0, 1.5)) == 0.5
    assert turned(*long_ago, (62.0, 1.5), (121.0, 1.5)) == 0.5
    assert turned(*long_ago, (62.0, 1.5), (123.0, 1.5)) == 0.0


def test_a_turn_at_the_end_of_a_minute_counts_in_the_next() -> None:
    assert turned((1.0, 1.0), (62.0, 1.7), (123.0, 1.7)) == 1.7 - 1.0
