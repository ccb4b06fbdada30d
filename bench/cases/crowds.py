"""Starting a crowd of lambdas against a subject."""

import contextlib

import msgspec

from bench.load.crowd import Crowd, CrowdSpec, Left
from bench.processes import PYTHON, Child
from bench.stage import Stage, Subject

AT_ONCE = 64


def gather(stage: Stage, exits: contextlib.ExitStack, subject: Subject, count: int) -> tuple[Child, Crowd]:
    """Opens the lambdas; the process that holds them, and what opening them took."""
    holder = stage.child(exits, "crowd", [PYTHON, "-m", "bench.load.crowd"], stage.cores.load)
    holder.tell(msgspec.json.encode(CrowdSpec(subject.port, count, AT_ONCE, subject.process.pid)))
    return holder, msgspec.convert(holder.wait_for("opened", 120), Crowd)


def dismiss(holder: Child) -> Left:
    """Closes the lambdas."""
    holder.end_input()
    return msgspec.convert(holder.wait_for("closed", 60), Left)
