"""The keys by which lambdas are re-opened: checked without stored state, so that they outlive a restart.

A key is base64url (no padding) of a version byte, the expiry in Unix seconds (5 bytes, big-endian), and 16 bytes of
HMAC-SHA256 under the node key over what it is for: purpose, id, door, the ticket's ``sub``, expiry.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

_VERSION = 1
_EXPIRY_BYTES = 5
_MAC_BYTES = 16
_LENGTH = 1 + _EXPIRY_BYTES + _MAC_BYTES
_PADDING = b"=="


class ResumeKeys:
    """Mints and checks the keys of one door, for clients without a ticket."""

    __slots__ = ("_door", "_node_key", "_ttl_s")

    def __init__(self, node_key: bytes, door: str, ttl_s: float) -> None:
        self._node_key = node_key
        self._door = door.encode()
        self._ttl_s = ttl_s

    def mint(self, lambda_id: bytes, now_s: float) -> bytes:
        """Return a key for ``lambda_id``; ``now_s`` is Unix time."""
        expiry = int(now_s + self._ttl_s).to_bytes(_EXPIRY_BYTES, "big")
        return urlsafe_b64encode(bytes((_VERSION,)) + expiry + self._mac(lambda_id, expiry)).rstrip(b"=")

    def is_right(self, key: bytes, lambda_id: bytes, now_s: float) -> bool:
        """Whether ``key`` re-opens ``lambda_id`` now; the comparison takes constant time."""
        try:
            raw = urlsafe_b64decode(key + _PADDING)
        except (binascii.Error, ValueError):
            return False
        if len(raw) != _LENGTH or raw[0] != _VERSION or urlsafe_b64encode(raw).rstrip(b"=") != key:
            return False
        expiry = raw[1 : 1 + _EXPIRY_BYTES]
        is_genuine = hmac.compare_digest(raw[1 + _EXPIRY_BYTES :], self._mac(lambda_id, expiry))
        return is_genuine and int.from_bytes(expiry, "big") > now_s

    def _mac(self, lambda_id: bytes, expiry: bytes) -> bytes:
        text = b"|".join((b"resume", lambda_id, self._door, b"", expiry))
        return hmac.digest(self._node_key, text, "sha256")[:_MAC_BYTES]
