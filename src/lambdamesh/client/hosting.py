"""A lambda of ours as the session sees it: its key, the calls that it is answering, the answers that wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from lambdamesh.client.context import Call

if TYPE_CHECKING:
    from asyncio import Task

    from lambdamesh.client.session import Session


class End(NamedTuple):
    """Why a lambda has ended for good. ``code`` is the close code that a socket of its own would have got."""

    code: int
    reason: str


class Hosted:
    """One lambda. ``handlers`` are by method; ``is_seated`` is whether the node sends its calls to this socket now.

    ``grace_s`` is what is asked for, ``None`` for the node's own, and ``given_s`` what the node gave.
    ``calls`` are those that a handler runs for, ``kept`` the answers of those that could not be sent, by number.
    """

    __slots__ = ("calls", "end", "given_s", "grace_s", "handlers", "id", "is_seated", "kept", "key", "on_end")

    def __init__(self, handlers: dict[str, Any], grace_s: float | None) -> None:
        self.id = ""
        self.key = ""
        self.grace_s = grace_s
        self.given_s = 0.0
        self.handlers = handlers
        self.is_seated = False
        self.calls: dict[int, Served] = {}
        self.kept: dict[int, bytes] = {}
        self.end: End | None = None
        self.on_end: Callable[[], None] = lambda: None

    def unanswered(self) -> list[int]:
        """The numbers of the calls that it can still answer."""
        return sorted((*self.calls, *self.kept))


class Served(Call):
    """One call of a lambda of ours, until it was answered.

    ``number`` is 0 for a notification. ``credit`` is how many items may be sent. ``stop`` ends its handler, ``task`` is
    what runs it on the event loop, if that does; ``more`` tells it that there is credit again.
    """

    __slots__ = ("credit", "hosted", "more", "number", "session", "stop", "task", "wire_id")

    def __init__(self, session: Session, hosted: Hosted, method: str) -> None:
        # One is made for each call: what ``Call`` would set is set here, which costs less than to ask it.
        self.lambda_id = hosted.id
        self.method = method
        self.deadline_at = None
        self.wants_stream = self.cancelled = self.is_over = False
        self.session = session
        self.hosted = hosted
        self.number = 0
        self.wire_id = b""
        self.credit = 0
        self.task: Task[None] | None = None
        self.stop: Callable[[Served], object] = _nothing
        self.more: Callable[[], object] = _nothing

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.number == 0

    def result(self, raw: bytes) -> None:
        """Answer with a result, JSON text."""
        self.session.answer(self, raw, False)

    def error(self, raw: bytes) -> None:
        """Answer with an error object, JSON text."""
        self.session.answer(self, raw, True)

    def item(self, raw: bytes) -> None:
        """Send one item; there must be credit."""
        self.credit -= 1
        self.session.send_item(self, raw)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.cancelled = self.is_over = True
        self.stop(self)


def _nothing(_served: object = None) -> None:
    """Stand in until a handler runs."""
