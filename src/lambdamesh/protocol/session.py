"""What the sessions of all codecs share."""

from __future__ import annotations


class SessionCounters:
    """What sessions count; one object for all sessions of a worker."""

    __slots__ = ("bad_answers", "unknown_answers")

    def __init__(self) -> None:
        self.bad_answers = 0
        self.unknown_answers = 0


class SessionClosed(Exception):
    """The conversation cannot go on; the socket closes with ``close_code`` and ``reason``."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason
