"""`python -m tests.faults` makes calls through three nodes while everything breaks, and judges the answers.

Ends with 0 if the promise was kept, with 1 if not. ``--keep`` leaves the ledgers and logs where it says.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults.run import report, run
from tests.faults.seeds import seed_of_run
from tests.faults.stage import StageSpec

LINE_S = 10
"""Every so many looks a line is printed where there is no terminal."""


class Progress:
    """A line that is written over on a terminal; elsewhere a new one now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._looks = 0

    def __call__(self, done: int, wanted: int, broken: str) -> None:
        self._looks += 1
        line = f"{done:>9} of {wanted} calls  {broken}"
        if self._is_terminal:
            print(f"\r{line[:118]:<118}", end="", flush=True)
        elif self._looks % LINE_S == 1:
            print(line, flush=True)

    def end(self) -> None:
        if self._is_terminal:
            print()


def _terminated(_number: int, _frame: object) -> None:
    raise SystemExit("terminated")


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="how many calls (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the schedule of a run (default: a new one)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of each node (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=StageSpec.rate, help="calls a second (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=None, help="an empty directory for ledgers and logs")
    given = parser.parse_args()
    spec = StageSpec(given.seed if given.seed is not None else seed_of_run(), given.workers, rate=given.rate)
    print(f"seed {spec.seed}", flush=True)
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="lambdamesh-faults-") as folder:
        if given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
        outcome = run(given.keep or Path(folder), spec, given.calls, progress)
    progress.end()
    print(report(outcome, spec), flush=True)
    return 0 if outcome.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
