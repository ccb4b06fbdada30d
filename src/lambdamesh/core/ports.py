"""What the core asks of the parts around it."""

from __future__ import annotations

from typing import Protocol

from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call


class Provider(Protocol):
    """Whoever answers for a lambda: the session of a WebSocket, or a part of one."""

    number: int
    """The number of the last call."""
    pending: dict[int, Pending]
    """The calls that were sent and not answered."""

    def call(self, call: Call, answer: Pending) -> int:
        """Send a call, return its number."""

    def notify(self, call: Call) -> None:
        """Send a notification."""

    def cancel(self, number: int) -> None:
        """Forget a call, and tell the provider where its codec can."""

    def credit(self, number: int, add: int) -> None:
        """Let ``add`` more items of a stream come."""

    def keepable(self) -> tuple[int, ...]:
        """Return the numbers of the open calls that might be answered on another socket."""

    def suspend(self, error: MeshError) -> None:
        """End with ``error`` those that could not be."""

    def end(self, error: MeshError) -> None:
        """Answer every open call with ``error``."""


class Seat(Protocol):
    """The socket that a provider sits on."""

    code: str

    @property
    def congested(self) -> bool:
        """Whether more bytes wait for the socket than may."""

    @property
    def provider(self) -> Provider:
        """The session that is spoken on the socket."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code."""


class Directory(Protocol):
    """Who else is in the mesh."""

    def complete(self) -> bool:
        """Whether every machine that there is would be known here."""

    def knows(self, machine: int) -> bool:
        """Whether ``machine`` is another node of this mesh."""


class Linked(Provider, Protocol):
    """A link to another node: calls of a lambda that has moved there go on over it."""

    def pass_on(self, call: Call, answer: Pending) -> int:
        """Send a notification on; ``answer`` is told once the provider was given it, or why not."""

    def ask(self, topic: str, body: bytes, answer: Pending) -> int:
        """Ask the other node something, and return the number of the exchange."""

    def tell(self, topic: str, body: bytes) -> None:
        """Tell the other node something."""

    def adopt(self, call: Call, lambda_number: int, answer: Pending) -> int:
        """Have the other side answer call ``lambda_number``, which its provider holds from an earlier socket."""


class LinkSeat(Protocol):
    """Where calls for another node are sent: a link, or the line of those that wait for it to come up."""

    @property
    def congested(self) -> bool:
        """Whether more bytes or calls wait for the link than may."""

    @property
    def is_up(self) -> bool:
        """Whether they are sent at once."""

    @property
    def provider(self) -> Linked:
        """What takes them."""


class Links(Protocol):
    """The ways to other places."""

    def seat(self, place: int) -> LinkSeat | MeshError:
        """Return where calls for ``place`` are sent, or why none can be."""

    def ask(self, place: int, topic: str, body: bytes, answer: Pending) -> tuple[Provider, int] | None:
        """Ask a node something; return who owes the answer and under which number, ``None`` if it is told already."""

    def tell(self, place: int, topic: str, body: bytes) -> None:
        """Tell a node something, if it can be reached."""
