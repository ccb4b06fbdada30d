"""What a handler may know of the call that it answers."""

from __future__ import annotations

import time
from contextvars import ContextVar

_current: ContextVar[Call] = ContextVar("lambdamesh_call")


class Call:
    """The call that is being answered. ``deadline_at`` is in seconds of ``time.monotonic()``, ``None`` for none.

    ``ray`` is its trace id, ``traceparent`` that of W3C Trace Context or ``None``, ``sub`` who called through a
    public door. ``wants_stream`` is whether the caller takes items one by one. ``is_over`` turns true when it was
    answered, ``cancelled`` when nobody waits for it any more: a handler in a thread looks at it, an async one gets a
    ``CancelledError``.
    """

    __slots__ = (
        "cancelled",
        "deadline_at",
        "is_over",
        "lambda_id",
        "method",
        "ray",
        "sub",
        "traceparent",
        "wants_stream",
    )

    def __init__(self, lambda_id: str, method: str) -> None:
        self.lambda_id = lambda_id
        self.method = method
        self.ray = ""
        self.traceparent: str | None = None
        self.sub: str | None = None
        self.deadline_at: float | None = None
        self.wants_stream = False
        self.cancelled = self.is_over = False

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, never below 0; ``None`` where there is none."""
        return None if self.deadline_at is None else max(self.deadline_at - time.monotonic(), 0.0)


def current() -> Call:
    """Return the call that the running handler answers.

    Raises:
        LookupError: no handler is running here.
    """
    call = _current.get(None)
    if call is None:
        raise LookupError("no call is being answered here: lambdamesh.current() is for handlers")
    return call


def enter(call: Call) -> None:
    """Say in this context which call it answers."""
    _current.set(call)


def running() -> Call | None:
    """Return the call that is being answered here; ``None`` where there is none, or it has been answered."""
    call = _current.get(None)
    return None if call is None or call.is_over else call
