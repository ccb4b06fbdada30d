"""What ``on_state`` was told, to be waited for."""

from __future__ import annotations

import asyncio

from lambdamesh import State


class States:
    """An ``on_state`` that remembers."""

    def __init__(self) -> None:
        self.seen: list[State] = []
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, state: State) -> None:
        self.seen.append(state)
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def wait(self, state: State, count: int = 1, within_s: float = 20.0) -> None:
        """Wait until ``state`` was told ``count`` times."""
        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(lambda: self.seen.count(state) >= count)
