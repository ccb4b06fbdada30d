"""Which ids have closed lately, and which stay deleted."""

from __future__ import annotations

from typing import Protocol

from lambdamesh.core.limits import Limits
from lambdamesh.ids import parse_lambda_id

_NEVER = (0.0, 0, 0.0)


class Tombstones(Protocol):
    """Ids that stay deleted, over restarts too."""

    def bury(self, lambda_id: bytes, until_s: float) -> None:
        """Remember ``lambda_id`` as deleted until a Unix time."""

    def holds(self, lambda_id: bytes) -> bool:
        """Whether ``lambda_id`` is deleted."""


class Closed:
    """The memory of one worker. Times named ``now`` are monotonic seconds, ``now_ms`` Unix milliseconds."""

    __slots__ = ("_gone", "_limits", "_tombstones")

    def __init__(self, limits: Limits, tombstones: Tombstones) -> None:
        self._limits = limits
        self._tombstones = tombstones
        self._gone: dict[bytes, tuple[float, int, float]] = {}
        """Until when a closed id is remembered, the number of its last call, and until when it may be on its way back.
        """

    def remember(self, text: bytes, last_number: int, now: float, *, may_return: bool = False) -> None:
        """``text`` has closed; as many are remembered as may be.

        ``may_return``: it was not closed by anybody, its holder has died.
        """
        gone = self._gone
        gone.pop(text, None)
        back_until = now + self._limits.recovering_s if may_return else 0.0
        gone[text] = (now + self._limits.gone_ttl_s, last_number, back_until)
        while gone:
            oldest = next(iter(gone))
            if len(gone) <= self._limits.gone_ids and gone[oldest][0] > now:
                return
            del gone[oldest]

    def forget(self, text: bytes) -> None:
        """It lives again."""
        self._gone.pop(text, None)

    def holds(self, text: bytes, now: float) -> bool:
        """Whether it is known to have closed."""
        if self._tombstones.holds(text):
            return True
        return self._gone.get(text, _NEVER)[0] > now

    def may_return(self, text: bytes, now: float) -> bool:
        """Whether its provider may be about to re-open it, wherever it can."""
        return self._gone.get(text, _NEVER)[2] > now and not self._tombstones.holds(text)

    def is_deleted(self, text: bytes) -> bool:
        """Whether no key opens it again."""
        return self._tombstones.holds(text)

    def bury(self, text: bytes, now_ms: int) -> None:
        """It is deleted: remember that for as long as a key of it may be valid."""
        self._tombstones.bury(text, now_ms / 1000 + self._limits.resume_key_ttl_s)

    def last_number(self, text: bytes, now_ms: int) -> int:
        """Return a number that no call of an earlier life of this lambda had: an answer that is late is to none.

        Of a life that is not remembered only its longest time is known: it had fewer calls than microseconds.
        """
        remembered = self._gone.pop(text, None)
        return remembered[1] if remembered is not None else max(now_ms - parse_lambda_id(text).unix_ms, 0) * 1000
