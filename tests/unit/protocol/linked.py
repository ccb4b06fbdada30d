"""Two ends of a link without a connection: what each was sent is kept, and bytes go over when a test says so."""

from __future__ import annotations

from lambdamesh.core.budget import Budget
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound, LinkBounds
from lambdamesh.protocol.link_frames import HEAD, HEAD_BYTES, Goodbye, Hello, Kind

MIB = 1024 * 1024
ID = b"rhowRuuCUoE5vlcA"
ROOM_BYTES = 192 * 1024
BOUNDS = LinkBounds(16 * MIB, 65_536)


def a_call(body: bytes = b"1", *, timeout_s: float = 60.0, credit: int = 0) -> Call:
    """A call of the lambda that most tests are about."""
    return Call(ID, b'"test"', body, timeout_s, credit=credit)


def frames(text: bytes) -> list[tuple[int, int, bytes]]:
    """Cut whole frames into kind, number and payload."""
    cut: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(text):
        size, kind, number = HEAD.unpack_from(text, at)
        cut.append((kind, number, text[at + HEAD_BYTES : at + 4 + size]))
        at += 4 + size
    assert at == len(text)
    return cut


class Flying:
    """Stands for a call that runs (``Cancellable``)."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self.credits: list[int] = []

    def cancel(self) -> None:
        assert not self.is_cancelled
        self.is_cancelled = True

    def credit(self, add: int) -> None:
        self.credits.append(add)


class Side:
    """One end (``Receiver``), which keeps what the other has begun and answers nothing by itself."""

    def __init__(self, name: str, bounds: LinkBounds = BOUNDS, room_bytes: int = 512 * MIB) -> None:
        self.budget = Budget(room_bytes)
        self.wakes = 0
        self.hello = Hello(machine=name, instance=name)
        self.link = Link(self._wake, self, bounds, self.budget, lambda: 3)
        self.met: list[Hello] = []
        self.calls: list[tuple[Call, Inbound]] = []
        self.notifications: list[tuple[Call, Inbound]] = []
        self.adopted_calls: list[tuple[Call, int, Inbound]] = []
        self.questions: list[tuple[str, bytes, Inbound]] = []
        self.words: list[tuple[str, bytes]] = []
        self.partings: list[Goodbye] = []
        self.pongs: list[tuple[int, int]] = []
        self.seen: list[str] = []
        """What came, in its order."""

    def _wake(self) -> None:
        self.wakes += 1

    def greeted(self, link: Link, hello: Hello) -> None:
        assert link is self.link
        self.met.append(hello)

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        self.seen.append(f"call of {len(call.body)}")
        self.calls.append((call, answer))
        answer.in_flight(Flying())

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        self.seen.append("notification")
        self.notifications.append((call, answer))

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        self.seen.append("adopted")
        self.adopted_calls.append((call, number, answer))

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        self.seen.append(f"asked {topic}")
        self.questions.append((topic, body, answer))

    def told(self, link: Link, topic: str, body: bytes) -> None:
        self.seen.append(f"told {topic}")
        self.words.append((topic, body))

    def parting(self, link: Link, goodbye: Goodbye) -> None:
        self.partings.append(goodbye)

    def ponged(self, link: Link, number: int, lambdas: int) -> None:
        self.pongs.append((number, lambdas))

    def take(self) -> list[tuple[int, int, bytes]]:
        """Take everything that is to be written, as frames."""
        return frames(self.take_bytes())

    def take_bytes(self) -> bytes:
        """Take everything that is to be written."""
        text = b""
        while chunk := self.link.outbox.take(ROOM_BYTES):
            text += chunk
        return text

    @property
    def flights(self) -> list[Flying]:
        """The calls that run here."""
        return [answer.flight for _, answer in self.calls if isinstance(answer.flight, Flying)]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left of anything."""
        link = self.link
        return not (link.pending or link.inbound or link.outbox.size_bytes or self.budget.used_bytes or link.is_busy)


def pump(one: Side, other: Side) -> None:
    """Let bytes go over, either way, until neither side has more to say."""
    is_more = True
    while is_more:
        is_more = False
        for sender, receiver in ((one, other), (other, one)):
            chunk = sender.link.outbox.take(ROOM_BYTES)
            if chunk:
                is_more = True
                receiver.link.receive(chunk)


def a_pair(
    bounds: LinkBounds = BOUNDS, *, near_bytes: int = 512 * MIB, far_bytes: int = 512 * MIB
) -> tuple[Side, Side]:
    """Two sides that have said hello; ``near_bytes`` and ``far_bytes`` is what they may buffer."""
    near, far = Side("0000000a", bounds, near_bytes), Side("0000000b", bounds, far_bytes)
    near.link.greet(near.hello)
    far.link.greet(far.hello)
    pump(near, far)
    assert near.link.is_up and far.link.is_up
    return near, far


def kinds(side: Side) -> list[Kind]:
    """The kinds of the frames that are to be written now."""
    return [Kind(kind) for kind, _, _ in side.take()]
