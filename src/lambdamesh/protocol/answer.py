"""The ports by which an answer comes back to whoever called."""

from __future__ import annotations

from typing import Any, Protocol

from lambdamesh.errors import MeshError


class Answer(Protocol):
    """Takes the outcome of one call: any number of items, then exactly one result or fault."""

    def result(self, raw: bytes) -> None:
        """The call ended well; ``raw`` is the result as valid JSON text."""

    def item(self, raw: bytes) -> None:
        """One value of a stream, as valid JSON text."""

    def fault(self, error: MeshError) -> None:
        """The call ended in ``error``, which says whether it was delivered."""


class Pending(Answer, Protocol):
    """An answer that a provider owes, perhaps on another socket than the one that took the call."""

    def moved(self, provider: Any, number: int) -> None:
        """``provider``, a port of the core, owes it from now on, and knows the call by ``number``."""
