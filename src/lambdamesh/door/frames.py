"""Frames of a server as bytes, unmasked and whole (RFC 6455, 5.2), and which closes are legal (7.4)."""

from __future__ import annotations

PING = b"\x89\x00"
CLOSE_BYTE = 0x88
"""First byte of a close."""
SMALL_BYTES = 126
"""From this size on a payload has a longer head."""
NO_CODE = 1005
"""Stands for a close without a code, and is never sent."""
FINAL_CODES = (NO_CODE, 1000)
"""Codes by which the other side says that it will not come back."""

_REASON_BYTES = 123
_LEGAL_CODES = frozenset((*range(1000, 1004), NO_CODE, *range(1007, 1015)))


def text_frame(message: bytes) -> bytes:
    """Write one text message."""
    size = len(message)
    if size < SMALL_BYTES:
        return b"\x81%c%b" % (size, message)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), message)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), message)


def pong_frame(payload: bytes) -> bytes:
    """Write the answer to a ping; ``payload`` is the ping's, at most 125 bytes."""
    return b"\x8a%c%b" % (len(payload), payload)


def close_frame(code: int, reason: str) -> bytes:
    """Write a close; a reason that is too long is cut."""
    if code == NO_CODE:
        return b"\x88\x00"
    payload = code.to_bytes(2, "big") + reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
    return b"\x88%c%b" % (len(payload), payload)


def close_code(payload: bytes) -> int:
    """Read the code of a close: ``NO_CODE`` where there is none, 0 where that is what the other side has sent."""
    if not payload:
        return NO_CODE
    code = int.from_bytes(payload[:2], "big")
    return 0 if code == NO_CODE else code


def is_legal_close(code: int) -> bool:
    """Whether the other side may close with ``code``."""
    return code in _LEGAL_CODES or 3000 <= code <= 4999
