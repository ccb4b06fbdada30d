"""Long frames that come in pieces, put together again."""

from __future__ import annotations

from collections.abc import Callable

from lambdamesh.protocol.link_frames import HEAD, HEAD_BYTES, BadFrame, Kind


class _Arrival:
    __slots__ = ("is_extra", "is_kept", "kind", "number", "pieces", "reserved_bytes", "seen_bytes", "total_bytes")

    def __init__(self, total_bytes: int, piece: bytes) -> None:
        _, self.kind, self.number = HEAD.unpack_from(piece)
        self.total_bytes = total_bytes
        self.seen_bytes = 0
        self.reserved_bytes = 0
        self.pieces: list[bytes] = []
        self.is_extra = False
        self.is_kept = True


class Arrivals:
    """The unfinished long frames of one link.

    ``reserve`` and ``release`` take and give back bytes that all large buffers may hold together. What finds no room,
    or is longer than any frame may be, is thrown away, and ``refused`` told kind and number of the frame, and whether
    it was too long. A word finds room always: nobody would hear that it was lost, and nodes would disagree ever after.
    """

    __slots__ = ("_arriving", "_most", "_most_bytes", "_refused", "_release", "_reserve")

    def __init__(
        self,
        most_bytes: int,
        most: int,
        reserve: Callable[[int], bool],
        release: Callable[[int], None],
        refused: Callable[[int, int, bool], None],
    ) -> None:
        self._most_bytes = most_bytes
        self._most = most
        self._reserve = reserve
        self._release = release
        self._refused = refused
        self._arriving: dict[int, _Arrival] = {}

    def __len__(self) -> int:
        return len(self._arriving)

    def piece(self, transfer: int, total_bytes: int, piece: bytes) -> bytes | None:
        """Take one piece; return the frame once it is whole.

        Raises:
            BadFrame: the other side breaks the rules.
        """
        if total_bytes == 0:
            self._forget(transfer)
            return None
        arrival = self._arriving.get(transfer)
        if arrival is None:
            arrival = self._begin(transfer, total_bytes, piece)
        arrival.seen_bytes += len(piece)
        if total_bytes != arrival.total_bytes or arrival.seen_bytes > total_bytes:
            raise BadFrame("a piece does not fit to those before it")
        if arrival.is_kept:
            arrival.pieces.append(piece)
        if arrival.seen_bytes < total_bytes:
            return None
        whole = b"".join(arrival.pieces) if arrival.is_kept else None
        self._forget(transfer)
        return whole

    def _begin(self, transfer: int, total_bytes: int, piece: bytes) -> _Arrival:
        if len(self._arriving) >= self._most or len(piece) < HEAD_BYTES:
            raise BadFrame("one frame too many comes in pieces, or without a head")
        arrival = self._arriving[transfer] = _Arrival(total_bytes, piece)
        is_long = total_bytes > self._most_bytes
        if not is_long and self._reserve(total_bytes):
            arrival.reserved_bytes = total_bytes
        elif arrival.kind == Kind.TELL and any(other.is_extra for other in self._arriving.values()):
            raise BadFrame("more than one word comes in pieces that there is no room for")
        elif arrival.kind == Kind.TELL and not is_long:
            arrival.is_extra = True
        else:
            arrival.is_kept = False
            self._refused(arrival.kind, arrival.number, is_long)
        return arrival

    def _forget(self, transfer: int) -> None:
        arrival = self._arriving.pop(transfer, None)
        if arrival is not None:
            self._release(arrival.reserved_bytes)

    def clear(self) -> None:
        """Hold nothing any more: the link has ended."""
        for transfer in tuple(self._arriving):
            self._forget(transfer)
