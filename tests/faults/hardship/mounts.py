"""Disks that a test may fill: mounted where nobody else sees them, and gone with the test."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

_CLONE_NEWNS = 0x00020000
_FILLER = "filler"
_PIECE_BYTES = 4096
_libc = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


class OwnMounts:
    """A thread in a mount namespace of its own: what it starts and opens sees what is mounted there."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)

    def run(self, what: Callable[[], Result]) -> Result:
        """Do it there."""
        return self._thread.submit(what).result()

    def begin(self) -> None:
        """Raises: OSError, where this process may not."""
        self.run(_leave)
        self._mount("--make-rprivate", "/")

    def disk(self, folder: Path, size_kib: int) -> None:
        """Mount an empty disk of that size. Raises: OSError."""
        self._mount("-t", "tmpfs", "-o", f"size={size_kib}k,mode=0700", "none", str(folder))

    def set_writable(self, folder: Path, is_writable: bool) -> None:
        """Let a disk be written, or only be read."""
        if is_writable:
            self._do("umount", str(folder))
        else:
            # Over itself: files that are open for writing, such as a lock, keep the disk itself as it is.
            self._mount("--bind", str(folder), str(folder))
            self._mount("-o", "remount,bind,ro", str(folder))

    def fill(self, folder: Path) -> None:
        """Leave no byte free on a disk."""
        self.run(lambda: _fill(folder / _FILLER))

    def free(self, folder: Path) -> None:
        """Give back what was filled."""
        self.run((folder / _FILLER).unlink)

    def close(self) -> None:
        """The disks go with the last process that sees them."""
        self._thread.shutdown()

    def _mount(self, *words: str) -> None:
        self._do("mount", *words)

    def _do(self, *words: str) -> None:
        done = self.run(lambda: subprocess.run(words, capture_output=True, text=True, timeout=10))
        if done.returncode:
            raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def _leave() -> None:
    if _libc.unshare(_CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (_PIECE_BYTES, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


@contextlib.contextmanager
def own_mounts() -> Iterator[OwnMounts]:
    """A place for disks; skips the test where there can be none."""
    if os.geteuid():
        _skip("only root mounts disks")
    own = OwnMounts()
    try:
        try:
            own.begin()
        except (OSError, subprocess.TimeoutExpired) as error:
            _skip(f"no mounts here: {error}")
        yield own
    finally:
        own.close()


def _skip(reason: str) -> None:
    print(reason)
    pytest.skip(reason)
