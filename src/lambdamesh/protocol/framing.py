"""JSON-RPC 1.0 over messages that are a stream: which values does a message complete (contract: `json-rpc`)."""

from __future__ import annotations

from collections.abc import Iterator

from lambdamesh.protocol.scanner import ScanError, Scanner, ScanOverflow
from lambdamesh.protocol.session import Bounds, SessionClosed


class Framing:
    """Cuts messages into JSON objects, and turns what cannot be cut into the end of the session.

    A session has one only while a message holds something else than one whole value.
    """

    __slots__ = ("_limit_values", "_scanner")

    def __init__(self, bounds: Bounds) -> None:
        self._scanner = Scanner(bounds.message_bytes)
        self._limit_values = bounds.message_values

    @property
    def is_idle(self) -> bool:
        """Whether no value is in hand, so that the next message can be read on its own."""
        return self._scanner.pending_bytes == 0

    def values(self, message: bytes) -> Iterator[bytes]:
        """Yield the values that ``message`` completes.

        Raises:
            SessionClosed: no object begins where one should (4400), or one is too long or one too many (1009).
        """
        try:
            for number, value in enumerate(self._scanner.feed(message)):
                if number >= self._limit_values:
                    raise SessionClosed(1009, f"a message holds at most {self._limit_values} values")
                yield value
        except ScanError as error:
            raise SessionClosed(4400, str(error)) from None
        except ScanOverflow as error:
            raise SessionClosed(1009, str(error)) from None
