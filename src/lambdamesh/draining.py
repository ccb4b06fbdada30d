"""The end of a node, or of a worker of it: nothing new is taken, what runs may end, sockets close in turn."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from lambdamesh.core.registry import Registry
from lambdamesh.door.door import Door
from lambdamesh.door.listening import Listener, Population
from lambdamesh.errors import Draining
from lambdamesh.links.links import Links
from lambdamesh.measures import calls_in_flight

log = structlog.get_logger(__name__)

_LOOK_S = 0.02
_CLOSE_PAUSE_S = 0.01
_NOTICE_S = 2.0
"""How long callers may take to answer that they know that the node goes down."""


class Calls:
    """The calls that a drain waits for."""

    def __init__(self, registry: Registry, links: Links | None) -> None:
        self._registry = registry
        self._links = links

    def in_flight(self) -> int:
        """Count those of lambdas that are held here, and those that entered or passed here."""
        passing = 0 if self._links is None else self._links.calls_in_flight()
        return calls_in_flight(self._registry) + passing


async def drain(
    door: Door, listeners: Sequence[Listener], population: Population, calls: Calls, hurry: asyncio.Event
) -> None:
    """Drain what is behind a door; once ``hurry`` is set nothing is waited for any more."""
    limits = door.limits
    log.info("draining", calls=calls.in_flight(), sockets=len(door.sockets))
    door.is_ready = False
    door.relay.draining = True
    door.registry.drain(time.monotonic())
    for websocket in tuple(door.sockets):
        websocket.announce_end()
    begun_at = time.monotonic()
    noticed_at, ended_at = begun_at + _NOTICE_S, begun_at + limits.drain_s
    await _until(lambda: calls.in_flight() == 0, limits.drain_s, hurry)
    # What is asked behind a close is lost, and nobody knows whether it ran.
    await _until(lambda: all(one.has_heard for one in door.sockets), noticed_at - time.monotonic(), hurry)
    await _until(lambda: calls.in_flight() == 0, ended_at - time.monotonic(), hurry)
    await _close_sockets(door, hurry)
    for listener in listeners:
        await listener.finish()
    for connection in tuple(door.connections):
        connection.drain()
    await _until(lambda: population.open == 0, limits.close_timeout_s, hurry)


async def _close_sockets(door: Door, hurry: asyncio.Event) -> None:
    sockets = tuple(door.sockets)
    pause_s = min(door.limits.drain_spread_s / max(len(sockets), 1), _CLOSE_PAUSE_S)
    begun_at = time.monotonic()
    for number, websocket in enumerate(sockets):
        websocket.close(Draining.close_code, "draining", "drained")
        ahead_s = begun_at + number * pause_s - time.monotonic()
        if ahead_s > 0:
            await _until(lambda: False, ahead_s, hurry)


async def _until(is_done: Callable[[], bool], limit_s: float, hurry: asyncio.Event) -> None:
    """Wait until ``is_done()``, a time, or the second signal."""
    ends_at = time.monotonic() + limit_s
    while not is_done() and not hurry.is_set():
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), min(left_s, _LOOK_S))
