"""What programs write to stderr, shown on ours: whoever reads that slowly stops nobody."""

from __future__ import annotations

import os
import queue
import threading

SHOWN_BYTES = 65_536
"""What is shown of one run; the rest is counted."""
_WAITING_PIECES = 64


class Screen:
    """Writes to ``file``, a descriptor, in a thread of its own. What there is no room for is passed over."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING_PIECES)
        self._thread: threading.Thread | None = None

    def show(self, piece: bytes) -> bool:
        """Have ``piece`` written; ``False`` where too much waits already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._turn, name="what programs complain of", daemon=True)
            self._thread.start()
        try:
            self._pieces.put_nowait(piece)
        except queue.Full:
            return False
        return True

    def _turn(self) -> None:
        while True:
            piece = self._pieces.get()
            try:
                while piece:
                    piece = piece[os.write(self._file, piece) :]
            except OSError:
                return


class Complaint:
    """The stderr of one run."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown_bytes = 0
        self._missing_bytes = 0

    def add(self, piece: bytes) -> None:
        """Show as much of it as there is room for."""
        shown = piece[: SHOWN_BYTES - self._shown_bytes]
        if shown and not self._screen.show(shown):
            shown = b""
        self._shown_bytes += len(shown)
        self._missing_bytes += len(piece) - len(shown)

    def end(self) -> None:
        """Say how much was not shown."""
        if self._missing_bytes:
            self._screen.show(b"\n... %d bytes more\n" % self._missing_bytes)
            self._missing_bytes = 0
