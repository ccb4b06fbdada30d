"""The threads in which functions run that are not async: so many and no more, with a bounded queue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

DEFAULT_THREADS = 32
"""Threads where nobody says; each is made when it is first needed."""
QUEUED_CALLS = 1024
"""Calls that may wait for a thread."""


class Threads:
    """A bounded pool. It is made when it is first needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: ThreadPoolExecutor | None = None
        self._taken = 0
        self._is_closed = False

    def run(self, work: Callable[[], None]) -> bool:
        """Have ``work`` run in a thread; ``False`` where too much waits already. ``done`` follows each."""
        if self._is_closed or self._taken >= self._size + QUEUED_CALLS:
            return False
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="lambdamesh")
        self._taken += 1
        try:
            self._pool.submit(work)
        except RuntimeError:
            # The system has no thread to give. The pool has kept the work, and runs it when one of its own is free.
            return False
        return True

    def done(self) -> None:
        """One piece of work has ended (in the thread of the event loop)."""
        self._taken -= 1

    def close(self) -> None:
        """Take nothing more; what was taken runs to its end."""
        self._is_closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=False)
