"""A bound that many share."""

from __future__ import annotations


class Budget:
    """Bytes that all large buffers of a worker may hold together."""

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def reserve(self, size_bytes: int) -> bool:
        """Take ``size_bytes``; ``False``, and nothing taken, where there is not so much left."""
        if self.used_bytes + size_bytes > self.limit_bytes:
            return False
        self.used_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """Give ``size_bytes`` back."""
        self.used_bytes -= size_bytes
