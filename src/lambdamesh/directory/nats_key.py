"""The keys by which NATS knows its users (NKEYs): Ed25519, written in base32 with a prefix and a checksum.

A seed is two bytes that say *seed* and of whom, 32 bytes, and a CRC-16 of all of them, low byte first; a public key has
one byte before its 32.
"""

from __future__ import annotations

from base64 import b32decode, b32encode, b64encode
from binascii import Error, crc_hqx

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SEED = 18 << 3
_KEY_BYTES = 32
_CRC_BYTES = 2


class NatsKey:
    """A key pair, read from its seed. ``kind`` is whose it is: the first byte of its public key.

    Raises:
        ValueError: that is none. The text does not show it.
    """

    __slots__ = ("_key", "kind")

    def __init__(self, seed: str) -> None:
        try:
            raw = b32decode(seed + "=" * (-len(seed) % 8))
        except Error:
            raise ValueError("a seed is base32") from None
        body, checksum = raw[:-_CRC_BYTES], raw[-_CRC_BYTES:]
        if len(body) != 2 + _KEY_BYTES or checksum != _checksum(body) or body[0] & 0xF8 != _SEED:
            raise ValueError("that is no seed, or not all of it")
        self.kind = (body[0] & 0x07) << 5 | body[1] >> 3
        self._key = Ed25519PrivateKey.from_private_bytes(body[2:])

    @property
    def public(self) -> str:
        """The public key, as NATS writes it."""
        return _text(bytes((self.kind,)) + self._key.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the signature of ``text``."""
        return self._key.sign(text)

    def answer(self, nonce: str) -> bytes:
        """Return what a server wants to see that has sent ``nonce``."""
        return b64encode(self.sign(nonce.encode()))


def _text(body: bytes) -> str:
    return b32encode(body + _checksum(body)).rstrip(b"=").decode()


def _checksum(body: bytes) -> bytes:
    return crc_hqx(body, 0).to_bytes(_CRC_BYTES, "little")
