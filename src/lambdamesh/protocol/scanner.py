"""Cuts a stream of JSON objects into values, whatever the messages that bring them (JSON-RPC 1.0 over a stream).

A value may span messages and a message may hold several values. Each byte is looked at once, however it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, count
from operator import sub

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WHOLE_STRINGS = re.compile(rb'[^"]*+(?:%b[^"]*+)*+' % _STRING.pattern, re.DOTALL)
_BLOCK_BYTES = 16 * 1024
_LEAST_LEAP_BYTES = 256
_SPACE = re.compile(rb"[ \t\r\n]*")
_STEPS = bytes.maketrans(b"[{]}", b"\x02\x02\x00\x00")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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
        while True:
            # No more is looked at in one go than has been before, or each short value would cost a block.
            size = min(max(self._position, _LEAST_LEAP_BYTES), _BLOCK_BYTES)
            if self._in_string or self._depth == 0 or not self._leap(size):
                end, is_at_end = self._step(size)
                if end >= 0 or is_at_end:
                    return end

    def _leap(self, size: int) -> bool:
        """Pass over a block in which the value cannot end, at the speed of C; ``False`` where there is none."""
        # An escape that the end of the block would cut in two is left for the next.
        block = bytes(self._pending[self._position : self._position + size]).rstrip(b"\\")
        whole = _WHOLE_STRINGS.match(block)
        bare = block if whole is None else _STRING.sub(b"", block[: whole.end()])
        steps = bare.translate(_STEPS, _NOT_BRACKETS)
        if len(block) < _LEAST_LEAP_BYTES // 2 or self._depth + _lowest(steps) <= 0:
            return False
        self._depth += 2 * steps.count(2) - len(steps)
        self._in_string = whole is not None and whole.end() < len(block)
        self._position += len(block)
        return True

    def _step(self, size: int) -> tuple[int, bool]:
        """Look at the next block mark by mark; return where the value ends, or -1, and whether nothing more is here."""
        pending, position = self._pending, self._position
        stop = position + size
        is_at_end = False
        while position < stop and not is_at_end:
            if self._in_string:
                position = self._leave_string(position)
                is_at_end = self._in_string
                continue
            found = _OUTSIDE.search(pending, position)
            if found is None:
                position, is_at_end = len(pending), True
                continue
            position = found.end()
            mark = found.group()
            if mark == b'"':
                self._in_string = True
            else:
                self._depth += 1 if mark in b"{[" else -1
                if self._depth == 0:
                    return position, False
        self._position = position
        return -1, is_at_end

    def _leave_string(self, position: int) -> int:
        """Move to behind the string that is open at ``position``, or as near to its end as has come."""
        found = _INSIDE.match(self._pending, position)
        position = position if found is None else found.end()
        if self._pending[position : position + 1] == b'"':
            self._in_string = False
            position += 1
        return position

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


def _lowest(steps: bytes) -> int:
    """How far the depth falls below where it begins: each bracket moves it by its byte, 2 or 0, less one."""
    return min(map(sub, accumulate(steps), count(1)), default=0)
