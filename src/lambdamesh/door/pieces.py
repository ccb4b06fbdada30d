"""A message that comes in several frames (RFC 6455, 5.4)."""

from __future__ import annotations

from lambdamesh.core.limits import Limits


class Pieces:
    """The frames that have come of it; ``size_bytes`` is what they hold."""

    __slots__ = ("_pieces", "is_text", "size_bytes")

    def __init__(self, is_text: bool) -> None:
        self._pieces: list[bytes] = []
        self.is_text = is_text
        self.size_bytes = 0

    def add(self, payload: bytes) -> None:
        """Take one more."""
        self._pieces.append(payload)
        self.size_bytes += len(payload)

    def excess(self, limits: Limits) -> str:
        """Say which limit they are over; an empty text where it is none."""
        if self.size_bytes > limits.body_bytes:
            return f"a message is at most {limits.body_bytes} bytes"
        return f"a message is at most {limits.fragments} frames" if len(self._pieces) > limits.fragments else ""

    def whole(self) -> bytes:
        """Return the message."""
        return b"".join(self._pieces)
