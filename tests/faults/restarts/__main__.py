"""Roll through a mesh for as long as one likes: ``python -m tests.faults.restarts --rounds 20 --directory nats``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.restarts.rolling import NODES, Size, roll, trio_in


def main() -> int:
    """Do as the command line says; 1 where a promise was broken."""
    size = Size()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.restarts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=size.rounds, help="restarts of each node")
    parser.add_argument("--lambdas", type=int, default=size.lambdas, help="lambdas of all nodes together")
    parser.add_argument("--rate", type=float, default=size.rate, help="calls a second of all callers together")
    parser.add_argument("--work", type=float, default=size.work_s, help="seconds that each call takes its lambda")
    parser.add_argument("--directory", choices=("peers", "nats"), default="peers")
    parser.add_argument("--callers", choices=("client", "http"), default="client")
    given = parser.parse_args()
    size = Size(given.lambdas, given.rate, given.work, given.rounds)
    with tempfile.TemporaryDirectory() as folder, trio_in(Path(folder), by_nats=given.directory == "nats") as trio:
        began_at = time.monotonic()
        account = roll(trio, Path(folder), size, is_bare=given.callers == "http")
        took_s = time.monotonic() - began_at
    print(
        f"{size.rounds * NODES} restarts, {account.calls} calls in {took_s:.1f} s ({account.calls / took_s:.0f} a second), "
        f"{len(account.failures)} failed, the slowest took {account.slowest_s:.2f} s"
    )
    try:
        account.check(least_calls=1)
    except AssertionError as broken:
        print(broken, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
