"""Cuts a stream of JSON objects into values, whatever the messages that bring them (JSON-RPC 1.0 over a stream).

A value may span messages and a message may hold several values. Each byte is looked at once, however it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BLOCK_BYTES = 16 * 1024
_LEAST_LEAP_BYTES = 256
_SPACE = re.compile(rb"[ \t\r\n]*")


class ScanError(ValueError):
    """Between two values there is something else than white space and the ``{`` of the next."""


class ScanOverflow(ValueError):
    """A value is longer than the limit."""


class Scanner:
    """Splits bytes into JSON objects; ``limit_bytes`` bounds one value."""

    __slots__ = ("_depth", "_in_string", "_limit_bytes", "_pending", "_position")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._position = 0
        self._depth = 0
        self._in_string = False

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished value is held."""
        return len(self._pending)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the values that ``piece`` completes, without the white space around them.

        Raises:
            ScanError: something that is not an object stands where a value should begin.
            ScanOverflow: the value in hand is over the limit.
        """
        self._pending += piece
        while True:
            end = self._scan()
            if end < 0:
                break
            if end > self._limit_bytes:
                raise ScanOverflow(self._overflow)
            yield bytes(self._pending[:end])
            del self._pending[:end]
            self._reset()
        if len(self._pending) > self._limit_bytes:
            raise ScanOverflow(self._overflow)

    @property
    def _overflow(self) -> str:
        return f"a value is over {self._limit_bytes} bytes"

    def _scan(self) -> int:
        """Move on; return where the value in hand ends, or -1 where it does not yet."""
        if self._depth == 0 and not self._begin():
            return -1
        while self._position < len(self._pending):
            if self._in_string or not self._leap():
                end = self._step()
                if end >= 0:
                    return end
        return -1

    def _leap(self) -> bool:
        """Pass over a block in which the value cannot end, at the speed of C; ``False`` where there is none."""
        block = bytes(self._pending[self._position : self._position + _BLOCK_BYTES])
        bare = _STRING.sub(b"", block)
        cut = bare.find(b'"')
        size = len(block) if cut < 0 else len(block) - len(bare) + cut
        brackets = bare[:cut] if cut >= 0 else bare
        closing = brackets.count(b"}") + brackets.count(b"]")
        if size < _LEAST_LEAP_BYTES or closing >= self._depth:
            return False
        self._depth += brackets.count(b"{") + brackets.count(b"[") - closing
        self._position += size
        return True

    def _step(self) -> int:
        """Look at the next block mark by mark; return where the value ends, or -1."""
        pending, position = self._pending, self._position
        stop = position + _BLOCK_BYTES
        while position < stop:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(pending, position)
            if found is None:
                position = max(len(pending), position)
                break
            position = found.end()
            mark = found.group()
            if mark == b"\\":
                position += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif mark in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    return position
        self._position = position
        return -1

    def _begin(self) -> bool:
        pending = self._pending
        space = _SPACE.match(pending)
        if space is not None and space.end():
            del pending[: space.end()]
        if not pending:
            return False
        if not pending.startswith(b"{"):
            raise ScanError("a message is one JSON object or several, and nothing else")
        return True
