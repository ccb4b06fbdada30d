"""Keeps the system that started the node posted: that it serves, that it ends, that it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lambdamesh.telemetry.service_notify import ServiceNotify

_PER_PERIOD = 4
"""How often to say within the time of the watchdog that the node lives."""


class Service:
    """The node as a service. Made inside of an event loop, by the process that was started as such."""

    def __init__(self) -> None:
        self._notify = ServiceNotify()
        self._loop = asyncio.get_running_loop()
        self._is_ready = False

    def ready(self) -> None:
        """Every door listens."""
        self._is_ready = True
        self._notify.ready()
        self._beat()

    def reloading(self, reload: Callable[[], None]) -> None:
        """``reload`` at somebody's wish, and say so."""
        self._notify.reloading()
        reload()
        if self._is_ready:
            self._notify.ready()

    def stopping(self) -> None:
        """The end has begun."""
        self._notify.stopping()

    def _beat(self) -> None:
        period_s = self._notify.watchdog_s
        if period_s is not None:
            self._notify.watchdog()
            self._loop.call_later(period_s / _PER_PERIOD, self._beat)
