"""Hands an accepted connection over to picows: the only module that knows picows from the inside.

picows serves connections that it has accepted itself. Here one that has spoken HTTP is given a picows protocol, which
is fed a small, regular handshake in place of the one that came. What picows wants to write goes through ``Wire``, so
that its closes, for what it finds wrong, keep their place behind our frames and are not cut off.
"""

from __future__ import annotations

import asyncio
import logging
import socket as stdlib_socket
from collections.abc import Mapping
from typing import Any, Protocol, cast

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from lambdamesh.door.bodies import READ_BYTES

Fields = tuple[tuple[bytes, bytes], ...]

_READ_BUFFER_BYTES = 2048
_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)

# picows logs each connection at level INFO, and makes a logger for each unless it is given an adapter.
_silent = logging.getLogger("lambdamesh.picows")
_silent.disabled = True
_LOG = logging.LoggerAdapter(_silent, {})


class WireOwner(Protocol):
    """Who decides what becomes of the bytes that picows wants to write."""

    unframed_bytes: int
    """What has come since the last whole frame."""

    def received(self, size_bytes: int) -> None:
        """Bytes have come that picows is about to look at."""

    def write_raw(self, frame: bytes) -> None:
        """picows sends a frame of its own: a close."""


class _NoTcpOptions:
    """A socket for picows to set TCP options on that a Unix socket would refuse."""

    __slots__ = ("_fileno",)

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno

    def fileno(self) -> int:
        return self._fileno

    def setsockopt(self, *_option: object) -> None:
        pass

    def getsockopt(self, *_option: object) -> int:
        return 0


class Wire:
    """The transport that picows sees."""

    __slots__ = ("_owner", "_transport")

    def __init__(self, transport: asyncio.Transport, owner: WireOwner) -> None:
        self._transport = transport
        self._owner = owner

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection knows; its socket takes any option."""
        found = self._transport.get_extra_info(name, default)
        if name == "socket" and found is not None and found.family == stdlib_socket.AF_UNIX:
            return _NoTcpOptions(found.fileno())
        return found

    def get_write_buffer_size(self) -> int:
        """Never 0: picows would write past us, straight to the socket."""
        return 1

    def write(self, frame: bytes) -> None:
        """Take a frame of picows's own."""
        self._owner.write_raw(bytes(frame))

    def writelines(self, pieces: list[bytes]) -> None:
        """Take a frame of picows's own, in pieces."""
        self._owner.write_raw(b"".join(pieces))

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()

    def close(self) -> None:
        """picows is done with a connection whose close it has sent; the rest is the owner's."""

    def abort(self) -> None:
        """picows is done with a connection whose close it has sent; the rest is the owner's."""


class _Metered(WSProtocol):  # type: ignore[misc] # it is untyped
    """picows's protocol, which says how much it takes in: the buffer of an unfinished frame is seen nowhere else."""

    __slots__ = ("owner",)

    def get_buffer(self, sizehint: int) -> Any:
        """Take little at a time (asyncio), but of a long frame all that there is room for."""
        room = super().get_buffer(sizehint)
        return room if self.owner.unframed_bytes > READ_BYTES else room[:READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what has come (asyncio)."""
        self.owner.received(nbytes)
        super().buffer_updated(nbytes)


class Remains(asyncio.Protocol):
    """What is left of a connection whose conversation is over: it reads and forgets, until the other side closes."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: WSProtocol) -> None:
        self._protocol = protocol

    def data_received(self, data: bytes) -> None:
        """Forget it."""

    def eof_received(self) -> bool:
        """The other side is done."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell picows, and so the listener."""
        self._protocol.connection_lost(exc)


def adopt(transport: asyncio.Transport, owner: WireOwner, fields: Fields, max_frame_bytes: int) -> Any:
    """Give ``transport`` to picows, which answers 101 with ``fields`` through ``owner``, a ``WSListener``.

    Returns the protocol; ``feed`` gives it the handshake and what came behind it. Reading must be paused.
    """
    headers = [(name.decode(), value.decode("latin-1")) for name, value in fields]

    def accept(_request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), cast("WSListener", owner))

    protocol = _Metered(
        None,
        None,
        False,
        accept,
        _LOG,
        True,
        None,
        False,
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        max_frame_bytes,
        None,
        _READ_BUFFER_BYTES,
    )
    protocol.owner = owner
    # uvloop keeps the ``data_received`` of the protocol before, and with it the whole HTTP connection, for as long as
    # the one after takes its bytes in a buffer.
    transport.set_protocol(asyncio.Protocol())
    transport.set_protocol(protocol)
    protocol.connection_made(Wire(transport, owner))
    return protocol


def feed(protocol: Any, key: bytes, tail: bytes) -> None:
    """Give ``protocol`` its handshake, with the client's ``Sec-WebSocket-Key``, and the bytes that came behind it."""
    rest = memoryview(_HANDSHAKE % key + tail)
    while rest:
        room = protocol.get_buffer(-1)
        size = min(len(room), len(rest))
        room[:size] = rest[:size]
        del room
        protocol.buffer_updated(size)
        rest = rest[size:]
    # picows keeps the fields of request and response for whoever asks: 2 KB of each connection that nobody does.
    transport = protocol.transport
    for kept in (transport.request, transport.response):
        if kept is not None:
            kept.headers = None


def websocket_key(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the client's ``Sec-WebSocket-Key``."""
    return fields.get(b"sec-websocket-key", b"")
