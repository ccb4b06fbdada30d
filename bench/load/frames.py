"""WebSocket frames as cheaply as a load process can make and read them (RFC 6455, section 5.2)."""

import os

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame. The masking key is zero, which is legal and saves the work of masking."""
    size = len(payload)
    if size < 126:
        return b"%c%c\0\0\0\0%b" % (0x80 | opcode, 0x80 | size, payload)
    if size < 65536:
        return b"%c\xfe%b\0\0\0\0%b" % (0x80 | opcode, size.to_bytes(2, "big"), payload)
    return b"%c\xff%b\0\0\0\0%b" % (0x80 | opcode, size.to_bytes(8, "big"), payload)


def split_frames(received: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames of a server's bytes as (opcode, payload), and the bytes left over."""
    frames = []
    at = 0
    while len(received) - at >= 2:
        size, body = received[at + 1], at + 2
        if size == 126:
            size, body = int.from_bytes(received[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, body = int.from_bytes(received[at + 2 : at + 10], "big"), at + 10
        if len(received) < body + size:
            break
        frames.append((received[at] & 15, received[body : body + size]))
        at = body + size
    return frames, received[at:]


def handshake(port: int, path: str) -> bytes:
    """The upgrade request of a client that is not a page."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {os.urandom(16).hex()[:22]}==\r\n\r\n"
    ).encode()
