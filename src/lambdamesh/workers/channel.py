"""A socket pair between a supervisor and a worker, for words with descriptors (``SCM_RIGHTS``).

Each message is a line: how many descriptors come with it, a space, and its JSON. Descriptors arrive with the first byte
of their message at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
import structlog

log = structlog.get_logger(__name__)

Words = TypeVar("Words")

_READ_BYTES = 64 * 1024
_FDS_MOST = 250
"""The system sends no more of them at a time."""
_WAITING_MOST = 1_000
_FDS_WAITING_MOST = 64
"""Some come from strangers: they may not fill the table of open files."""


class Channel(Generic[Words]):
    """One end. ``kind`` is what it hears, told to ``heard`` with the descriptors, which are then the hearer's own.

    ``ended`` is told once that the other end is gone, or has said what cannot be read. Made inside of an event loop.
    """

    def __init__(
        self,
        sock: socket.socket,
        kind: object,
        heard: Callable[[Words, list[int]], None],
        ended: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = msgspec.json.Decoder(kind)
        self._heard = heard
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._text = b""
        self._fds: deque[int] = deque()
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._is_open = True
        self._loop.add_reader(sock.fileno(), self._read)

    def say(self, words: object, fds: Sequence[int] = ()) -> bool:
        """Send words with copies of descriptors; ``False`` where the other end is gone, or takes nothing."""
        if not self._is_open or len(self._waiting) >= (_FDS_WAITING_MOST if fds else _WAITING_MOST):
            return False
        copies: list[int] = []
        try:
            copies.extend(os.dup(fd) for fd in fds)
        except OSError:
            _close(copies)
            return False
        self._waiting.append((b"%d %b\n" % (len(fds), msgspec.json.encode(words)), copies))
        if len(self._waiting) == 1:
            self._write()
        return self._is_open

    def close(self) -> None:
        """Say and hear no more."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for _, fds in self._waiting:
            _close(fds)
        _close(self._fds)
        self._waiting.clear()
        self._fds.clear()

    def _end(self) -> None:
        if self._is_open:
            self.close()
            # Not from within: whoever says something may be in the middle of what an end changes.
            self._loop.call_soon(self._ended)

    def _write(self) -> None:
        while self._waiting:
            text, fds = self._waiting[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
            try:
                sent = self._socket.sendmsg([text], rights)
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._write)
                return
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    self._end()
                    return
                # The other side is slow to take descriptors: these words are lost, and not all that follow.
                sent = len(text)
            _close(fds)
            if sent == len(text):
                self._waiting.popleft()
            else:
                self._waiting[0] = (text[sent:], [])
        self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            text, fds, flags, _ = socket.recv_fds(self._socket, _READ_BYTES, _FDS_MOST)
        except BlockingIOError:
            return
        except OSError:
            text, fds, flags = b"", [], 0
        for fd in fds:
            # The call above hears of no flag that would do this.
            os.set_inheritable(fd, False)
            self._fds.append(fd)
        # Where this process could not have them all, nobody can say any more whose the others are.
        if not text or flags & socket.MSG_CTRUNC:
            self._end()
            return
        *lines, self._text = (self._text + text).split(b"\n")
        for line in lines:
            count, _, encoded = line.partition(b" ")
            own = [self._fds.popleft() for _ in range(int(count))]
            try:
                words = self._decoder.decode(encoded)
            except msgspec.MsgspecError as error:
                log.error("words_not_understood", why=str(error), fix="restart the node: it was upgraded while it ran")
                _close(own)
                self._end()
                return
            self._heard(words, own)
            if not self._is_open:
                return


def _close(fds: Sequence[int] | deque[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
