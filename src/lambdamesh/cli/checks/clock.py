"""The wall clock, against what was written by it before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.cli.output import age_text

CHECK = "clock"
AHEAD_S = 60.0
"""A node writes floors that are seconds ahead of its clock; further ahead they were written by another one."""
EPOCH_S = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""Ids count from here."""
FIX = "sudo timedatectl set-ntp true"


def clock(around: Surroundings) -> Iterator[Finding]:
    """Whether the clock was set back since ids were last minted here, or has never been set."""
    now_s = around.unix_s()
    shown = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
    if now_s < EPOCH_S:
        yield Finding(CHECK, State.WRONG, f"it says {shown}, which is before all ids", FIX)
        return
    ahead_s = max(_floors_s(around), default=0.0) - now_s
    if ahead_s > AHEAD_S:
        what = (
            f"it says {shown}, and ids of this node are {age_text(ahead_s)} ahead of it: it was set back, or was wrong "
            "when they were made; new ids go on from there, and their times are wrong"
        )
        yield Finding(CHECK, State.WARNING, what, FIX)
    else:
        yield Finding(CHECK, State.OK, f"it says {shown}")


def _floors_s(around: Surroundings) -> Iterator[float]:
    """The Unix times under which the ids of each worker lie."""
    for path in around.state.glob("floor-*"):
        try:
            text = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdecimal():
            yield int(text) / 1000
