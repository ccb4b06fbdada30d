"""Asks the node whether it goes down."""

from __future__ import annotations

from collections.abc import Callable

from lambdamesh.client.envelopes import word_head
from lambdamesh.client.requests import PLAIN, Request
from lambdamesh.errors import Draining, MeshError

_READY = word_head("GET /readyz")


class Look(Request):
    """One question; ``looked`` is told whether the node goes down. Where it cannot say, that is no."""

    __slots__ = ("_looked",)

    def __init__(self, looked: Callable[[bool], None], now: float) -> None:
        super().__init__(_READY, b"{}", PLAIN, now, b"")
        self._looked = looked

    def result(self, raw: bytes) -> None:
        """It takes calls."""
        self._looked(False)

    def fault(self, error: MeshError) -> None:
        """It does not, or could not be asked."""
        self._looked(isinstance(error, Draining))
