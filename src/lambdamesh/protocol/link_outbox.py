"""What waits to be written to a link: short frames first, long ones in pieces that take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lambdamesh.protocol.link_frames import FRAME_BYTES, PIECE_BYTES, part_frame


class _Transfer:
    """A long frame on its way; ``behind`` are the frames of the same exchange that must not overtake it."""

    __slots__ = ("_sent_bytes", "_view", "behind", "exchange", "number")

    def __init__(self, number: int, exchange: tuple[bool, int], frame: bytes) -> None:
        self.number = number
        self.exchange = exchange
        self.behind: list[bytes] = []
        self._view = memoryview(frame)
        self._sent_bytes = 0

    @property
    def left_bytes(self) -> int:
        return len(self._view) - self._sent_bytes

    @property
    def is_begun(self) -> bool:
        return self._sent_bytes > 0

    def piece(self) -> bytes:
        begin = self._sent_bytes
        self._sent_bytes = min(begin + PIECE_BYTES, len(self._view))
        return part_frame(self.number, len(self._view), self._view[begin : self._sent_bytes])


class Outbox:
    """The frames of one side. ``wake`` is told when there is something to write and was nothing before.

    ``size_bytes`` is what waits here. An exchange is named by its number and by whether this side began it.
    """

    __slots__ = ("_awake", "_last", "_long", "_number", "_short", "_turns", "_wake", "size_bytes")

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._awake = False
        self._short: list[bytes] = []
        self._long: dict[tuple[bool, int], _Transfer] = {}
        self._turns: deque[_Transfer] = deque()
        self._last: dict[tuple[bool, int], tuple[set[_Transfer], bytes]] = {}
        """Frames that wait for all that was on its way when they came, by their exchange."""
        self._number = 0
        self.size_bytes = 0

    def put(self, frame: bytes) -> None:
        """Add a short frame that belongs to no exchange with a long one on its way."""
        self._short.append(frame)
        self.size_bytes += len(frame)
        if not self._awake:
            self._awake = True
            self._wake()

    def put_of(self, is_own: bool, number: int, frame: bytes) -> None:
        """Add a frame of an exchange, in order with its others; a long one is cut."""
        if self._long:
            before = self._long.get((is_own, number))
            if before is not None:
                before.behind.append(frame)
                self.size_bytes += len(frame)
                return
        if len(frame) <= FRAME_BYTES:
            self.put(frame)
        else:
            self._begin((is_own, number), frame)

    def put_last(self, is_own: bool, number: int, frame: bytes) -> None:
        """Add a frame of an exchange behind all that is on its way now, of whatever exchange."""
        if not self._turns:
            self.put_of(is_own, number, frame)
            return
        self._last[is_own, number] = (set(self._turns), frame)
        self.size_bytes += len(frame)

    def _has_gone(self, transfer: _Transfer) -> None:
        """A long frame is not on its way any more: whatever has waited for it alone goes."""
        for exchange, (before, frame) in tuple(self._last.items()):
            before.discard(transfer)
            if not before:
                del self._last[exchange]
                self.size_bytes -= len(frame)
                self.put_of(*exchange, frame)

    def put_whole(self, frame: bytes) -> None:
        """Add a frame that nothing behind it may overtake: a long one is cut, and nobody has a turn in between."""
        if len(frame) <= FRAME_BYTES:
            self.put(frame)
            return
        transfer = self._cut((True, 0), frame)
        while transfer.left_bytes:
            self.put(transfer.piece())

    def _cut(self, exchange: tuple[bool, int], frame: bytes) -> _Transfer:
        self._number = self._number % 0xFFFF_FFFF + 1
        return _Transfer(self._number, exchange, frame)

    def _begin(self, exchange: tuple[bool, int], frame: bytes) -> None:
        transfer = self._cut(exchange, frame)
        self._long[exchange] = transfer
        self._turns.append(transfer)
        self.size_bytes += len(frame)
        if not self._awake:
            self._awake = True
            self._wake()

    def is_unsent(self, is_own: bool, number: int) -> bool:
        """Whether a frame of this exchange is long and not sent whole: nobody can have acted on it."""
        return (is_own, number) in self._long or (is_own, number) in self._last

    def drop(self, is_own: bool, number: int) -> bool:
        """Send no more of the long frame of an exchange, and nothing behind it; ``False`` where there is none."""
        waiting = self._last.pop((is_own, number), None) if self._last else None
        if waiting is not None:
            self.size_bytes -= len(waiting[1])
            return True
        transfer = self._long.pop((is_own, number), None) if self._long else None
        if transfer is None:
            return False
        self.size_bytes -= transfer.left_bytes + sum(map(len, transfer.behind))
        if transfer in self._turns:
            self._turns.remove(transfer)
        if transfer.is_begun:
            self.put(part_frame(transfer.number, 0, b""))
        if self._last:
            self._has_gone(transfer)
        return True

    def take(self, room_bytes: int) -> bytes:
        """Return what is to be written now: all short frames, and as many pieces as begin within ``room_bytes``."""
        chunks, self._short = self._short, []
        size_bytes = sum(map(len, chunks)) if self._turns else 0
        while self._turns and size_bytes < room_bytes:
            transfer = self._turns.popleft()
            before_bytes = transfer.left_bytes
            chunk = transfer.piece()
            # The head of a piece was not counted when the frame was added.
            self.size_bytes += len(chunk) - (before_bytes - transfer.left_bytes)
            chunks.append(chunk)
            size_bytes += len(chunk)
            if transfer.left_bytes:
                self._turns.append(transfer)
            else:
                self._finish(transfer)
                if self._last:
                    self._has_gone(transfer)
                # What was behind it goes before the pieces of what is long behind that.
                behind, self._short = self._short, []
                chunks += behind
                size_bytes += sum(map(len, behind))
        self._awake = False
        whole = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.size_bytes -= len(whole)
        return whole

    def _finish(self, transfer: _Transfer) -> None:
        del self._long[transfer.exchange]
        behind, transfer.behind = transfer.behind, []
        for number, frame in enumerate(behind):
            self.size_bytes -= len(frame)
            self.put_of(*transfer.exchange, frame)
            if transfer.exchange in self._long:
                # One of them is long as well: the rest stays behind it.
                rest = behind[number + 1 :]
                self._long[transfer.exchange].behind.extend(rest)
                return

    @property
    def has_more(self) -> bool:
        """Whether pieces wait for room."""
        return bool(self._turns)

    def clear(self) -> None:
        """Forget all of it: the link has ended."""
        self._short.clear()
        self._long.clear()
        self._turns.clear()
        self._last.clear()
        self.size_bytes = 0
