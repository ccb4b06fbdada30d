"""Two links pumped into one another in any bits, with an end at any byte: each exchange has one outcome, the right one."""

from __future__ import annotations

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdamesh.errors import LambdaError, MeshError
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound, LinkBounds
from lambdamesh.protocol.link_frames import PIECE_BYTES
from tests.unit.protocol.linked import Side, a_call

BOUNDS = LinkBounds(2 * PIECE_BYTES, 6)
LONGEST_BYTES = 6 * PIECE_BYTES
"""A link takes a little more than the longest body in one frame."""
BUFFERED_BYTES = 10 * PIECE_BYTES
SIZES = st.sampled_from([0, 0, 0, 100, PIECE_BYTES, 3 * PIECE_BYTES, 5 * PIECE_BYTES, 7 * PIECE_BYTES])
WHICH = st.integers(0, 30)


def a_body(serial: int, size_bytes: int) -> bytes:
    """A body that no other exchange has."""
    return b'"%d:%b"' % (serial, b"%d" % (serial % 10) * size_bytes)


class Asked:
    """One exchange as whoever began it sees it (``Pending``)."""

    def __init__(self, serial: int, how: str, body: bytes) -> None:
        self.serial = serial
        self.how = how
        self.body = body
        self.number = 0
        self.items: list[bytes] = []
        self.results: list[bytes] = []
        self.faults: list[MeshError] = []
        self.is_cancelled = False
        self.seen: Inbound | None = None
        self.said_items: list[bytes] = []
        self.said: bytes | None = None
        self.credited = 0
        self.took_credit = 0
        self.was_cancelled_there = False

    @property
    def outcomes(self) -> int:
        return len(self.results) + len(self.faults)

    @property
    def is_open(self) -> bool:
        return not (self.outcomes or self.is_cancelled)

    def result(self, raw: bytes) -> None:
        assert self.is_open
        self.results.append(raw)

    def item(self, raw: bytes) -> None:
        assert self.is_open
        self.items.append(raw)

    def fault(self, error: MeshError) -> None:
        assert self.is_open
        self.faults.append(error)

    def moved(self, provider: object, number: int) -> None:
        raise AssertionError("nothing moves here")

    # -- as whoever answers it sees it (``Cancellable``) --

    def cancel(self) -> None:
        assert not self.was_cancelled_there
        self.was_cancelled_there = True

    def credit(self, add: int) -> None:
        self.took_credit += add


class End(Side):
    """One end: what it began, and what it was asked. ``exchanges`` are those of both ends, by their serial."""

    def __init__(self, name: str, exchanges: list[Asked]) -> None:
        super().__init__(name, BOUNDS, BUFFERED_BYTES)
        self.exchanges = exchanges
        self.begun: list[Asked] = []
        self.inbound: list[Asked] = []
        self.said_words: list[bytes] = []

    def _see(self, body: bytes, answer: Inbound, how: str) -> None:
        asked = self.exchanges[int(body[1 : body.index(b":")])]
        assert asked.seen is None, "nothing is seen twice"
        assert (asked.body, asked.how) == (body, how)
        assert asked not in self.begun, "nobody is asked by himself"
        asked.seen = answer
        self.inbound.append(asked)
        answer.in_flight(asked)

    def called(self, link: Link, call: object, answer: Inbound) -> None:
        self._see(call.body, answer, "call")  # type: ignore[attr-defined]

    def notified(self, link: Link, call: object, answer: Inbound) -> None:
        self._see(call.body, answer, "notify")  # type: ignore[attr-defined]

    def adopted(self, link: Link, call: object, number: int, answer: Inbound) -> None:
        assert number == 2**40
        self._see(call.body, answer, "adopt")  # type: ignore[attr-defined]

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        assert topic == "topic"
        self._see(body, answer, "ask")


