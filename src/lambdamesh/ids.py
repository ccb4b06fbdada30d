"""Names of things: lambda ids, the snowflakes inside them, machine ids, and rays.

A lambda id is 12 bytes, machine id (u32, little-endian, never 0) then uid (u64, little-endian), written as 16
characters of base64url without padding. A uid is a snowflake: milliseconds since 2024-01-01T00:00:00Z, a 10-bit
worker field, a 12-bit sequence. The top bit of the worker field says that a re-open needs a key.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""
SEQUENCE_BITS = 12
WORKER_BITS = 10
TIME_SHIFT = SEQUENCE_BITS + WORKER_BITS
NEEDS_KEY = 1 << (WORKER_BITS - 1)
"""The bit of the worker field that says *needs a key to re-open*."""
TEXT_LENGTH = 16

_SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1
_WORKER_MASK = (1 << WORKER_BITS) - 1
_MS_LIMIT = 1 << (64 - TIME_SHIFT)
_TEXT = re.compile(rb"[A-Za-z0-9_-]{16}\Z")
_MACHINE = re.compile(r"[0-9a-fA-F]{8}\Z")


class LambdaId(NamedTuple):
    """The two numbers inside a lambda id."""

    machine: int
    uid: int

    @property
    def text(self) -> bytes:
        """The 16 characters by which everyone else knows it."""
        return urlsafe_b64encode(self.machine.to_bytes(4, "little") + self.uid.to_bytes(8, "little"))

    @property
    def unix_ms(self) -> int:
        """When it was minted, in Unix milliseconds."""
        return (self.uid >> TIME_SHIFT) + EPOCH_MS

    @property
    def worker(self) -> int:
        """The worker field without the key bit."""
        return (self.uid >> SEQUENCE_BITS) & (_WORKER_MASK ^ NEEDS_KEY)

    @property
    def needs_key(self) -> bool:
        """Whether a re-open of this id always needs its key."""
        return bool((self.uid >> SEQUENCE_BITS) & NEEDS_KEY)


def parse_lambda_id(text: bytes) -> LambdaId:
    """Read a lambda id.

    Raises:
        ValueError: not 16 characters of base64url, or machine id 0.
    """
    if _TEXT.match(text) is None:
        raise ValueError("a lambda id is 16 characters of A-Z a-z 0-9 _ -")
    raw = urlsafe_b64decode(text)
    machine = int.from_bytes(raw[:4], "little")
    if machine == 0:
        raise ValueError("a lambda id never has machine id 0")
    return LambdaId(machine, int.from_bytes(raw[4:], "little"))


def parse_machine_id(text: str) -> int:
    """Read a machine id of 8 hex digits, not all zero.

    Raises:
        ValueError: anything else.
    """
    if _MACHINE.match(text) is None or int(text, 16) == 0:
        raise ValueError("a machine id is 8 hex digits, not all zero")
    return int(text, 16)


def machine_id_text(machine: int) -> str:
    """Write a machine id as 8 hex digits."""
    return f"{machine:08x}"


class Snowflakes:
    """Mints uids of one worker field, each greater than the one before.

    A clock that steps back is waited out by counting on: the sequence wraps into the next millisecond. ``floor_ms``
    (Unix milliseconds) is a time that everything minted before a restart lies under.
    """

    __slots__ = ("_last", "_worker")

    def __init__(self, worker: int, floor_ms: int = EPOCH_MS) -> None:
        self._worker = worker & _WORKER_MASK
        self._last = (max(floor_ms, EPOCH_MS) - EPOCH_MS) << SEQUENCE_BITS

    @property
    def last_ms(self) -> int:
        """The time of the last uid, in Unix milliseconds."""
        return (self._last >> SEQUENCE_BITS) + EPOCH_MS

    def skip(self, unix_ms: int) -> None:
        """Mint nothing more of this millisecond, or of those before it."""
        self._last = max(self._last, ((unix_ms - EPOCH_MS) << SEQUENCE_BITS) | _SEQUENCE_MASK)

    def mint(self, now_ms: int, needs_key: bool = False) -> int:
        """Return the next uid. ``now_ms`` is the wall clock in Unix milliseconds.

        ``needs_key`` says that whoever re-opens the lambda has to show its key.

        Raises:
            OverflowError: the clock is outside of what 42 bits of milliseconds can say.
        """
        last = max(self._last + 1, (now_ms - EPOCH_MS) << SEQUENCE_BITS)
        ms = last >> SEQUENCE_BITS
        if ms >= _MS_LIMIT:
            raise OverflowError("the clock is beyond the year 2163")
        self._last = last
        worker = self._worker | (NEEDS_KEY if needs_key else 0)
        return (ms << TIME_SHIFT) | (worker << SEQUENCE_BITS) | (last & _SEQUENCE_MASK)


class Rays:
    """Mints ray ids: 16 hex digits of a snowflake, ``-``, three letters of the host name.

    One is minted for every request, so the clock is set from outside (``tick``) and not read here, and only the
    last three digits, the sequence, change between two ticks.
    """

    __slots__ = ("_ms", "_prefix", "_sequence", "_tails", "_worker")

    def __init__(self, host_name: str, worker: int, now_ms: int) -> None:
        letters = "".join(c for c in host_name.upper() if "A" <= c <= "Z")[:3].ljust(3, "X")
        self._tails = [b"%03x-%b" % (n, letters.encode()) for n in range(_SEQUENCE_MASK + 1)]
        self._worker = worker & _WORKER_MASK
        self._ms = -1
        self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        """Tell it the wall clock, in Unix milliseconds; one that has not moved on is ignored."""
        ms = max(now_ms - EPOCH_MS, 0)
        if ms > self._ms:
            self._ms = ms
            self._sequence = -1
            self._prefix = b"%013x" % (ms << WORKER_BITS | self._worker)

    def mint(self) -> bytes:
        """Return the next ray id, such as ``0057be39815282ea-MYH``."""
        self._sequence = sequence = self._sequence + 1
        if sequence > _SEQUENCE_MASK:
            self.tick(self._ms + 1 + EPOCH_MS)
            return self.mint()
        return self._prefix + self._tails[sequence]
