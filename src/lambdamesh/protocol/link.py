"""One conversation between two workers or two nodes: exchanges in both directions, numbered by whoever begins them.

Bytes in, bytes out: whoever reads the connection feeds ``receive``, whoever writes it asks ``outbox.take``. The link is
up once both sides have said hello.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambdamesh.errors import BadAnswer, LambdaLost, MeshError, Overloaded, PeerUnreachable, TooLarge
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link_arrivals import Arrivals
from lambdamesh.protocol.link_exchange import (
    NOBODY,
    Inbound,
    LinkBounds,
    LinkClosed,
    Receiver,
    Room,
    agreed_version,
)
from lambdamesh.protocol.link_frames import (
    ANSWERS,
    BEHIND,
    FRAME_BYTES,
    HEAD,
    HEAD_BYTES,
    REQUESTS,
    BadFrame,
    Goodbye,
    Hello,
    Kind,
    call_frame,
    count_frame,
    fault_frame,
    frame,
    read_call,
    read_count,
    read_fault,
    read_topic,
    topic_frame,
)
from lambdamesh.protocol.link_outbox import Outbox

_CALL = int(Kind.CALL)
"""Kinds of calls are packed as plain numbers: an enumeration costs more than the rest of the head."""
_NUMBERS = 2**32 - 1
_HELLO_BYTES = 64 * 1024
_ARRIVALS = 4096
_LONGER_BYTES = 256 * 1024
"""What may stand around a body in a long frame, and what a listing may be longer than a body."""


class Link:
    """One side of the conversation (``core.ports.Provider`` for the calls that it begins).

    ``wake`` is told when there is something to write. ``holds`` tells how many lambdas this side holds. ``peer`` is the
    other side's hello, once it has come; ``version`` what both speak. ``place`` is whom the other side has proven to
    be, and ``name`` how errors call it; whoever greets it sets both. What begins when the link has ended is answered at
    once, and has the number 0. ``begun`` counts the exchanges of both sides.
    """

    __slots__ = (
        "_arrivals", "_bounds", "_handlers", "_holds", "_is_greeted", "_receiver", "_rest", "begun",
        "has_parted", "inbound", "is_closed", "name", "number", "outbox", "peer", "pending", "place", "version",
    )  # fmt: skip

    def __init__(
        self, wake: Callable[[], object], receiver: Receiver, bounds: LinkBounds, room: Room, holds: Callable[[], int]
    ) -> None:
        self.outbox = Outbox(wake)
        self.pending: dict[int, Pending] = {}
        self.inbound: dict[int, Inbound] = {}
        self.number = 0
        self.begun = 0
        self.name = "the other node"
        self.place = 0
        self.peer: Hello | None = None
        self.version = 0
        self.has_parted = False
        self.is_closed = False
        self._is_greeted = False
        self._receiver = receiver
        self._bounds = bounds
        self._holds = holds
        self._rest = b""
        most_bytes = bounds.body_bytes + _LONGER_BYTES
        self._arrivals = Arrivals(most_bytes, _ARRIVALS, room.reserve, room.release, self._refused)
        self._handlers: dict[int, Callable[[int, bytes, int, int], None]] = {Kind.HELLO: self._on_hello}

    # -- what this side says ------------------------------------------------------------------------------------

    def greet(self, hello: Hello) -> None:
        """Say who speaks, and of as many others as a hello may hold: the last are told first."""
        text = msgspec.json.encode(hello)
        while len(text) > _HELLO_BYTES and hello.peers:
            hello = msgspec.structs.replace(hello, peers=hello.peers[(len(hello.peers) + 1) // 2 :])
            text = msgspec.json.encode(hello)
        self.outbox.put(frame(Kind.HELLO, 0, text))

    @property
    def is_up(self) -> bool:
        """Whether both sides have said hello and neither has ended the conversation."""
        return self._is_greeted and not self.is_closed

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight, in either direction."""
        return bool(self.pending or self.inbound or self._arrivals or self.outbox.has_more)

    def _begin(self, answer: Pending) -> int:
        """Return the number of an exchange that is begun once its frame is made: for that there may be no memory."""
        if self.is_closed:
            answer.fault(PeerUnreachable(f"the link to {self.name} has ended: try again"))
            return 0
        self.begun += 1
        number = self.number % _NUMBERS + 1
        while number in self.pending:
            number = number % _NUMBERS + 1
        self.number = number
        return number

    def _send(self, kind: int, call: Call, answer: Pending, adopted: int = 0) -> int:
        number = self._begin(answer)
        if number:
            text = call_frame(kind, number, call, adopted)
            self.pending[number] = answer
            self.outbox.put_of(True, number, text)
        return number

    def call(self, call: Call, answer: Pending) -> int:
        """Send a call on and return the number of the exchange."""
        return self._send(_CALL, call, answer)

    def notify(self, call: Call) -> None:
        """Send a notification on, whatever becomes of it (``core.ports.Provider``)."""
        self.pass_on(call, NOBODY)

    def pass_on(self, call: Call, answer: Pending) -> int:
        """Send a notification on; ``answer`` is told once the provider was given it, or why not."""
        return self._send(Kind.NOTIFY, call, answer)

    def adopt(self, call: Call, lambda_number: int, answer: Pending) -> int:
        """Have the other side answer call ``lambda_number``, which its provider holds from an earlier socket."""
        if self.is_closed:
            # Its provider has it: no refusal on the way can say that nothing was run.
            answer.fault(LambdaLost(f"the link to {self.name} has ended: the call may have run"))
            return 0
        return self._send(Kind.ADOPT, call, answer, lambda_number)

    def ask(self, topic: str, body: bytes, answer: Pending) -> int:
        """Ask the other node something, and return the number of the exchange."""
        number = self._begin(answer)
        if number:
            text = topic_frame(Kind.ASK, number, topic, body)
            self.pending[number] = answer
            put = self.outbox.put_last if topic in BEHIND else self.outbox.put_of
            put(True, number, text)
        return number

    def tell(self, topic: str, body: bytes) -> None:
        """Tell the other node something; nothing that is said later comes earlier."""
        if not self.is_closed:
            self.outbox.put_whole(topic_frame(Kind.TELL, 0, topic, body))

    def cancel(self, number: int) -> None:
        """Forget an exchange, and say so."""
        if self.pending.pop(number, None) is not None and not self.outbox.drop(True, number):
            self.outbox.put(frame(Kind.CANCEL, number))

    def credit(self, number: int, add: int) -> None:
        """Let ``add`` more items of an exchange come."""
        if number in self.pending:
            self.outbox.put_of(True, number, count_frame(Kind.CREDIT, number, add))

    def answer(self, number: int, answer: bytes) -> None:
        """Send the frame that ends an exchange of the other side (``Inbound``)."""
        del self.inbound[number]
        self.outbox.put_of(False, number, answer)

    def ping(self, number: int) -> None:
        """Ask whether the other side is there."""
        self.outbox.put(frame(Kind.PING, number))

    def part(self, why: str, *, is_refusal: bool = False) -> None:
        """Begin no more exchanges here, and say why; what is in flight goes on."""
        if not self.has_parted:
            self.has_parted = True
            self.outbox.put(frame(Kind.GOODBYE, 0, msgspec.json.encode(Goodbye(why, is_refusal))))

    # -- its end ------------------------------------------------------------------------------------------------

    def keepable(self) -> tuple[int, ...]:
        """Return nothing: calls on a link are the other side's to keep (``core.ports.Provider``)."""
        return ()

    def suspend(self, error: MeshError) -> None:
        """No socket that comes back answers what was asked here (``core.ports.Provider``)."""

    def end(self, error: MeshError | None = None) -> None:
        """The connection is over: each open call of this side ends, those of the other side are cancelled."""
        self.is_closed = True
        for number in tuple(self.pending):
            answer = self.pending.pop(number, None)
            if answer is not None:
                answer.fault(error or self._loss(number))
        for inbound in tuple(self.inbound.values()):
            inbound.drop()
        self.inbound.clear()
        self.outbox.clear()
        self._arrivals.clear()
        self._handlers = {}
        self._rest = b""

    def _loss(self, number: int) -> MeshError:
        if self.outbox.is_unsent(True, number):
            return PeerUnreachable(f"the link to {self.name} ended before the call was sent whole: try again")
        return LambdaLost(f"the link to {self.name} ended before the answer came: the call may have run")

    # -- what the other side says -------------------------------------------------------------------------------

    def receive(self, text: bytes) -> None:
        """Take bytes as they come.

        Raises:
            LinkClosed: the other side breaks the rules, or is not welcome. What it says after that is not read.
        """
        if self.is_closed:
            return
        try:
            self._read(text)
        except LinkClosed:
            self.is_closed = True
            raise
        except BadFrame as error:
            self.is_closed = True
            raise LinkClosed(str(error)) from None

    def _read(self, text: bytes) -> None:
        if self._rest:
            text = self._rest + text
        at, end = 0, len(text)
        unpack, handlers = HEAD.unpack_from, self._handlers
        while end - at >= HEAD_BYTES:
            size, kind, number = unpack(text, at)
            stop = at + 4 + size
            if size < 5 or size > FRAME_BYTES:
                raise LinkClosed("a frame is longer than any may be: is that a lambdamesh node?")
            if stop > end:
                break
            handler = handlers.get(kind)
            if handler is not None:
                handler(number, text, at + HEAD_BYTES, stop)
                if self.is_closed:
                    return
            elif not self._is_greeted:
                raise LinkClosed("the first frame is no hello: is that a lambdamesh node?")
            at = stop
        self._rest = text[at:] if at else text

    def _on_hello(self, _number: int, text: bytes, at: int, stop: int) -> None:
        if self._is_greeted or stop - at > _HELLO_BYTES:
            raise LinkClosed("a second hello, or a very long one")
        try:
            hello = msgspec.json.decode(text[at:stop], type=Hello)
        except msgspec.MsgspecError as error:
            raise LinkClosed(f"its hello cannot be read: {error}") from None
        self.version = agreed_version(self._bounds.versions, hello.versions)
        self.peer = hello
        self._receiver.greeted(self, hello)
        self._is_greeted = True
        # In place: whoever reads frames right now has this table in hand.
        self._handlers.clear()
        self._handlers |= {
            Kind.CALL: self._on_call,
            Kind.RESULT: self._on_result,
            Kind.ITEM: self._on_item,
            Kind.FAULT: self._on_fault,
            Kind.CANCEL: self._on_cancel,
            Kind.CREDIT: self._on_credit,
            Kind.NOTIFY: self._on_notify,
            Kind.ADOPT: self._on_adopt,
            Kind.ASK: self._on_ask,
            Kind.TELL: self._on_tell,
            Kind.PART: self._on_part,
            Kind.PING: self._on_ping,
            Kind.PONG: self._on_pong,
            Kind.GOODBYE: self._on_goodbye,
        }

    def _on_call(self, number: int, text: bytes, at: int, stop: int) -> None:
        call, _ = read_call(text, at, stop)
        answer = self._welcome(number)
        if answer is not None:
            self._receiver.called(self, call, answer)

    def _on_adopt(self, number: int, text: bytes, at: int, stop: int) -> None:
        call, adopted = read_call(text, at, stop)
        answer = self._welcome(number, LambdaLost)
        if answer is not None:
            self._receiver.adopted(self, call, adopted, answer)

    def _on_notify(self, number: int, text: bytes, at: int, stop: int) -> None:
        call, _ = read_call(text, at, stop)
        answer = self._welcome(number)
        if answer is not None:
            self._receiver.notified(self, call, answer)

    def _on_ask(self, number: int, text: bytes, at: int, stop: int) -> None:
        topic, body = read_topic(text[at:stop])
        answer = self._welcome(number)
        if answer is not None:
            self._receiver.asked(self, topic, body, answer)

    def _on_tell(self, _number: int, text: bytes, at: int, stop: int) -> None:
        self._receiver.told(self, *read_topic(text[at:stop]))

    def _welcome(self, number: int, refusal: type[MeshError] = Overloaded) -> Inbound | None:
        if number in self.inbound:
            raise LinkClosed("two exchanges have the same number")
        self.begun += 1
        answer = self.inbound[number] = Inbound(self, number)
        if len(self.inbound) > self._bounds.exchanges:
            answer.fault(refusal(f"{self._bounds.exchanges} calls of this link are in flight: try again later"))
            return None
        return answer

    def _on_cancel(self, number: int, _text: bytes, _at: int, _stop: int) -> None:
        self.outbox.drop(False, number)
        answer = self.inbound.pop(number, None)
        if answer is not None:
            answer.drop()

    def _on_credit(self, number: int, text: bytes, at: int, stop: int) -> None:
        answer = self.inbound.get(number)
        if answer is not None and answer.flight is not None:
            answer.flight.credit(read_count(text[at:stop]))

    def _on_result(self, number: int, text: bytes, at: int, stop: int) -> None:
        answer = self.pending.pop(number, None)
        if answer is not None:
            answer.result(text[at:stop])

    def _on_item(self, number: int, text: bytes, at: int, stop: int) -> None:
        answer = self.pending.get(number)
        if answer is not None:
            answer.item(text[at:stop])

    def _on_fault(self, number: int, text: bytes, at: int, stop: int) -> None:
        answer = self.pending.pop(number, None)
        if answer is not None:
            self.outbox.drop(True, number)
            answer.fault(read_fault(text[at:stop]))

    def _on_part(self, transfer: int, text: bytes, at: int, stop: int) -> None:
        piece_at = at + 4
        if piece_at > stop:
            raise BadFrame("a piece without its head")
        whole = self._arrivals.piece(transfer, read_count(text[at:piece_at]), text[piece_at:stop])
        if whole is None:
            return
        size, kind, number = HEAD.unpack_from(whole)
        handler = self._handlers.get(kind)
        if size + 4 != len(whole) or kind == Kind.PART:
            raise LinkClosed("a frame that came in pieces is not as long as it says")
        if handler is not None:
            handler(number, whole, HEAD_BYTES, len(whole))

    def _refused(self, kind: int, number: int, is_long: bool) -> None:
        """A long frame is not taken: whoever waits for it is told, the link goes on."""
        error: MeshError
        if kind in REQUESTS:
            error = Overloaded("the node of this lambda buffers as many large bodies as it may: try again later")
            if is_long:
                error = TooLarge(f"the node of this lambda takes bodies of at most {self._bounds.body_bytes} bytes")
            self.outbox.put(fault_frame(number, error))
        elif kind in ANSWERS and number in self.pending:
            answer = self.pending.pop(number)
            self.outbox.put(frame(Kind.CANCEL, number))
            error = Overloaded("this node buffers as many large answers as it may: the call has run", delivered="yes")
            if is_long:
                error = BadAnswer(f"the answer is longer than {self._bounds.body_bytes} bytes, which this node takes")
            answer.fault(error)

    def _on_ping(self, number: int, _text: bytes, _at: int, _stop: int) -> None:
        self.outbox.put(count_frame(Kind.PONG, number, self._holds()))

    def _on_pong(self, number: int, text: bytes, at: int, stop: int) -> None:
        self._receiver.ponged(self, number, read_count(text[at:stop]))

    def _on_goodbye(self, _number: int, text: bytes, at: int, stop: int) -> None:
        try:
            goodbye = msgspec.json.decode(text[at:stop], type=Goodbye)
        except msgspec.MsgspecError:
            goodbye = Goodbye("it did not say why")
        self._receiver.parting(self, goodbye)
