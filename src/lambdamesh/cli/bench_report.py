"""What ``bench`` shows: a bar while it calls, then a table and a histogram, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lambdamesh.cli.latencies import Latencies, bars, time_text
from lambdamesh.cli.load import Load, Measured, Tally
from lambdamesh.cli.output import show_table
from lambdamesh.cli.pacing import clock

PERCENTS = (50, 90, 99, 99.9)
COLUMNS = ("CALLS", "FAILED", "CALLS/S", "MEAN", *(f"P{percent:g}" for percent in PERCENTS), "WORST")
_WINDOW_S = 1.0
_BUSY = 0.9
"""How busy this process may be before its own pace is what was measured."""


@contextmanager
def progress(load: Load, is_for_people: bool) -> Iterator[Callable[[Measured], None]]:
    """A bar on stderr that goes away at the end; what is yielded renews it."""
    if not is_for_people:
        yield lambda _measured: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    total = load.seconds if load.calls is None else load.calls
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=total)
        pace = Pace()

        def show(measured: Measured) -> None:
            passed_s = clock() - measured.began_at
            done = passed_s if load.calls is None else measured.ended
            bar.update(
                task, completed=done, description=live_text(measured, pace.per_s(measured.latencies.count, clock()))
            )
            bar.refresh()

        yield show


class Pace:
    """How many calls a second there were of late."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def per_s(self, count: int, now: float) -> float:
        """The pace of the last second, ``count`` calls having gone well until ``now``."""
        self._marks.append((now, count))
        while len(self._marks) > 2 and now - self._marks[1][0] >= _WINDOW_S:
            del self._marks[0]
        since, before = self._marks[0]
        return (count - before) / (now - since) if now > since else 0.0


def live_text(measured: Measured, per_s: float) -> str:
    """What stands beside the bar."""
    latencies = measured.latencies
    parts = [f"{per_s:,.0f} calls/s"]
    if latencies.count:
        parts += [f"p{percent} {time_text(latencies.percentile_s(percent))}" for percent in (50, 99)]
    if measured.errors:
        parts.append(f"{measured.errors.total():,} failed")
    return "  ".join(parts)


def report(load: Load, measured: Measured, left_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The outcome for a program: times in milliseconds, errors by code."""
    rows = measured.latencies.rows()
    told: dict[str, Any] = {
        "calls": measured.ended,
        "seconds": round(measured.seconds, 3),
        "calls_per_s": round(measured.per_s, 1),
        "failed_share": round(measured.failed_share, 4),
        "in_flight": load.in_flight,
        "connections": load.connections,
        "rate": load.rate,
        "not_sent": measured.not_sent,
        "unanswered": measured.unanswered,
        "own_cpu": round(measured.own_cpu, 2),
        "errors": dict(measured.errors),
        "latency_ms": _times_ms(measured.latencies),
        "histogram": [{"up_to_ms": round(row.bound_s * 1000, 6), "calls": row.count} for row in rows],
    }
    if measured.by_node:
        told["nodes"] = {node: _of_node(tally) for node, tally in measured.by_node.items()}
    return told | ({"left_out": list(left_out)} if left_out else {})


def _of_node(tally: Tally) -> dict[str, Any]:
    return {"calls": tally.ended, "errors": dict(tally.errors), "latency_ms": _times_ms(tally.latencies)}


def _times_ms(latencies: Latencies) -> dict[str, float]:
    shares = {f"p{percent:g}": latencies.percentile_s(percent) for percent in PERCENTS}
    times_s = {"mean": latencies.mean_s, **shares, "max": latencies.longest_s}
    return {name: round(seconds * 1000, 3) for name, seconds in times_s.items()}


def show_report(load: Load, measured: Measured, left_out: tuple[str, ...] = ()) -> None:
    """Print the outcome for people."""
    lines = [f"{measured.ended:,} calls in {measured.seconds:.2f} s, {_how(load)}", *_notes(load, measured, left_out)]
    print("\n".join(lines))
    rows = [("all", *_cells(measured, measured.seconds))] if measured.by_node else [_cells(measured, measured.seconds)]
    rows += [(node, *_cells(tally, measured.seconds)) for node, tally in measured.by_node.items()]
    show_table(("NODE", *COLUMNS) if measured.by_node else COLUMNS, rows, none="")
    print(
        "\n".join(
            [*bars(measured.latencies.rows(), is_plain=not can_draw(sys.stdout.encoding)), *error_lines(measured)]
        )
    )


def _how(load: Load) -> str:
    connections = f"{load.connections} connection{'' if load.connections == 1 else 's'}"
    if load.rate is not None:
        return f"{load.rate:,g} a second over {connections}"
    return f"{load.in_flight} in flight over {connections}"


def _notes(load: Load, measured: Measured, left_out: tuple[str, ...]) -> list[str]:
    lines = []
    if measured.not_sent:
        lines.append(
            f"{measured.not_sent:,} more were due and could not be begun: that rate is too much for {load.in_flight} "
            "in flight, and the times below leave them out"
        )
    if measured.unanswered:
        lines.append(f"{measured.unanswered:,} more waited still when it was ended, and the times below leave them out")
    if measured.own_cpu > _BUSY:
        lines.append(f"this command was busy itself ({measured.own_cpu:.0%} of a core): the node may be faster")
    if left_out:
        lines.append(f"not called: {', '.join(left_out)}; name their local doors with --via URL")
    return lines


def _cells(tally: Tally, seconds: float) -> tuple[str, ...]:
    latencies = tally.latencies
    counts = (f"{tally.ended:,}", f"{tally.errors.total():,}", f"{latencies.count / seconds if seconds else 0:,.0f}")
    if not latencies.count:
        return (*counts, *[""] * (len(COLUMNS) - len(counts)))
    times_s = (latencies.mean_s, *(latencies.percentile_s(percent) for percent in PERCENTS), latencies.longest_s)
    return (*counts, *map(time_text, times_s))


def error_lines(measured: Measured) -> list[str]:
    """Errors by code, with their share."""
    if not measured.errors:
        return []
    lines = ["", f"errors {measured.failed_share:.1%}, which calls/s does not count"]
    for code, count in measured.errors.most_common():
        lines.append(f"  {code:<20} {count:>9,} {count / measured.ended:>7.1%}")
    return lines


def can_draw(encoding: str | None) -> bool:
    """Whether a terminal can show blocks."""
    try:
        "█▏".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
