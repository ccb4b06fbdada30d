"""Listening sockets, and their end."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.wheel import Wheel
from lambdamesh.door.listening import BACKLOG, Listener, Population


class Newcomer:
    """A connection on which nobody speaks."""

    def setblocking(self, _flag: bool) -> None:
        pass

    def close(self) -> None:
        pass


class Flooded:
    """A listening socket that has always one more newcomer."""

    family = socket.AF_UNIX

    def __init__(self) -> None:
        self._socket, self._other = socket.socketpair()
        self._other.send(b"somebody is there")
        self.accepted = 0

    def listen(self, _backlog: int) -> None:
        pass

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> tuple[Newcomer, str]:
        self.accepted += 1
        assert self.accepted < 100 * BACKLOG, "it goes on for ever"
        return Newcomer(), ""

    def close(self) -> None:
        self._socket.close()
        self._other.close()


async def _attach(*_of: object) -> None:
    pass


async def test_a_flood_does_not_keep_a_door_from_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "_attach", _attach)
    now = time.monotonic()
    flooded: Any = Flooded()
    population = Population(10**9, Counters(), Wheel(0.01, now), Clock(now, 0))
    listener = Listener(flooded, population, lambda _peer: asyncio.Protocol())
    listener.resume()
    await listener.finish()
    assert BACKLOG <= flooded.accepted <= 8 * BACKLOG, "whoever was in the queue is taken, and no endless row of others"
    assert flooded.fileno() == -1
