"""An event loop in a thread of its own, for those who have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from lambdamesh.client.faults import CLOSED, ClientClosed

RUNNING_OUT_S = 5.0
"""How long what was cancelled may take to end."""

T = TypeVar("T")


class LoopThread:
    """A running event loop. ``run`` and ``close`` may be called from any thread but its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="lambdamesh loop", daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._run_out())
            self._loop.close()

    async def _run_out(self) -> None:
        """Cancel what still runs: somebody waits for each in another thread."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=RUNNING_OUT_S)
        await self._loop.shutdown_asyncgens()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the loop and return what it returns.

        Raises:
            RuntimeError: this is the loop's own thread, which would wait for itself.
            ClientClosed: the loop has ended, before or meanwhile.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("an async handler cannot use the blocking API: use the async one, which is mesh.aio")
        with self._lock:
            if self._is_closed:
                work.close()
                raise ClientClosed(CLOSED)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed(CLOSED, delivered="unknown") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and whatever runs in it, and wait until it has ended."""
        with self._lock:
            if not self._is_closed:
                # What was given to the loop before has begun when it stops, and is cancelled then.
                self._is_closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()
