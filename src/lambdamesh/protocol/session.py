"""What the sessions of all codecs share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Bounds(NamedTuple):
    """What a session takes: bytes of one value, values of one message, bytes of one item of a stream."""

    message_bytes: int
    message_values: int
    item_bytes: int = 64 * 1024


SESSION_COUNTERS: tuple[tuple[str, str], ...] = (
    ("unknown_answers", "Answers of providers to no call that is open."),
    ("bad_answers", "Answers of providers that were not JSON."),
    ("stream_overruns", "Streams cancelled because of an item beyond its credit, or of one that was too large."),
)
"""Name and meaning of each counter; each is a field of ``SessionCounters`` and a metric."""


class SessionCounters:
    """What sessions count; one object for all sessions of a worker. ``former`` is what to go on from."""

    __slots__ = tuple(name for name, _ in SESSION_COUNTERS)

    unknown_answers: int
    bad_answers: int
    stream_overruns: int

    def __init__(self, former: Mapping[str, int] = MappingProxyType({})) -> None:
        for name in self.__slots__:
            setattr(self, name, former.get(name, 0))


class SessionClosed(Exception):
    """The conversation cannot go on; the socket closes with ``close_code`` and ``reason``."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason
