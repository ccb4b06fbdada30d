"""One exchange of a link that the other side has begun, and the ports of a link."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from lambdamesh.errors import MeshError
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link_frames import VERSIONS, Goodbye, Hello, Kind, fault_frame, frame
from lambdamesh.protocol.link_outbox import Outbox

_RESULT, _ITEM = int(Kind.RESULT), int(Kind.ITEM)


class LinkBounds(NamedTuple):
    """What one link takes: bytes of a body, exchanges in flight that the other side has begun, and which versions."""

    body_bytes: int
    exchanges: int
    versions: tuple[int, int] = VERSIONS


class LinkClosed(Exception):
    """The conversation cannot go on; the text says why. ``is_refusal`` where another attempt would end the same way."""

    def __init__(self, why: str, *, is_refusal: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_refusal = is_refusal


class Room(Protocol):
    """What all large buffers of a worker may hold together (``core.budget.Budget``)."""

    def reserve(self, size_bytes: int) -> bool:
        """Take ``size_bytes``, if there are so many."""

    def release(self, size_bytes: int) -> None:
        """Give them back."""


class Cancellable(Protocol):
    """A call that somebody else may end."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""

    def credit(self, add: int) -> None:
        """Let ``add`` more items come."""


class Receiver(Protocol):
    """Takes what the other side begins; ``link`` is the ``protocol.link.Link`` that it came by."""

    def greeted(self, link: Any, hello: Hello) -> None:
        """The other side has said who it is. Raises ``LinkClosed`` where it is not welcome."""

    def called(self, link: Any, call: Call, answer: Inbound) -> None:
        """A call."""

    def notified(self, link: Any, call: Call, answer: Inbound) -> None:
        """A notification, whose answer says whether it could be given to the provider."""

    def adopted(self, link: Any, call: Call, number: int, answer: Inbound) -> None:
        """A call that a provider still holds under ``number`` from another socket."""

    def asked(self, link: Any, topic: str, body: bytes, answer: Inbound) -> None:
        """A question of the other node."""

    def told(self, link: Any, topic: str, body: bytes) -> None:
        """A word of the other node."""

    def parting(self, link: Any, goodbye: Goodbye) -> None:
        """The other side begins nothing more."""

    def ponged(self, link: Any, number: int, lambdas: int) -> None:
        """A ping was answered by a node that holds so many lambdas."""


class Answering(Protocol):
    """The link that an exchange came by."""

    outbox: Outbox

    def answer(self, number: int, answer: bytes) -> None:
        """Send the frame that ends an exchange."""


class Inbound:
    """One exchange that the other side has begun, and where its answer goes (``protocol.answer.Answer``)."""

    __slots__ = ("_link", "_number", "flight")

    def __init__(self, link: Answering, number: int) -> None:
        self._link: Answering | None = link
        self._number = number
        self.flight: Cancellable | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._link is not None

    @property
    def waiting_bytes(self) -> int:
        """What waits for the link, of all exchanges."""
        return self._link.outbox.size_bytes if self._link is not None else 0

    def in_flight(self, flight: Cancellable | None) -> None:
        """Remember what to cancel should the other side go."""
        if self._link is not None:
            self.flight = flight
        elif flight is not None:
            flight.cancel()

    def result(self, raw: bytes) -> None:
        """End it with a result."""
        link, self._link, self.flight = self._link, None, None
        if link is not None:
            link.answer(self._number, frame(_RESULT, self._number, raw))

    def item(self, raw: bytes) -> None:
        """Send one value of a stream."""
        if self._link is not None:
            self._link.outbox.put_of(False, self._number, frame(_ITEM, self._number, raw))

    def fault(self, error: MeshError) -> None:
        """End it with an error."""
        link, self._link, self.flight = self._link, None, None
        if link is not None:
            link.answer(self._number, fault_frame(self._number, error))

    def drop(self) -> None:
        """The other side does not wait any more, or is gone."""
        self._link = None
        flight, self.flight = self.flight, None
        if flight is not None:
            flight.cancel()


class _Nobody:
    """Waits for no answer."""

    def result(self, raw: bytes) -> None:
        """It was given to the provider."""

    def item(self, raw: bytes) -> None:
        """There are none."""

    def fault(self, error: MeshError) -> None:
        """It was not."""

    def moved(self, provider: object, number: int) -> None:
        """It is somebody else's now."""


NOBODY = _Nobody()
"""Is told what nobody wants to know."""


def agreed_version(ours: tuple[int, int], theirs: tuple[int, int]) -> int:
    """Return the highest version that both sides speak; each range is the lowest and the highest.

    Raises:
        LinkClosed: there is none.
    """
    version = min(ours[1], theirs[1])
    if version < max(ours[0], theirs[0]):
        raise LinkClosed(
            f"no version of the link protocol is spoken by both: this node speaks {ours[0]} to {ours[1]}, "
            f"the other {theirs[0]} to {theirs[1]}: bring both to releases that are nearer to each other",
            is_refusal=True,
        )
    return version
