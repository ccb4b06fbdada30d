"""Starting a crowd of lambdas against a subject."""

import contextlib

import msgspec

from bench.load.crowd import Crowd, CrowdSpec, Left
from bench.processes import PYTHON, Child
from bench.stage import SMALL, Stage, Subject

AT_ONCE = 64


def gather(stage: Stage, exits: contextlib.ExitStack, subject: Subject, count: int) -> tuple[Child, Crowd]:
    """Opens the lambdas; the process that holds them, and what opening them took."""
    holder = stage.child(exits, "crowd", [PYTHON, "-m", "bench.load.crowd"], stage.cores.load)
    holder.tell(msgspec.json.encode(CrowdSpec(subject.port, count, AT_ONCE, subject.process.pid)))
    return holder, msgspec.convert(holder.wait_for("opened", 120), Crowd)


def warm_up(stage: Stage, subject: Subject) -> None:
    """A few lambdas come and go, so that what is loaded or allocated once is not counted."""
    with contextlib.ExitStack() as exits:
        holder, crowd = gather(stage, exits, subject, 100)
        subject.wait_for_count(100)
        answers(subject, crowd.sample_ids[0])
        dismiss(holder)
    subject.wait_for_count(0)


def answers(subject: Subject, lambda_id: str) -> bool:
    """Whether the lambda is really there."""
    return subject.ask("POST", f"/lambda/{lambda_id}/test", SMALL) == (200, SMALL.encode())


def dismiss(holder: Child) -> Left:
    """Closes the lambdas."""
    holder.end_input()
    return msgspec.convert(holder.wait_for("closed", 60), Left)
