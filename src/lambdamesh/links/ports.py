"""What links ask of the parts around them."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Protocol

from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound


class Trust(Protocol):
    """Who is a node of this mesh. Contexts may be new ones at each reading: the secret may be changed."""

    def server_context(self) -> ssl.SSLContext:
        """For those who dial this node."""

    def client_context(self) -> ssl.SSLContext:
        """For dialling."""

    def identity(self, ssl_object: ssl.SSLObject) -> int:
        """Return the machine that the other side's certificate names. Raises: Exception, which says what is wrong."""

    def handshake_failure(self, error: Exception, *, is_server: bool) -> str:
        """Say in a sentence why a handshake failed, and what to do."""


class House(Protocol):
    """Takes what other nodes send (``core.reception.Reception``) and what holders tell their homes."""

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        """A call."""

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        """A notification."""

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        """A call that runs since before its lambda moved."""

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        """A question."""

    def told(self, link: Link, topic: str, body: bytes) -> bool:
        """A word; ``False`` where nobody here knows the topic."""


class Holder(Protocol):
    """What is held here of other homes (``core.claims.Claims``)."""

    def holding(self, place: int) -> tuple[str, bytes]:
        """Return what that worker is told first, topic and words: which of its lambdas are held here."""

    def homes(self) -> Collection[int]:
        """Return the places of other nodes that may be home to lambdas held here."""
