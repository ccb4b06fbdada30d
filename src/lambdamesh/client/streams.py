"""A stream as its reader sees it: items by credit, granted as they are taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from lambdamesh.client.requests import DEFAULT_TIMEOUT_S, SLACK_S, Request, Terms
from lambdamesh.client.session import Session
from lambdamesh.client.values import decode_plain
from lambdamesh.errors import MeshError

CREDIT = 16
"""Items that may be sent unasked."""
_GRANT = CREDIT // 2


class StreamRequest(Request):
    """The side of the session: items that have come and were not taken, and how the stream ended."""

    __slots__ = ("ending", "has_begun", "items", "last", "waiter")

    def __init__(self, head: bytes, body: bytes, terms: Terms, now: float) -> None:
        super().__init__(head, body, terms, now)
        self.items: deque[bytes] = deque()
        self.has_begun = False
        self.ending: MeshError | None = None
        self.last: bytes | None = None
        self.waiter: asyncio.Future[None] | None = None

    def _left_s(self, now: float) -> float:
        """Its deadline is a silence: however long the first item took to ask for, each later one has all of it."""
        return DEFAULT_TIMEOUT_S if self.terms.timeout_s is None else self.terms.timeout_s

    @property
    def is_repeatable(self) -> bool:
        """Before its first item."""
        return not self.has_begun

    def result(self, raw: bytes) -> None:
        """It has ended well."""
        self.last = raw
        self.wake()

    def item(self, raw: bytes, now: float) -> None:
        """One value; the deadline is the longest silence between two."""
        self.items.append(raw)
        self.has_begun = True
        self._restart(now)
        self.wake()

    def fault(self, error: MeshError) -> None:
        """It has ended in an error."""
        self.ending = error
        self.wake()

    def overdue(self, now: float) -> bool:
        """A silence that its own reader is the cause of does not end it."""
        if self.items:
            self._restart(now)
            return False
        return True

    def _restart(self, now: float) -> None:
        timeout_s = self.terms.timeout_s
        self.deadline_at = now + (DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s) + SLACK_S

    def wake(self) -> None:
        """Have its reader look again."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Stream:
    """The items of one call, for ``async for``. Whoever stops reading cancels the call at its provider.

    ``result`` is what the provider returned after the last item; ``None`` before.
    """

    def __init__(self, session: Session, start: Callable[[], StreamRequest], decode: Callable[[bytes], Any]) -> None:
        self._session = session
        self._start = start
        self._decode = decode
        self._loop = asyncio.get_running_loop()
        self._request: StreamRequest | None = None
        self._taken = 0
        self._is_over = False
        self.result: Any = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Return the next item. Raises: CallError where the stream ended in one."""
        request = self._request
        if request is None and not self._is_over:
            self._request = request = self._start()
        if request is None or self._is_over:
            raise StopAsyncIteration
        if request.waiter is not None:
            raise RuntimeError("this stream is being read already: each item has one reader")
        while not request.items:
            if request.ending is not None:
                self._is_over = True
                raise request.ending
            if request.last is not None:
                self._is_over = True
                self.result = decode_plain(request.last)
                raise StopAsyncIteration
            await self._wait(request)
            if self._is_over:
                raise StopAsyncIteration
        item = request.items.popleft()
        self._taken += 1
        if self._taken >= _GRANT:
            self._session.grant(request, self._taken)
            self._taken = 0
        return self._decode(item)

    async def _wait(self, request: StreamRequest) -> None:
        request.waiter = self._loop.create_future()
        try:
            await request.waiter
        except asyncio.CancelledError:
            self._stop()
            raise
        finally:
            request.waiter = None

    async def aclose(self) -> None:
        """Read no more: cancel the call at its provider."""
        self._stop()

    def _stop(self) -> None:
        self._is_over = True
        if self._request is not None:
            self._session.withdraw(self._request)
            self._request.wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __del__(self) -> None:
        request = getattr(self, "_request", None)
        if request is not None and not self._is_over:
            # Whoever leaves the loop early lets go of it, perhaps in another thread.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._session.withdraw, request)
