"""Opens the WebSocket to a node. It alone of the client knows picows from the inside.

picows masks and frames in C, but writes each frame to the socket by itself. It is given ``Wire`` for its transport,
which gathers what is written within one turn of the event loop into one write.
"""

from __future__ import annotations

import asyncio
import logging
import socket as stdlib_socket
import ssl
import time
from http import HTTPStatus
from typing import Any

import msgspec
from picows import WSError, WSListener
from picows.common import WSHandshakeError
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from lambdamesh.client.address import Address

SUBPROTOCOL = "json-rpc-2.0"
MESSAGE_BYTES = 16 * 1024 * 1024
"""Longest message either way."""
HANDSHAKE_S = 10.0

_QUEUE_BYTES = 1024 * 1024
_FLUSH_FRAMES = 16
"""The node begins with these while the rest is being written."""
_FLUSH_BYTES = 64 * 1024
_READ_BUFFER_BYTES = 16 * 1024
_REASON_CHARACTERS = 500
_ENVELOPE_BYTES = 64 * 1024

# picows logs each connection at level INFO, and makes a logger for each unless it is given an adapter.
_silent = logging.getLogger("lambdamesh.client.picows")
_silent.disabled = True
_LOG = logging.LoggerAdapter(_silent, {})

Fields = list[tuple[str, str]]


class _Told(msgspec.Struct):
    error: str


class Refused(Exception):
    """The node answered the handshake with an HTTP ``status`` of its own; ``reason`` is what it said."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


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
    """The transport that picows sees: all that is written within one turn of the loop goes out in one write."""

    __slots__ = ("_call_soon", "_pending", "_pending_bytes", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection knows; its socket takes any option."""
        found = self._transport.get_extra_info(name, default)
        unix = getattr(stdlib_socket, "AF_UNIX", None)
        if name == "socket" and found is not None and unix is not None and found.family == unix:
            return _NoTcpOptions(found.fileno())
        return found

    def get_write_buffer_size(self) -> int:
        """Never 0: picows would write past us, straight to the socket."""
        return 1

    def write(self, frame: bytes) -> None:
        """Take one frame."""
        pending = self._pending
        if not pending:
            self._call_soon(self.flush)
        pending.append(frame)
        self._pending_bytes += len(frame)
        if self._pending_bytes > _FLUSH_BYTES or len(pending) >= _FLUSH_FRAMES:
            self.flush()

    def writelines(self, pieces: list[bytes]) -> None:
        """Take one frame in pieces."""
        self.write(b"".join(pieces))

    def flush(self) -> None:
        """Write what has gathered."""
        pending = self._pending
        if pending and not self._transport.is_closing():
            self._transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        pending.clear()
        self._pending_bytes = 0

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close when all has been written."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()


class Listener(WSListener):
    """A listener that knows when anything last came, in monotonic seconds: also a piece of a long message."""

    heard_at = 0.0


class _Protocol(WSProtocol):  # type: ignore[misc] # it is untyped
    """picows's protocol on a ``Wire``."""

    __slots__ = ("heard_by",)

    def buffer_updated(self, nbytes: int) -> None:
        self.heard_by.heard_at = time.monotonic()
        super().buffer_updated(nbytes)

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.set_write_buffer_limits(high=_QUEUE_BYTES)
        super().connection_made(Wire(transport, asyncio.get_running_loop()))


async def dial(address: Address, listener: Listener, fields: Fields, tls: ssl.SSLContext | None = None) -> None:
    """Open a WebSocket to ``/connect`` for ``listener``; ``fields`` are more header fields of the handshake.

    Raises:
        Refused: the node answered, but not with 101 and our subprotocol.
        OSError: nothing answers there, or not within 10 s (``TimeoutError``).
    """
    loop = asyncio.get_running_loop()

    def protocol() -> WSProtocol:
        made = _Protocol(
            address.authority,
            "/connect",
            True,
            lambda _request, _response: listener,
            _LOG,
            True,
            None,
            False,
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,
            MESSAGE_BYTES + _ENVELOPE_BYTES,
            fields,
            _READ_BUFFER_BYTES,
        )
        made.heard_by = listener
        return made

    made: Any
    async with asyncio.timeout(HANDSHAKE_S):
        if address.path is not None:
            _, made = await loop.create_unix_connection(protocol, address.path)
        else:
            context = (tls or ssl.create_default_context()) if address.is_secure else None
            _, made = await loop.create_connection(protocol, address.host, address.port, ssl=context)
        try:
            await made.wait_until_handshake_complete()
        except WSError as error:
            raise _refusal(error) from error
        except BaseException:
            made.transport.disconnect(False)
            raise
    _check(made.transport)


def _refusal(error: WSError) -> Exception:
    if isinstance(error, WSHandshakeError) and error.response is not None:
        status = error.response.status
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            return Refused(int(status), _reason(error.raw_body or b"")[:_REASON_CHARACTERS] or status.phrase)
    return ConnectionError(f"what answers there does not speak WebSocket: {error}")


def _reason(body: bytes) -> str:
    """What a node says in an answer that tells an error; of anything else the text."""
    try:
        return msgspec.json.decode(body, type=_Told).error
    except (ValueError, msgspec.MsgspecError):
        return body.decode(errors="replace").strip()


def _check(transport: Any) -> None:
    # One that was closed right behind the handshake is the listener's: it has the code of the close.
    if transport.response is None:
        raise ConnectionResetError("the connection ended during the handshake")
    chosen = transport.response.headers.get("Sec-WebSocket-Protocol")
    if chosen != SUBPROTOCOL:
        transport.disconnect(False)
        raise Refused(426, f"it speaks {chosen or 'json-rpc'} at /connect, and not {SUBPROTOCOL}: is it older than us?")
