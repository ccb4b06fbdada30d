"""One request, however it came, and what it may be answered with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from lambdamesh.core.admission import Admission
from lambdamesh.core.flight import Flight
from lambdamesh.door.head import Head
from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Answer

Fields = tuple[tuple[bytes, bytes], ...]


class Request:
    """One whole and legal request, or one that is refused (``refusal``). ``target`` is path and query as they came.
    ``wishes`` is how its answer is wanted, which most heads say for all requests.

    ``is_call`` and ``pretty`` are found by the routes and say how errors and JSON are written. ``peer`` and ``ray`` are
    set by whoever has it answered. What most requests have in common is the class's, which saves setting it.
    """

    keep_alive = True
    keep_alive_said = False
    is_call = False
    is_read = False
    """Whether the body is known to be JSON."""
    pretty = False
    refusal: MeshError | None = None
    peer = ""
    ray = b""

    def __init__(self, verb: bytes, target: bytes, head: Head, admission: Admission, body: bytes = b"") -> None:
        self.verb = verb
        self.target = target
        self.head = head
        self.wishes = head.wishes
        self.admission = admission
        self.body = body


class Reply(Answer, Protocol):
    """Takes the answer of one request: a call's (``Answer``) or any other's. Exactly one of them, once."""

    owns_connection: bool
    """Whether the answer may be a stream or a WebSocket (``HttpReply``)."""

    def respond(self, status: int, body: bytes, fields: Fields = ()) -> None:
        """Answer with JSON text, or with what a Content-Type that comes first among ``fields`` says."""

    def refuse(self, error: MeshError) -> None:
        """Answer with ``error``."""

    def in_flight(self, flight: Flight | None) -> None:
        """The call is on its way; ``None`` where it has been answered already."""


class HttpReply(Reply, Protocol):
    """A reply that owns its connection."""

    def stream(self, content_type: bytes) -> bool:
        """Begin an answer that goes on; ``False`` where it has ended with its head."""

    def send(self, piece: bytes) -> None:
        """Add to it."""

    @property
    def is_behind(self) -> bool:
        """Whether more of the answer waits than should."""

    def begin(self, content_type: bytes, written: Drained) -> None:
        """Begin the answer of a call that goes on; ``written`` is told when it may go on faster."""

    def add(self, piece: bytes) -> None:
        """Add to it."""

    def finish(self) -> None:
        """It is whole."""

    def upgrade(self, socket: Adopting, fields: Fields) -> None:
        """Answer 101 with ``fields`` and hand the connection over."""


class Drained(Protocol):
    """Writes an answer that goes on."""

    def drained(self) -> None:
        """What was written has been taken."""

    def dropped(self) -> None:
        """The caller has gone."""


class Adopting(Protocol):
    """What a connection can be handed over to."""

    def adopt(self, transport: asyncio.Transport, head: Mapping[bytes, bytes], response: Fields, tail: bytes) -> None:
        """Take it over; ``head`` is the handshake's, ``tail`` what came behind it."""
