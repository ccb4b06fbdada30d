"""A supervisor whose workers are no processes: the test says and hears what a worker would."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from lambdamesh.workers.channel import Channel
from lambdamesh.workers.words import Order, Ready

WAIT_S = 5.0


class FakeWorker:
    """Stands for ``subprocess.Popen``. ``orders`` are those that it was given; it closes what came with them.

    ``sizes`` are those of the files that came with each: sockets have none.
    """

    def __init__(self, crew: FakeCrew, arguments: list[str], **how: Any) -> None:
        self.arguments = arguments
        self.how = how
        self.pid = 0
        self.orders: list[Order] = []
        self.sizes: list[list[int]] = []
        self.returncode: int | None = None
        self._crew = crew
        sock = socket.socket(fileno=os.dup(int(arguments[-1])))
        self.channel: Channel[Order] = Channel(sock, Order, self._heard, lambda: None)

    def _heard(self, order: Order, fds: list[int]) -> None:
        self.sizes.append([os.fstat(fd).st_size for fd in fds])
        for fd in fds:
            os.close(fd)
        self.orders.append(order)
        self._crew.news.set()

    def of(self, kind: type) -> list[Any]:
        """The orders of one kind."""
        return [order for order in self.orders if isinstance(order, kind)]

    def ready(self) -> None:
        self.channel.say(Ready())

    def end(self, code: int) -> None:
        """The process is over."""
        self.returncode = code
        self.channel.close()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int:
        assert self.returncode is not None, "it would wait for a process that runs"
        return self.returncode

    def kill(self) -> None:
        self.end(-signal.SIGKILL)


class FakeCrew:
    """All workers that were started, the last ones last. ``refusals`` are raised in the place of the next starts."""

    def __init__(self) -> None:
        self.started: list[FakeWorker] = []
        self.refusals: list[OSError] = []
        self.news = asyncio.Event()

    def start(self, arguments: list[str], **how: Any) -> FakeWorker:
        """Stand for ``subprocess.Popen``."""
        if self.refusals:
            raise self.refusals.pop(0)
        self.started.append(FakeWorker(self, arguments, **how))
        return self.started[-1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something happens that makes ``condition`` true."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                try:
                    await asyncio.wait_for(self.news.wait(), 0.02)
                except TimeoutError:
                    continue
                self.news.clear()
