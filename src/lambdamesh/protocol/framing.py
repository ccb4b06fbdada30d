"""JSON-RPC 1.0 over messages that are a stream: which values does a message complete (contract: `json-rpc`)."""

from __future__ import annotations

from collections.abc import Iterator

from lambdamesh.protocol.json_text import is_utf8
from lambdamesh.protocol.scanner import ScanError, Scanner, ScanOverflow
from lambdamesh.protocol.session import Bounds, SessionClosed


class Framing:
    """Cuts messages into JSON objects, and turns what cannot be cut into the end of the session.

    ``scanner`` is ``None`` but while a message holds something else than one whole value: most are read on their own.
    """

    __slots__ = ("_bounds", "scanner")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.scanner: Scanner | None = None

    def reads_alone(self, message: bytes, utf8_checked: bool) -> bool:
        """Whether ``message`` may be one whole value, to be tried before it is cut."""
        return self.scanner is None and (utf8_checked or message.isascii() or is_utf8(message))

    def values(self, message: bytes) -> Iterator[bytes]:
        """Yield the values that ``message`` completes.

        Raises:
            SessionClosed: no object begins where one should (4400), or one is too long or one too many (1009).
        """
        scanner = self.scanner
        if scanner is None:
            self.scanner = scanner = Scanner(self._bounds.message_bytes)
        try:
            for number, value in enumerate(scanner.feed(message)):
                if number >= self._bounds.message_values:
                    raise SessionClosed(1009, f"a message holds at most {self._bounds.message_values} values")
                yield value
        except ScanError as error:
            raise SessionClosed(4400, str(error)) from None
        except ScanOverflow as error:
            raise SessionClosed(1009, str(error)) from None
        if scanner.pending_bytes == 0:
            self.scanner = None

    def release(self) -> None:
        """Hold nothing of a value whose end will not come."""
        self.scanner = None
