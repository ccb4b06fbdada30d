"""Runs a command that needs an event loop, until it is done or somebody ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

THREADS_S = 2.0
"""How long functions that run in threads have to end before the process ends without them."""
_THREADS = "lambdamesh"
_ENDING = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on a loop of its own, that of the node where it is to be had."""
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(work)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@contextlib.contextmanager
def ending() -> Iterator[asyncio.Event]:
    """An event that ctrl-C or SIGTERM sets; a second one ends the program as it would without us."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def stop() -> None:
        asked.set()
        restore()

    def restore() -> None:
        for number in _ENDING:
            loop.remove_signal_handler(number)

    for number in _ENDING:
        loop.add_signal_handler(number, stop)
    try:
        yield asked
    finally:
        restore()


def leave_threads(exit_code: int) -> int:
    """Return ``exit_code``; or end the process with it, where a function of the user's goes on in a thread.

    A thread cannot be cancelled, and Python would wait for it as long as it takes.
    """
    ends_at = time.monotonic() + THREADS_S
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
    for thread in threads:
        thread.join(max(ends_at - time.monotonic(), 0.0))
    if any(thread.is_alive() for thread in threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    return exit_code
