"""What ``bench`` tells of calls that went well and of those that did not."""

from __future__ import annotations

from lambdamesh.cli.bench import Load, Tally, report, report_lines


def tally_of(well: int, refused: int) -> Tally:
    tally = Tally()
    for _ in range(well):
        tally.latencies.add(0.001)
    tally.errors["overloaded"] += refused
    tally.seconds = 2.0
    return tally


def test_what_was_refused_is_no_throughput() -> None:
    told = report(Load(), tally_of(30, 10))
    assert (told["calls"], told["calls_per_s"], told["failed_share"]) == (40, 15.0, 0.25)
    lines = report_lines(Load(), tally_of(30, 10))
    assert lines[0].endswith(": 15 calls/s")
    assert lines[-1].split() == ["overloaded", "10", "25.0%"]


def test_nothing_at_all() -> None:
    told = report(Load(), tally_of(0, 0))
    assert (told["calls"], told["calls_per_s"], told["failed_share"]) == (0, 0.0, 0.0)
