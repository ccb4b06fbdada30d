"""The ledger: what callers and providers write down before they act, as records of one size.

A record is written to the file before its message is written to a socket, so that a process that is killed has written
down whatever it may have done. Times are seconds of CLOCK_MONOTONIC, which all processes of one machine share.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

CLOCK = time.monotonic

_FORM = struct.Struct("<BBBxIQdd16s")
RECORD_BYTES = _FORM.size
CALLER_SHIFT = 40
"""The number of a call is the caller's own number, so far up, and a count."""


class Kind(IntEnum):
    """What a record says."""

    SENT = 1
    """A caller is about to send a call: ``at``, ``until`` its deadline, ``place`` its entry."""
    ANSWERED = 2
    """A caller has an answer, or has lost the connection on which it would have come."""
    EXECUTED = 3
    """A provider is about to execute a call."""
    OPENED = 4
    """A provider is about to say that it holds a lambda at the node ``place``."""
    STALLED = 5
    """A process has not run from ``at`` until ``until``, and cannot know what came meanwhile."""
    STRAY = 6
    """A caller has an answer to a call that it never made."""


class Delivered(IntEnum):
    """What an answer says about the call."""

    NO = 0
    YES = 1
    UNKNOWN = 2
    ABSENT = 3
    """Nothing, which no answer may."""


RESULT = "result"
LOST = "connection_lost"
"""The caller's own connection ended: nobody says so, and it means unknown."""
CODES = (
    RESULT, LOST, "timeout", "lambda_lost", "peer_unreachable", "overloaded", "recovering", "draining", "lambda_gone",
    "lambda_not_found", "lambda_error", "bad_answer", "loop", "bad_request", "forbidden", "too_large", "internal_error",
)  # fmt: skip
"""The outcomes; others are ``other``."""
OTHER = "other"
_BY_CODE = {code: number for number, code in enumerate(CODES)}
_OTHER = 255
_DELIVERED = {"no": Delivered.NO, "yes": Delivered.YES, "unknown": Delivered.UNKNOWN}


class Record(NamedTuple):
    """One line of the ledger. ``code`` and ``delivered`` are those of an answer; ``is_sound``: the echo was right."""

    kind: int
    number: int
    at: float
    until: float = 0.0
    lambda_id: str = ""
    place: int = 0
    code: str = RESULT
    delivered: Delivered = Delivered.ABSENT
    is_sound: bool = True

    def pack(self) -> bytes:
        """Write it as bytes."""
        flags = self.delivered << 1 | self.is_sound
        code = _BY_CODE.get(self.code, _OTHER)
        return _FORM.pack(self.kind, code, flags, self.place, self.number, self.at, self.until, self.lambda_id.encode())


def sent(number: int, at: float, until: float, lambda_id: str, entry: int) -> bytes:
    """A call that is about to be sent, as bytes of the ledger."""
    return _FORM.pack(Kind.SENT, 0, 0, entry, number, at, until, lambda_id.encode())


def answered(number: int, at: float, code: str, delivered: str, is_sound: bool = True) -> bytes:
    """An answer that came; ``delivered`` is the word of the wire, whatever it is."""
    said = _DELIVERED.get(delivered, Delivered.ABSENT)
    return _FORM.pack(Kind.ANSWERED, _BY_CODE.get(code, _OTHER), said << 1 | is_sound, 0, number, at, 0.0, b"")


def stray(number: int, at: float) -> bytes:
    """An answer that came for a call that was never made, or not any more."""
    return _FORM.pack(Kind.STRAY, 0, 0, 0, number, at, 0.0, b"")


def executed(number: int, at: float, lambda_id: bytes) -> bytes:
    """A call that is about to be executed."""
    return _FORM.pack(Kind.EXECUTED, 0, 0, 0, number, at, 0.0, lambda_id)


def opened(lambda_id: str, at: float, node: int) -> bytes:
    """A lambda that is about to be held at a node."""
    return _FORM.pack(Kind.OPENED, 0, 0, node, 0, at, 0.0, lambda_id.encode())


def stalled(since: float, until: float) -> bytes:
    """A time in which this process did not run."""
    return _FORM.pack(Kind.STALLED, 0, 0, 0, 0, since, until, b"")


class Pen:
    """Appends to the ledger of one process. What is noted is in the file once :meth:`flush` has returned."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._notes: list[bytes] = []
        self.note = self._notes.append

    def flush(self) -> None:
        """Have everything in the file (the machine does not crash: what is written need not be on disk)."""
        if not self._notes:
            return
        rest = memoryview(b"".join(self._notes))
        self._notes.clear()
        while rest:
            rest = rest[os.write(self._file, rest) :]


def parse(raw: bytes) -> Iterator[Record]:
    """Read records; one that was cut off by the death of its writer was not acted on, and is left out."""
    whole = len(raw) - len(raw) % RECORD_BYTES
    for kind, code, flags, place, number, at, until, name in _FORM.iter_unpack(memoryview(raw)[:whole]):
        yield Record(
            kind,
            number,
            at,
            until,
            name.rstrip(b"\0").decode(),
            place,
            CODES[code] if code < len(CODES) else OTHER,
            Delivered(flags >> 1),
            bool(flags & 1),
        )


def read(path: Path) -> Iterator[Record]:
    """Read the ledger of one process."""
    return parse(path.read_bytes())


def calls_in(path: Path) -> int:
    """About how many calls a caller's file tells of: each that is over has two records."""
    try:
        return path.stat().st_size // (2 * RECORD_BYTES)
    except FileNotFoundError:
        return 0
