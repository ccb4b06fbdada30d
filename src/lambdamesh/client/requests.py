"""One request to the node, from the moment it is asked until its one outcome."""

from __future__ import annotations

import asyncio
from math import inf
from typing import NamedTuple

import msgspec

from lambdamesh.client.patience import Patience
from lambdamesh.errors import MeshError

SLACK_S = 0.25
"""How long after its deadline a request that was sent still waits: the node knows better what became of it."""


class Terms(NamedTuple):
    """What a request asks for beside its body. ``timeout_s`` ``None``: the node's own, taken for 60 s here.

    ``credit`` is how many items a stream may send unasked; 0: it is none.
    """

    timeout_s: float | None = None
    credit: int = 0
    traceparent: str | None = None


DEFAULT_TIMEOUT_S = 60.0
PLAIN = Terms()


class Request:
    """A request; subclasses say what becomes of its outcome.

    ``head`` is everything of the message from ``"method"`` up to the body, ``tail`` what closes the params.
    ``number`` is 0 until it was sent. ``patience`` is ``None`` until it was refused in a way that passes.
    """

    __slots__ = ("body", "deadline_at", "head", "number", "patience", "tail", "terms")

    def __init__(self, head: bytes, body: bytes, terms: Terms, now: float, tail: bytes = b"]") -> None:
        self.head = head
        self.body = body
        self.tail = tail
        self.terms = terms
        self.number = 0
        self.patience: Patience | None = None
        timeout_s = terms.timeout_s
        self.deadline_at = now + (DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s)

    def message(self, number: int, now: float) -> bytes:
        """Write the message that asks it. ``now`` is monotonic seconds."""
        self.number = number
        if self.terms is PLAIN and self.patience is None:
            return b'{"jsonrpc":"2.0","id":%d,%b%b%b}' % (number, self.head, self.body, self.tail)
        meta = self._meta(now)
        return b'{"jsonrpc":"2.0","id":%d,%b%b%b,"meta":{%b}}' % (number, self.head, self.body, self.tail, meta)

    def _meta(self, now: float) -> bytes:
        timeout_s, credit, traceparent = self.terms
        parts = []
        if timeout_s is not None or self.patience is not None:
            parts.append(b'"timeout_ms":%d' % max(round(self._left_s(now) * 1000), 1))
        if credit:
            parts.append(b'"stream":true,"credit":%d' % credit)
        if traceparent:
            parts.append(b'"traceparent":' + msgspec.json.encode(traceparent))
        return b",".join(parts)

    def _left_s(self, now: float) -> float:
        """How long the node is to wait."""
        return self.deadline_at - now

    @property
    def is_repeatable(self) -> bool:
        """Whether it is asked again where it was refused before anybody was given it."""
        return False

    def result(self, raw: bytes) -> None:
        """It ended well; ``raw`` is JSON text."""

    def item(self, raw: bytes, now: float) -> None:
        """One value of a stream."""

    def fault(self, error: MeshError) -> None:
        """It ended in ``error``."""

    def overdue(self, now: float) -> bool:
        """Whether the deadline that has passed ends it."""
        return True


class AwaitedRequest(Request):
    """A request that a coroutine waits for: ``outcome`` is its result as JSON text, or its error."""

    __slots__ = ("outcome",)

    def __init__(self, head: bytes, body: bytes, terms: Terms, now: float, tail: bytes = b"]") -> None:
        super().__init__(head, body, terms, now, tail)
        self.outcome: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def result(self, raw: bytes) -> None:
        """It ended well."""
        if not self.outcome.done():
            self.outcome.set_result(raw)

    def fault(self, error: MeshError) -> None:
        """It ended in ``error``."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class CallRequest(AwaitedRequest):
    """A call of a lambda."""

    __slots__ = ()
    is_repeatable = True


def check_timeout(timeout_s: float | None) -> None:
    """Raise: ValueError where ``timeout_s`` is no time that can be waited."""
    if timeout_s is not None and not 0 < timeout_s < inf:
        raise ValueError(f"timeout={timeout_s} is no number of seconds above 0; a node waits for an hour at most")
