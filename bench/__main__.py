"""`python -m bench`: measures the node beside its peers, prints tables, writes JSON."""

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.cases import CASES
from bench.cases.case import Case, Plan
from bench.load import wrk
from bench.outcome import Outcome
from bench.processes import Cores, StartError
from bench.report import make_report, print_outcome, print_targets, write_json
from bench.stage import Stage

RESULTS = Path(__file__).parent / "results"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--quick", action="store_true", help="one short round of everything: does it work at all")
    parser.add_argument("--rounds", type=int, help="rounds of each subject in each case (5)")
    parser.add_argument("--seconds", type=float, help="length of a round (3)")
    parser.add_argument("--lambdas", type=int, help="how many idle lambdas (10,000)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"these cases: {', '.join(names)}")
    parser.add_argument("--load", choices=("python", "wrk"), default="python", help="who makes the HTTP calls (python)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go (bench/results/TIME.json)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    chosen = parser.parse_args(arguments)
    if chosen.load == "wrk" and not wrk.is_installed():
        parser.error("wrk is not installed; --load python needs nothing")
    return chosen


def plan_of(chosen: argparse.Namespace) -> Plan:
    """How much to measure, from the flags."""
    quick = chosen.quick
    return Plan(
        rounds=chosen.rounds or (1 if quick else 5),
        seconds=chosen.seconds or (0.5 if quick else 3.0),
        warm_up_s=0.2 if quick else 0.5,
        lambdas=chosen.lambdas or (500 if quick else 10_000),
        opened_a_round=200 if quick else 2_000,
        hold_s=0.5 if quick else 12.0,
        patience=0 if quick else 3,
        with_wrk=chosen.load == "wrk",
    )


def run_cases(cases: list[Case], plan: Plan, cores: Cores, console: Console) -> list[Outcome]:
    """One after the other, with a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes = []
    with (
        Stage(cores) as stage,
        Progress(*columns, console=console, transient=True, refresh_per_second=1) as progress,
    ):
        bar = progress.add_task("", total=sum(case.steps(plan) for case in cases))
        for case in cases:
            progress.update(bar, description=case.name)
            outcomes.append(case.run(stage, plan, lambda: progress.advance(bar)))
            print_outcome(console, outcomes[-1])
    return outcomes


def main() -> int:
    """Runs; the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen = parse()
    if not sys.platform.startswith("linux"):
        console.print("the benchmark reads /proc and pins processes to cores: it needs Linux")
        return 2
    plan, cores = plan_of(chosen), Cores.choose()
    os.sched_setaffinity(0, {cores.spare})
    if cores.shared:
        console.print("[yellow]one core only: node and load share it, so no figure means much[/]")
    cases = [case for case in CASES if not chosen.only or case.name in chosen.only]
    try:
        outcomes = run_cases(cases, plan, cores, console)
    except (StartError, OSError) as error:
        console.print(f"cannot measure: {error}", style="bold red", markup=False)
        return 2
    print_targets(console, outcomes)
    file = chosen.json or RESULTS / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    write_json(make_report(plan, outcomes), file)
    console.print(f"figures: {file}", highlight=False)
    missed = any(not target.met for outcome in outcomes for target in outcome.targets)
    return 1 if missed and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
