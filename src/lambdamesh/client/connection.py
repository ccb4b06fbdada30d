"""One WebSocket to a node: whole messages in, coalesced messages out, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport

from lambdamesh.client.dialling import MESSAGE_BYTES, Listener

log = logging.getLogger("lambdamesh.client")

ABNORMAL = 1006
CLOSE_S = 2.0
"""How long the node may take to answer our close."""

_NOT_UNDERSTOOD = "a message of the node was not understood"
_TEXT = WSMsgType.TEXT
_CONTINUATION = WSMsgType.CONTINUATION
_CLOSE = WSMsgType.CLOSE
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)


class Ending(NamedTuple):
    """How a connection ended: the close code, 1006 where there was none, and the reason that came with it."""

    code: int
    reason: str


class Connection(Listener):
    """A listener of picows. ``on_message`` takes each whole message, and the monotonic time at which it came.

    ``ended`` is done when the connection is over.
    """

    def __init__(self, on_message: Callable[[bytes, float], None]) -> None:
        self._on_message = on_message
        self._fragments: list[bytes] | None = None
        self._fragments_bytes = 0
        self._ending = Ending(ABNORMAL, "the connection was lost")
        self._loop = asyncio.get_running_loop()
        self._drained = asyncio.Event()
        self._drained.set()
        self._transport: WSTransport | None = None
        self.is_congested = False
        self.heard_at = time.monotonic()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()

    # -- picows -------------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; picows has answered pings."""
        kind = frame.msg_type
        if kind == _TEXT and frame.fin:
            try:
                self._on_message(frame.get_payload_as_bytes(), self.heard_at)
            except Exception:
                log.exception(_NOT_UNDERSTOOD)
        elif kind == _CLOSE:
            self._closed(transport, frame.get_payload_as_bytes())
        elif kind in _DATA:
            self._fragment(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is over."""
        self.resume_writing()
        if not self.ended.done():
            self.ended.set_result(self._ending)

    def pause_writing(self) -> None:
        """More bytes wait than may."""
        self.is_congested = True
        self._drained.clear()

    def resume_writing(self) -> None:
        """They have been taken."""
        self.is_congested = False
        self._drained.set()

    # -- reading ------------------------------------------------------------------------------------------------

    def _fragment(self, frame: WSFrame) -> None:
        if frame.msg_type != _CONTINUATION or self._fragments is None:
            self._fragments, self._fragments_bytes = [], 0
        piece = frame.get_payload_as_bytes()
        self._fragments.append(piece)
        self._fragments_bytes += len(piece)
        if self._fragments_bytes > 2 * MESSAGE_BYTES:
            self.close(1009, "a message is over the limit")
        elif frame.fin:
            whole, self._fragments = b"".join(self._fragments), None
            try:
                self._on_message(whole, self.heard_at)
            except Exception:
                log.exception(_NOT_UNDERSTOOD)

    def _closed(self, transport: WSTransport, payload: bytes) -> None:
        if self._ending.code == ABNORMAL:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._ending = Ending(code, payload[2:].decode(errors="replace"))
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    # -- writing ------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send one text message, with all others of this turn of the loop in one write."""
        transport = self._transport
        if transport is not None:
            transport.send(_TEXT, message)

    async def drained(self) -> None:
        """Wait until the node takes bytes again."""
        await self._drained.wait()

    def close(self, code: int, reason: str) -> None:
        """Close with ``code``; cut the connection where the node does not answer."""
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        self._ending = Ending(code, reason)
        # picows sends any number, but its type knows those of the RFC only.
        transport.send_close(code, reason.encode())  # type: ignore[arg-type]
        self._loop.call_later(CLOSE_S, self.abort)

    def abort(self, reason: str = "") -> None:
        """Cut the connection."""
        if reason:
            self._ending = Ending(ABNORMAL, reason)
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(False)
