"""JSON-RPC 1.0 over messages that are a stream: which values does a message complete (contract: `json-rpc`)."""

from __future__ import annotations

from collections.abc import Iterator

from lambdamesh.protocol.scanner import ScanError, Scanner, ScanOverflow
from lambdamesh.protocol.session import SessionClosed


class Framing:
    """Cuts messages into JSON objects, and turns what cannot be cut into the end of the session.

    A session has one only while a message holds something else than one whole value.
    """

    __slots__ = ("_scanner",)

    def __init__(self, limit_bytes: int) -> None:
        self._scanner = Scanner(limit_bytes)

    @property
    def is_idle(self) -> bool:
        """Whether no value is in hand, so that the next message can be read on its own."""
        return self._scanner.pending_bytes == 0

    def values(self, message: bytes) -> Iterator[bytes]:
        """Yield the values that ``message`` completes.

        Raises:
            SessionClosed: no object begins where one should (4400), or one is over the limit (1009).
        """
        try:
            yield from self._scanner.feed(message)
        except ScanError as error:
            raise SessionClosed(4400, str(error)) from None
        except ScanOverflow as error:
            raise SessionClosed(1009, str(error)) from None
