"""Soaks a mesh of two nodes: ``python -m tests.faults.soak --minutes 60`` (``make soak``).

Opens and loses lambdas and calls some, all the time, and says in the end whether anything has grown: memory behind a
warm-up of a third of the time, and descriptors, tasks and all that is pending once the load has stopped. Exits with 1
where something is not as promised.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.faults.crowds.scale import node_settings
from tests.faults.soaking.soak import Finding, Plan, Report, slope_text, soak
from tests.meshes import mesh

NODES = 2


def run(plan: Plan, folder: Path, console: Console, **settings: object) -> Report:
    """Start the nodes, soak them, print what came of it."""
    with mesh(folder, NODES, gone_ids=plan.gone_ids, **settings) as running:
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"{plan.opens_a_second:.0f} opens/s, {plan.calls_a_second:.0f} calls/s", total=1.0)
            report = uvloop.run(soak(running, plan, lambda share: bar.update(task, completed=share)))
        report.wrong += [f"{line}" for node in running for line in node.complaints()][:3]
    console.print(table_of(report.nodes))
    console.print(
        ", ".join(f"{count:,} {what}" for what, count in sorted(report.done.items())),
        f"; closed ids remembered by each node: {plan.gone_ids:,}",
    )
    for what in report.verdict:
        console.print(f"[red]not as promised[/red] {what}", highlight=False)
    return report


def table_of(nodes: list[Finding]) -> Table:
    """What was seen of the nodes, a row each."""
    table = Table("node", "MiB at first", "warm", "in the end", "memory", "longest block", "slowest ping", "left over")
    for one in nodes:
        slope = "too short for a slope" if one.slope is None or not one.is_long else slope_text(one.slope)
        left = ", ".join(f"{name} {base:.0f} -> {end:.0f}" for name, (base, end) in one.left.items())
        table.add_row(
            one.name,
            *(f"{kib / 1024:.1f}" for kib in one.memory_kib),
            slope,
            f"{one.block_s * 1000:.1f} ms",
            f"{one.ping_s * 1000:.1f} ms",
            left or "nothing",
        )
    return table


def main() -> int:
    """Run as the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Soak a mesh of two nodes.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=1, help="of each node")
    parser.add_argument("--opens", type=float, default=100.0, help="lambdas a second")
    parser.add_argument("--calls", type=float, default=500.0, help="calls a second")
    given = parser.parse_args()
    # So that whoever ends it ends its nodes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = node_settings() if given.workers == 1 else {"workers": given.workers}
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        plan = Plan(given.minutes * 60, given.opens, given.calls)
        report = run(plan, Path(folder), Console(width=None if sys.stdout.isatty() else 160), **settings)
    return 1 if report.verdict else 0


if __name__ == "__main__":
    sys.exit(main())
