"""Runs a generator that is not async: in a thread as far as its credit goes, and in none while it waits for more."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from lambdamesh.client import context
from lambdamesh.client.handlers import Handler, Items, encode_item, encode_return
from lambdamesh.client.hosting import Served
from lambdamesh.client.signatures import Arguments
from lambdamesh.protocol.json_text import NULL

_UNBOUNDED = 1 << 62


class Threading(Protocol):
    """Who runs a pump's steps and is told how it ended."""

    def in_thread(self, served: Served, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread."""

    def back(self, then: Callable[[], None]) -> None:
        """From that thread, at its end: go on with ``then`` on the event loop."""

    def send_soon(self, served: Served, raw: bytes) -> None:
        """From that thread: send an item."""

    def succeed(self, served: Served, raw: bytes) -> None:
        """It has ended well."""

    def fail(self, served: Served, raised: BaseException) -> None:
        """It has raised."""


class Pump:
    """One generator. Its steps never overlap, though each may be in another thread."""

    def __init__(self, server: Threading, served: Served, handler: Handler, arguments: Arguments) -> None:
        self._server = server
        self._served = served
        self._handler = handler
        self._arguments = arguments
        self._items: Iterator[Any] | None = None
        self._gathered = None if served.wants_stream else Items(handler)
        self._returned = NULL
        self._is_running = False
        self._inside = contextvars.copy_context()
        self._inside.run(context.enter, served)
        served.more = self.advance
        served.stop = lambda _served: self.advance()

    def advance(self) -> None:
        """Go on if there is credit, or if there is a generator to be closed."""
        served = self._served
        if self._is_running or (served.cancelled and self._items is None):
            return
        if served.cancelled or self._gathered is not None or served.credit > 0:
            self._is_running = True
            count = _UNBOUNDED if self._gathered is not None else served.credit
            self._server.in_thread(served, lambda: self._step(count))

    def _step(self, count: int) -> None:
        try:
            # The context is left before the loop is told: the next step may enter it at once, in another thread.
            is_done = self._inside.run(self._take, count)
        except BaseException as error:
            raised = error
            self._server.back(lambda: self._server.fail(self._served, raised))
            return
        self._server.back(self._finished if is_done else self._paused)

    def _take(self, count: int) -> bool:
        """Take up to ``count`` items; return whether the generator has ended."""
        if self._items is None:
            self._items = iter(self._handler.function(*self._arguments[0], **self._arguments[1]))
        try:
            for _ in range(count):
                if self._served.cancelled:
                    return self._close()
                try:
                    value = next(self._items)
                except StopIteration as stop:
                    self._end(stop.value)
                    return True
                self._give(value)
        except BaseException:
            self._close()
            raise
        return self._close() if self._served.cancelled else False

    def _give(self, value: Any) -> None:
        if self._gathered is not None:
            self._gathered.add(value)
        else:
            self._server.send_soon(self._served, encode_item(self._handler, value))

    def _end(self, returned: Any) -> None:
        if self._gathered is None:
            self._returned = encode_return(self._handler, returned)

    def _close(self) -> bool:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        return True

    def _paused(self) -> None:
        self._is_running = False
        self.advance()

    def _finished(self) -> None:
        self._server.succeed(self._served, self._returned if self._gathered is None else self._gathered.array())
