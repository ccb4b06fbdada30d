"""The WebSocket of a page that is told by a close code why it may not come in."""

from __future__ import annotations

from lambdamesh.door.door import Door
from lambdamesh.door.websocket import Socket
from lambdamesh.errors import MeshError


class TurnedAway(Socket):
    """A socket that closes as soon as it is open."""

    __slots__ = ("_error",)

    def __init__(self, door: Door, peer: str, error: MeshError) -> None:
        super().__init__(door, peer)
        self._error = error

    def opened(self) -> None:
        """Say why."""
        self.close(self._error.close_code, self._error.message)
