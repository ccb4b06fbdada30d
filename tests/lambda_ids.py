"""Ids as the contract describes them, written a second time: the tests do not ask the code under test."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""
NEEDS_KEY = 0x200
"""The top bit of the 10-bit worker field."""


@dataclass(frozen=True)
class Id:
    """The parts of an id; ``at_ms`` in Unix milliseconds."""

    machine: int
    at_ms: int
    field: int = 0
    sequence: int = 0

    @property
    def uid(self) -> int:
        return (self.at_ms - EPOCH_MS) << 22 | self.field << 12 | self.sequence

    def __str__(self) -> str:
        raw = self.machine.to_bytes(4, "little") + self.uid.to_bytes(8, "little")
        return base64.urlsafe_b64encode(raw).decode()


def parse(text: str) -> Id:
    """Raises: ValueError where ``text`` is not 16 characters of base64url."""
    raw = base64.b64decode(text, altchars=b"-_", validate=True)
    if len(raw) != 12:
        raise ValueError(text)
    uid = int.from_bytes(raw[4:], "little")
    return Id(int.from_bytes(raw[:4], "little"), (uid >> 22) + EPOCH_MS, uid >> 12 & 0x3FF, uid & 0xFFF)


def sibling(lambda_id: str, *, after_s: float = 0.0, field: int = 0) -> str:
    """An id of the same machine that nobody has minted: of now, or ``after_s`` later."""
    at_ms = int((time.time() + after_s) * 1000)
    return str(Id(parse(lambda_id).machine, at_ms, field, sequence=0xABC))


def stranger(lambda_id: str) -> str:
    """An id of now of a machine that does not exist."""
    return str(Id(parse(lambda_id).machine ^ 0x5A5A5A5A, int(time.time() * 1000)))