class Pumping(RuleBasedStateMachine):
    """Two ends, the bytes between them, and a connection that ends at any of them."""

    @initialize()
    def begin(self) -> None:
        self.exchanges: list[Asked] = []
        self.pings = [0, 0]
        self._connect()

    def _connect(self) -> None:
        self.ends = [End("0000000a", self.exchanges), End("0000000b", self.exchanges)]
        self.pings = [0, 0]
        self.wires = [b"", b""]
        for end in self.ends:
            end.link.greet(end.hello)
        for at in (0, 1):
            self.write(at, 10**6)
            self.read(at, 10**6)
        assert all(end.link.is_up for end in self.ends)

    def write(self, at: int, room_bytes: int) -> None:
        """What one end has to say goes on the wire."""
        self.wires[at] += self.ends[at].link.outbox.take(room_bytes)

    def read(self, at: int, size_bytes: int) -> None:
        """The other end gets some of it."""
        chunk, self.wires[at] = self.wires[at][:size_bytes], self.wires[at][size_bytes:]
        if chunk:
            self.ends[1 - at].link.receive(chunk)

    # -- what may happen ----------------------------------------------------------------------------------------

    @rule(at=st.integers(0, 1), how=st.sampled_from(["call", "call", "call", "notify", "ask", "adopt"]), size=SIZES)
    def ask(self, at: int, how: str, size: int) -> None:
        end = self.ends[at]
        # What is adopted has been sent before: it is named, and no more.
        size = 0 if how == "adopt" else size
        asked = Asked(len(self.exchanges), how, a_body(len(self.exchanges), size))
        self.exchanges.append(asked)
        end.begun.append(asked)
        call, link = a_call(asked.body, credit=4), end.link
        if how == "call":
            asked.number = link.call(call, asked)
        elif how == "notify":
            asked.number = link.pass_on(call, asked)
        elif how == "adopt":
            asked.number = link.adopt(call, 2**40, asked)
        else:
            asked.number = link.ask("topic", asked.body, asked)

    @rule(at=st.integers(0, 1), size=SIZES)
    def tell(self, at: int, size: int) -> None:
        body = a_body(len(self.ends[at].said_words), size)
        if size < LONGEST_BYTES:
            self.ends[at].said_words.append(body)
            self.ends[at].link.tell("word", body)

    @rule(at=st.integers(0, 1))
    def ping(self, at: int) -> None:
        self.pings[at] += 1
        self.ends[at].link.ping(self.pings[at])

    @rule(at=st.integers(0, 1), which=WHICH, how=st.sampled_from(["result", "result", "fault", "item"]), size=SIZES)
    def answer(self, at: int, which: int, how: str, size: int) -> None:
        """An answer, of an exchange that is open or has ended."""
        end = self.ends[at]
        if not end.inbound:
            return
        asked = end.inbound[which % len(end.inbound)]
        assert asked.seen is not None
        raw, is_open = a_body(asked.serial, size), asked.seen.is_open
        if how == "item":
            if is_open:
                asked.said_items.append(raw)
            asked.seen.item(raw)
            return
        if is_open:
            asked.said = raw
        if how == "result":
            asked.seen.result(raw)
        else:
            asked.seen.fault(LambdaError("boom", data=raw))

    @rule(at=st.integers(0, 1), which=WHICH, add=st.integers(1, 9))
    def credit(self, at: int, which: int, add: int) -> None:
        begun = [asked for asked in self.ends[at].begun if asked.is_open]
        if begun:
            asked = begun[which % len(begun)]
            asked.credited += add
            self.ends[at].link.credit(asked.number, add)

    @rule(at=st.integers(0, 1), which=WHICH)
    def cancel(self, at: int, which: int) -> None:
        begun = [asked for asked in self.ends[at].begun if asked.is_open]
        if begun:
            asked = begun[which % len(begun)]
            asked.is_cancelled = True
            self.ends[at].link.cancel(asked.number)

    @rule(at=st.integers(0, 1), room_bytes=st.sampled_from([0, 1, PIECE_BYTES, 3 * PIECE_BYTES, 10**7]))
    def some_is_written(self, at: int, room_bytes: int) -> None:
        self.write(at, room_bytes)

    @rule(at=st.integers(0, 1), size_bytes=st.integers(1, 200) | st.sampled_from([PIECE_BYTES, 10**6, 10**8]))
    def some_is_read(self, at: int, size_bytes: int) -> None:
        self.read(at, size_bytes)

    @rule()
    def all_is_read(self) -> None:
        self.settle()

    @precondition(lambda self: len(self.exchanges) > 2)
    @rule(lost=st.tuples(st.integers(0, 200), st.integers(0, 200)), first=st.integers(0, 1))
    def the_connection_ends(self, lost: tuple[int, int], first: int) -> None:
        """At any byte of what is on its way, and one end notices before the other."""
        for at in (0, 1):
            self.read(at, max(len(self.wires[at]) - lost[at], 0))
        self.ends[first].link.end()
        self.ends[1 - first].link.end()
        self.all_is_over()
        self._connect()

    # -- what always holds --------------------------------------------------------------------------------------

    def settle(self) -> None:
        while any(self.wires) or any(end.link.outbox.size_bytes for end in self.ends):
            for at in (0, 1):
                self.write(at, 10**6)
                self.read(at, 10**8)

    @invariant()
    def what_is_told_is_what_was_said(self) -> None:
        for asked in self.exchanges:
            assert asked.outcomes <= 1
            assert not (asked.is_cancelled and asked.outcomes)
            # In their order, none twice, and none of another exchange.
            assert asked.items == asked.said_items[: len(asked.items)]
            if asked.results:
                assert asked.results == [asked.said]
                assert asked.items == asked.said_items
            for fault in asked.faults:
                if fault.delivered == "no":
                    assert asked.seen is None
                    assert asked.how != "adopt"
                if fault.code == "lambda_error":
                    assert fault.data == asked.said

    @invariant()
    def words_come_in_their_order(self) -> None:
        for end, other in (self.ends, self.ends[::-1]):
            told = [body for _, body in other.words]
            assert told == end.said_words[: len(told)]

    @invariant()
    def bounds_hold(self) -> None:
        for end in self.ends:
            assert len(end.link.inbound) <= BOUNDS.exchanges
            assert 0 <= end.budget.used_bytes <= BUFFERED_BYTES
            assert end.link.outbox.size_bytes >= 0

    def all_is_over(self) -> None:
        for asked in self.exchanges:
            assert asked.outcomes + asked.is_cancelled == 1
        for end in self.ends:
            assert end.is_clean

    def teardown(self) -> None:
        """All that was asked is answered, and nothing is left."""
        if not hasattr(self, "ends"):
            return
        self.settle()
        for end, other in (self.ends, self.ends[::-1]):
            assert [body for _, body in other.words] == end.said_words
            assert [number for number, _ in end.pongs] == list(range(1, len(end.pongs) + 1))
        assert [len(end.pongs) for end in self.ends] == self.pings
        for asked in self.exchanges:
            if asked.seen is not None and asked.seen.is_open:
                assert asked.is_open
                assert asked.took_credit == asked.credited
                asked.said = b'"last"'
                asked.seen.result(b'"last"')
            elif asked.seen is not None and asked.is_cancelled and asked.said is None:
                assert asked.was_cancelled_there
        self.settle()
        self.what_is_told_is_what_was_said()
        self.all_is_over()


TestPumping = Pumping.TestCase
TestPumping.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
