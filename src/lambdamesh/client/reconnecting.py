"""When to connect again: pure rules about closes, refusals, pauses and silence."""

from __future__ import annotations

from enum import Enum, auto
from math import inf

from lambdamesh.errors import CLOSE_CODES, MeshError
from lambdamesh.protocol.faults import fault

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
SETTLED_S = 1.0
"""A connection that was open for this long was one: the next pause is short again."""
LEAST_CAP_S = 1.0
"""What may be waited however short the grace of a lambda is."""
FIRST_ATTEMPTS = 3
"""Attempts after which a connection that was never open is given up."""
SILENCE_S = 15.0
"""Silence after which the node is asked whether it is there."""
PATIENCE_S = 8.0
"""Silence after that question, at the end of which it is not."""


class Verdict(Enum):
    """What the end of a connection means."""

    RETRY = auto()
    NEW_TICKET = auto()
    FINAL = auto()


_FINAL_CODES = range(4400, 4500)
_NOT_OUR_LANGUAGE = (1002, 1003, 1007, 1008, 1010)
_VERDICTS = {4401: Verdict.NEW_TICKET, 4408: Verdict.RETRY, 4429: Verdict.RETRY} | dict.fromkeys(
    _NOT_OUR_LANGUAGE, Verdict.FINAL
)
_PASSING_STATUSES = frozenset({408, 425, 429})
_TICKET_STATUSES = frozenset({401})


def verdict_of_close(code: int) -> Verdict:
    """What a WebSocket close code asks for."""
    return _VERDICTS.get(code) or (Verdict.FINAL if code in _FINAL_CODES else Verdict.RETRY)


def verdict_of_status(status: int) -> Verdict:
    """What an HTTP status in place of the 101 asks for."""
    if status in _TICKET_STATUSES:
        return Verdict.NEW_TICKET
    return Verdict.FINAL if 400 <= status < 500 and status not in _PASSING_STATUSES else Verdict.RETRY


_CLOSE_ERRORS: dict[int, tuple[int, str]] = {
    1008: (403, "forbidden"),
    4401: (401, "unauthorized"),
    4403: (403, "forbidden"),
    4404: (404, "not_found"),
    4409: (410, "lambda_gone"),
    4410: (410, "lambda_gone"),
}


def close_error(code: int, reason: str) -> MeshError:
    """Return the error of a final close, for everybody who waits."""
    is_passing = verdict_of_close(code) is Verdict.RETRY
    status, word = _CLOSE_ERRORS.get(code, (502, "peer_unreachable") if is_passing else (400, "bad_request"))
    meaning = reason or CLOSE_CODES.get(code, "closed")
    return fault(status, word, f"the node closed the connection for good with {code}: {meaning}", "no")


class Backoff:
    """Pauses between attempts: full jitter below a bound that doubles from 0.2 s to 30 s."""

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, chance: float, awaited_s: float = inf) -> float:
        """Return how long to wait before the next attempt; ``chance`` is drawn from 0 to 1.

        ``awaited_s`` is how long calls wait for us: half of it may be waited, or 1 s.
        """
        cap_s = max(awaited_s / 2, LEAST_CAP_S)
        bound_s: float = min(LONGEST_PAUSE_S, cap_s, FIRST_PAUSE_S * 2 ** min(self._failures, 16))
        self._failures += 1
        return chance * bound_s

    def lasted(self, seconds: float) -> None:
        """Tell it how long a connection was open. One that ends as soon as it is open is as bad as none."""
        if seconds >= SETTLED_S:
            self._failures = 0


class Step(Enum):
    """What to do about a silence."""

    WAIT = auto()
    PING = auto()
    CUT = auto()


class Vigil:
    """Notices a dead connection: a ping after a silence, an end after a longer one."""

    __slots__ = ("_patience_s", "_pinged_at", "_silence_s")

    def __init__(self, silence_s: float = SILENCE_S, patience_s: float = PATIENCE_S) -> None:
        self._silence_s = silence_s
        self._patience_s = patience_s
        self._pinged_at: float | None = None

    def look(self, heard_at: float, now: float) -> tuple[Step, float]:
        """Return what to do now, and in how many seconds to look again. Times are monotonic seconds."""
        if self._pinged_at is not None and heard_at >= self._pinged_at:
            self._pinged_at = None
        if self._pinged_at is not None:
            left_s = self._pinged_at + self._patience_s - now
            return (Step.WAIT, left_s) if left_s > 0 else (Step.CUT, 0.0)
        left_s = heard_at + self._silence_s - now
        if left_s > 0:
            return Step.WAIT, left_s
        self._pinged_at = now
        return Step.PING, self._patience_s
