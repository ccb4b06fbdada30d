"""What the core asks of the parts around it."""

from __future__ import annotations

from typing import Protocol

from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Answer


class Provider(Protocol):
    """Whoever answers for a lambda: the session of a WebSocket."""

    number: int
    pending: dict[int, Answer]

    def call(self, method: bytes, body: bytes, answer: Answer) -> int:
        """Send a call, return its number. ``method`` is a JSON string, ``body`` JSON text."""

    def notify(self, method: bytes, body: bytes) -> None:
        """Send a notification."""

    def cancel(self, number: int) -> None:
        """Forget a call, and tell the provider where its codec can."""

    def end(self, error: MeshError) -> None:
        """Answer every open call with ``error``."""


class Seat(Protocol):
    """The socket that a provider sits on."""

    code: str
    congested: bool
    """Whether more bytes wait for the socket than may."""

    @property
    def provider(self) -> Provider:
        """The session that is spoken on the socket."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code."""


class Directory(Protocol):
    """Who else is in the mesh."""

    def complete(self) -> bool:
        """Whether every machine that there is would be known here."""

    def knows(self, machine: int) -> bool:
        """Whether ``machine`` is another node of this mesh."""
