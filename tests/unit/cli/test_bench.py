"""What ``bench`` tells of calls that went well and of those that did not."""

from __future__ import annotations

import pytest

from lambdamesh.cli.bench_report import COLUMNS, Pace, can_draw, live_text, report, show_report
from lambdamesh.cli.load import Load, Measured


def measured_of(well: int, refused: int, nodes: tuple[str, ...] = ()) -> Measured:
    measured = Measured(nodes)
    for number in range(well):
        measured.went_well(nodes[number % len(nodes)] if nodes else "", 0.001)
    for number in range(refused):
        measured.failed(nodes[number % len(nodes)] if nodes else "", "overloaded")
    measured.seconds = 2.0
    return measured


def shown(measured: Measured, capsys: pytest.CaptureFixture[str], load: Load | None = None, **more) -> list[str]:
    show_report(load or Load(), measured, **more)
    return capsys.readouterr().out.splitlines()


def test_what_was_refused_is_no_throughput(capsys: pytest.CaptureFixture[str]) -> None:
    told = report(Load(), measured_of(30, 10))
    assert (told["calls"], told["calls_per_s"], told["failed_share"]) == (40, 15.0, 0.25)
    assert "nodes" not in told
    lines = shown(measured_of(30, 10), capsys)
    assert lines[0] == "40 calls in 2.00 s, 64 in flight over 1 connection"
    rows = [line.split() for line in lines]
    assert list(COLUMNS) in rows
    assert ["40", "10", "15", "1", "ms", *["1", "ms"] * 5] in rows
    assert rows[-1] == ["overloaded", "10", "25.0%"]


def test_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    told = report(Load(), measured_of(0, 0))
    assert (told["calls"], told["calls_per_s"], told["failed_share"], told["histogram"]) == (0, 0.0, 0.0, [])
    assert ["0", "0", "0"] in [line.split() for line in shown(measured_of(0, 0), capsys)]


def test_times_are_told_in_milliseconds() -> None:
    times = report(Load(), measured_of(3, 0))["latency_ms"]
    assert list(times) == ["mean", "p50", "p90", "p99", "p99.9", "max"]
    assert times["mean"] == times["max"] == 1.0


def test_nodes_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measured_of(30, 1, ("one", "two"))
    told = report(Load(), measured, ("three",))
    assert {node: row["calls"] for node, row in told["nodes"].items()} == {"one": 16, "two": 15}
    assert told["left_out"] == ["three"]
    lines = shown(measured, capsys, left_out=("three",))
    assert [line.split()[:2] for line in lines if line.split()[:1] in (["all"], ["one"], ["two"])] == [
        ["all", "31"],
        ["one", "16"],
        ["two", "15"],
    ]
    assert "not called: three; name their local doors with --via URL" in lines


def test_a_rate_that_was_not_reached_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measured_of(30, 0)
    measured.not_sent, measured.own_cpu = 70, 0.97
    lines = shown(measured, capsys, Load(rate=50))
    assert lines[0] == "30 calls in 2.00 s, 50 a second over 1 connection"
    assert lines[1].startswith("70 more were due and could not be begun")
    assert "busy itself (97% of a core)" in lines[2]
    assert report(Load(rate=50), measured)["not_sent"] == 70


def test_calls_that_still_waited_when_it_was_ended_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measured_of(30, 0)
    measured.unanswered = 64
    assert shown(measured, capsys)[1].startswith("64 more waited still when it was ended")
    assert report(Load(), measured)["unanswered"] == 64
    assert report(Load(), measured_of(30, 0))["unanswered"] == 0


def test_what_stands_beside_the_bar() -> None:
    assert live_text(measured_of(0, 0), 0) == "0 calls/s"
    assert live_text(measured_of(3, 2), 1234.5) == "1,234 calls/s  p50 1 ms  p99 1 ms  2 failed"


def test_the_pace_is_that_of_the_last_second() -> None:
    pace = Pace()
    assert pace.per_s(0, 10.0) == 0.0
    assert pace.per_s(100, 10.5) == 200.0
    assert pace.per_s(200, 11.0) == 200.0
    assert pace.per_s(200, 11.5) == 100.0
    assert pace.per_s(200, 12.0) == 0.0


def test_a_terminal_without_blocks() -> None:
    assert can_draw("utf-8")
    assert [can_draw(encoding) for encoding in ("ascii", "latin-1", "no-such", None)] == [False] * 4
