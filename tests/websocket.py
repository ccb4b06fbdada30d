"""A WebSocket client without manners: every bit of every frame is the test's to choose."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.wire import HOST, Address, Answer, Closing, Headers, RawHttp, WireError, lines

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"
END_S = 3.0
"""Time for a connection to end once both sides have closed: less than a node waits for an answer to its close."""
NO_CODE = 1005
"""Stands for a close frame without a code."""

Read = Callable[[int], bytes]
Changes = Mapping[str, str | None]
NO_CHANGES: Changes = {}

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_of(key: str) -> str:
    """The answer to a handshake's key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def handshake(
    target: str,
    headers: Headers = (),
    *,
    host: str = HOST,
    subprotocols: tuple[str, ...] = (),
    changed: Changes = NO_CHANGES,
) -> bytes:
    """The bytes of a handshake. ``changed`` replaces fields by name; ``None`` leaves one out."""
    fields: dict[str, str | None] = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": ", ".join(subprotocols) or None,
    }
    fields |= changed
    kept = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return lines(f"GET {target} HTTP/1.1", *kept, *(f"{name}: {value}" for name, value in headers))


def masked(payload: bytes, mask: bytes) -> bytes:
    """``payload`` XORed with ``mask``; a mask of zeroes costs nothing."""
    if not payload or mask == bytes(4):
        return payload
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK) -> bytes:
    """The bytes of one frame; ``rsv`` is the three reserved bits, ``mask`` ``None`` leaves it unmasked."""
    return frame_head(opcode, len(payload), fin=fin, rsv=rsv, mask=mask) + masked(payload, mask or bytes(4))


def frame_head(opcode: int, size_bytes: int, *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK) -> bytes:
    """The head of a frame of ``size_bytes`` bytes, up to and with its mask."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask is not None else 0
    if size_bytes < 126:
        head = struct.pack("!BB", first, bit | size_bytes)
    elif size_bytes < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size_bytes)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size_bytes)
    return head + (mask or b"")


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


@dataclass(frozen=True)
class Frame:
    """One frame off the wire."""

    opcode: int
    payload: bytes
    fin: bool


class Closed(WireError):
    """A close frame came where a message was due."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class WebSocket(Closing):
    """The client's side of an open WebSocket. Pings are answered while the test reads, unless ``pongs`` is false."""

    def __init__(self, http: RawHttp, answer: Answer) -> None:
        self.http = http
        self.handshake = answer
        self.pongs = True
        self.pings_seen = 0
        self.closed = False

    @classmethod
    def over(cls, http: RawHttp, answer: Answer) -> Self:
        """Check the answer to a handshake and go on as a WebSocket. Raises: WireError unless it is a proper 101."""
        if answer.status != 101:
            raise WireError(f"no 101 but {answer}")
        upgrade, connection = answer.header("Upgrade"), answer.header("Connection")
        if (upgrade or "").lower() != "websocket" or (connection or "").lower() != "upgrade":
            raise WireError(f"101 without an upgrade: {answer.headers}")
        if answer.header("Sec-WebSocket-Accept") != accept_of(KEY):
            raise WireError(f"a wrong accept: {answer.headers}")
        if answer.header("Sec-WebSocket-Extensions") is not None:
            raise WireError(f"an extension that is not built: {answer.headers}")
        return cls(http, answer)

    @classmethod
    def open(
        cls,
        address: Address,
        target: str,
        *,
        headers: Headers = (),
        host: str = HOST,
        subprotocols: tuple[str, ...] = (),
        receive_buffer_bytes: int | None = None,
    ) -> Self:
        """Connect and shake hands."""
        http = RawHttp(address, receive_buffer_bytes)
        try:
            http.send(handshake(target, headers, host=host, subprotocols=subprotocols))
            return cls.over(http, http.answer())
        except BaseException:
            http.close()
            raise

    def close(self) -> None:
        """End the connection in the ordinary way (FIN)."""
        self.http.close()

    def send_frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        self.http.send(frame(opcode, payload, fin=fin))

    def send(self, message: bytes) -> None:
        """One text message in one frame."""
        self.send_frame(TEXT, message)

    def send_close(self, code: int | None = None, reason: bytes = b"") -> None:
        self.closed = True
        self.send_frame(CLOSE, b"" if code is None else close_payload(code, reason))

    def frame(self, read: Read | None = None) -> Frame:
        """The next frame, checked against what a server may send. ``read`` reads what a large one carries."""
        first, second = self.http.exactly(2)
        if first & 0x70 or second & 0x80:
            raise WireError(f"a masked frame, or reserved bits: {first:#x} {second:#x}")
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.http.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.http.exactly(8))
            return Frame(first & 0x0F, (read or self.http.exactly)(size), bool(first & 0x80))
        return Frame(first & 0x0F, self.http.exactly(size), bool(first & 0x80))

    def frame_but_pings(self, read: Read | None = None) -> Frame:
        """The next frame that is no ping; pings are answered."""
        while (found := self.frame(read)).opcode == PING:
            self.pings_seen += 1
            if self.pongs:
                self.send_frame(PONG, found.payload)
        return found

    def read_ping(self) -> None:
        """Read and answer the next frame, which has to be a ping."""
        found = self.frame()
        if found.opcode != PING:
            raise WireError(f"no ping but {found}")
        self.pings_seen += 1
        self.send_frame(PONG, found.payload)

    def message(self, read: Read | None = None) -> bytes:
        """The next message, which has to be one text frame. Raises: Closed."""
        found = self.frame_but_pings(read)
        if found.opcode == CLOSE:
            raise _closed(found.payload)
        if found.opcode != TEXT or not found.fin:
            raise WireError(f"not a whole text message: {found}")
        found.payload.decode("utf-8")
        return found.payload

    def json(self) -> Any:
        return json.loads(self.message())

    def pong(self) -> bytes:
        """The payload of the next frame, which has to be a pong."""
        found = self.frame_but_pings()
        if found.opcode != PONG:
            raise WireError(f"no pong but {found}")
        return found.payload

    def close_code(self) -> int:
        """Drop messages until the close frame, answer it unless it is an answer, see the connection end; its code."""
        while (found := self.frame_but_pings()).opcode != CLOSE:
            pass
        if not self.closed:
            self.closed = True
            self.send_frame(CLOSE, found.payload[:2])
        self.http.socket.settimeout(END_S)
        rest = self.http.rest()
        if rest:
            raise WireError(f"bytes behind the close frame: {rest[:100]!r}")
        return _closed(found.payload).code


def _closed(payload: bytes) -> Closed:
    if len(payload) == 1:
        raise WireError("a close frame of one byte")
    if not payload:
        return Closed(NO_CODE, "")
    return Closed(struct.unpack("!H", payload[:2])[0], payload[2:].decode("utf-8"))
