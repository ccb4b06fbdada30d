"""What a check has found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How bad it is: ``wrong`` keeps a node from doing what it is told to."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``fix`` is what to type, or to do; ``None`` where there is nothing to mend."""

    check: str
    state: State
    what: str
    fix: str | None = None


def told(check: str, text: str, state: State = State.WRONG) -> Finding:
    """A finding from a sentence of the node's own, which names the remedy behind its last colon."""
    what, colon, fix = text.rpartition(": ")
    return Finding(check, state, what if colon else text, fix if colon else None)
