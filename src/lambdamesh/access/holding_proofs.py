"""What a home gives to the node that holds one of its lambdas, and knows again after a restart.

A proof is base64url (no padding) of 16 bytes of HMAC-SHA256 under the node key over what it is for: purpose, id, the
holder's place, the epoch.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from lambdamesh.core.places import place_text

_MAC_BYTES = 16


class HoldingProofs:
    """Mints and checks them (``core.homes.Proofs``)."""

    __slots__ = ("_node_key",)

    def __init__(self, node_key: bytes) -> None:
        self._node_key = node_key

    def mint(self, text: bytes, place: int, epoch: int) -> str:
        """Return the proof that the worker at ``place`` was given the lambda ``text`` as the holder of ``epoch``."""
        purpose = b"|".join((b"holding", text, place_text(place).encode(), b"%d" % epoch))
        return urlsafe_b64encode(hmac.digest(self._node_key, purpose, "sha256")[:_MAC_BYTES]).rstrip(b"=").decode()

    def is_right(self, proof: str, text: bytes, place: int, epoch: int) -> bool:
        """Whether it is that; the comparison takes constant time."""
        return hmac.compare_digest(proof.encode(), self.mint(text, place, epoch).encode())
