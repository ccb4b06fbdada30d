"""What the workers of a node have counted: a row for each, in memory that all of them share.

It outlives whoever wrote it, so that a worker that is started again counts on, and any of them can add up all rows.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
from collections.abc import Mapping

from lambdamesh.core.counters import COUNTERS
from lambdamesh.protocol.session import SESSION_COUNTERS

MEANINGS = dict(COUNTERS + SESSION_COUNTERS)
"""What each counter counts, by name."""
_ROW = struct.Struct(f"={len(MEANINGS)}Q")


def new_tally(workers: int) -> int:
    """Return the descriptor of a tally in which nothing was counted yet, for so many workers."""
    fd = _memory()
    os.ftruncate(fd, workers * _ROW.size)
    return fd


def _memory() -> int:
    # Not every Python on Linux has it, nor lets every system have it.
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.memfd_create("lambdamesh-tally")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Tally:
    """The counters of ``workers`` workers, in the file ``fd``, which stays the caller's; by default of one, in no file.

    Raises:
        ValueError: the file is of another size: whoever made it counts other things.
    """

    def __init__(self, fd: int = -1, workers: int = 1) -> None:
        if fd >= 0 and os.fstat(fd).st_size != workers * _ROW.size:
            raise ValueError(f"the tally is not that of {workers} workers of this release")
        self._rows = mmap.mmap(fd, workers * _ROW.size)

    def write(self, worker: int, counted: Mapping[str, int]) -> None:
        """Note what a worker has counted, by name."""
        at = worker * _ROW.size
        # In one stroke: who reads meanwhile, or goes on from there after a kill -9, finds no counter that has fallen.
        self._rows[at : at + _ROW.size] = _ROW.pack(*(counted[name] for name in MEANINGS))

    def read(self, worker: int) -> dict[str, int]:
        """Return what a worker, and those before it in its place, have counted, by name."""
        return dict(zip(MEANINGS, _ROW.unpack_from(self._rows, worker * _ROW.size), strict=True))

    def totals(self) -> dict[str, int]:
        """Return what all of them have counted, by name."""
        return dict(zip(MEANINGS, map(sum, zip(*_ROW.iter_unpack(self._rows), strict=True)), strict=True))
