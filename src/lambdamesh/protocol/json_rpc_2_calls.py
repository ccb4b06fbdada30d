"""The calls of one lambda in JSON-RPC 2.0: what is sent for each, and how what comes back ends it.

With ``meta`` the conventions are those of the Language Server Protocol: ``$/cancelRequest``, ``$/progress``; and
``$/credit``, which says how many more items of a stream are wanted.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambdamesh.errors import BadAnswer, MeshError
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2 import Message
from lambdamesh.protocol.json_text import SHALLOW_BYTES, is_shallow
from lambdamesh.protocol.outcome import bad_answer, settle
from lambdamesh.protocol.session import Bounds, SessionCounters


class LambdaCalls:
    """The calls of one lambda (``core.ports.Provider``).

    ``send`` takes one whole message. ``prefix`` and ``suffix`` stand around the number of a call in its id. ``number``
    is the number of the last call: numbers count over the life of the lambda. ``pending`` holds the calls that were
    sent and not answered. ``has_meta`` is whether the provider asked for ``meta``.
    """

    __slots__ = (
        "_bounds",
        "_counters",
        "_credits",
        "_lambda_id",
        "_prefix",
        "_send",
        "_suffix",
        "has_meta",
        "number",
        "pending",
    )

    def __init__(
        self,
        send: Callable[[bytes], None],
        counters: SessionCounters,
        bounds: Bounds,
        lambda_id: bytes = b"",
        quote: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        self._send = send
        self._counters = counters
        self._bounds = bounds
        self._lambda_id = lambda_id
        self._prefix, self._suffix = quote
        self._credits: dict[int, int] | None = None
        self.has_meta = False
        self.number = 0
        self.pending: dict[int, Pending] = {}

    # -- to the provider ----------------------------------------------------------------------------------------

    def call(self, call: Call, answer: Pending) -> int:
        """Send one call and return its number."""
        number = self.number + 1
        # Made before it counts as sent: for a large body there may be no memory.
        message = self._message(call, number) if self.has_meta else self._plain_message(call, number)
        self.number = number
        self.pending[number] = answer
        if call.credit and self.has_meta:
            if self._credits is None:
                self._credits = {}
            self._credits[number] = call.credit
        self._send(message)
        return number

    def _plain_message(self, call: Call, number: int) -> bytes:
        return b'{"jsonrpc":"2.0","method":%b,"params":[%b],"id":%b}' % (call.method, call.body, self._id(number))

    def _message(self, call: Call, number: int) -> bytes:
        return b'{"jsonrpc":"2.0","method":%b,"params":[%b],"id":%b%d%b,"meta":{"deadline_ms":%d,%b,"stream":%b}}' % (
            call.method,
            call.body,
            self._prefix,
            number,
            self._suffix,
            call.timeout_s * 1000,
            self._origin(call),
            b'true,"credit":%d' % call.credit if call.credit else b"false",
        )

    def notify(self, call: Call) -> None:
        """Send one notification, which has no answer."""
        meta = b',"meta":{%b}' % self._origin(call) if self.has_meta else b""
        self._send(b'{"jsonrpc":"2.0","method":%b,"params":[%b]%b}' % (call.method, call.body, meta))

    def _origin(self, call: Call) -> bytes:
        """Say which lambda is called, and under which names traces know the call."""
        if call.traceparent:
            return b'"ray":"%b","traceparent":"%b","lambda":"%b"' % (call.ray, call.traceparent, self._lambda_id)
        return b'"ray":"%b","lambda":"%b"' % (call.ray, self._lambda_id)

    def _id(self, number: int) -> bytes:
        return b"%b%d%b" % (self._prefix, number, self._suffix)

    def credit(self, number: int, add: int) -> None:
        """Let the provider send ``add`` more items of a stream."""
        credits_left = self._credits
        if credits_left is not None and number in credits_left:
            credits_left[number] += add
            self._send(b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":%b,"add":%d}}' % (self._id(number), add))

    def cancel(self, number: int) -> None:
        """Forget a call, and tell the provider where it asked for ``meta``."""
        if self.pending.pop(number, None) is None:
            return
        self._forget_credit(number)
        self.recall(number)

    def recall(self, number: int) -> None:
        """Tell the provider, where it asked for ``meta``, that nobody waits for a call."""
        if self.has_meta:
            self._send(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%b}}' % self._id(number))

    # -- from the provider --------------------------------------------------------------------------------------

    def settle(self, number: int | None, message: Message) -> None:
        """End the call that ``message`` answers."""
        answer = self._taken(number)
        if answer is not None:
            settle(answer, message.result, message.error, self._counters)

    def spoil(self, number: int | None, *, is_item: bool = False) -> None:
        """End the call to which something came that is not JSON: its answer, or one of its items."""
        if is_item and number in self.pending and number not in (self._credits or ()):
            return
        answer = self._taken(number)
        if answer is None:
            return
        self._counters.bad_answers += 1
        if is_item and number is not None and self.has_meta:
            self._send(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%b}}' % self._id(number))
        answer.fault(bad_answer())

    def item(self, number: int | None, value: msgspec.Raw) -> None:
        """Pass one value of a stream on. Whoever wants the result only gets none."""
        answer = self.pending.get(number) if number is not None else None
        if answer is None or number is None:
            self._counters.unknown_answers += 1
            return
        credits_left = self._credits
        if credits_left is None or number not in credits_left:
            return
        raw = bytes(value)
        if credits_left[number] <= 0:
            self._overrun(number, "the lambda sent an item beyond its credit")
        elif len(raw) > self._bounds.item_bytes:
            self._overrun(number, f"the lambda sent an item of more than {self._bounds.item_bytes} bytes")
        elif len(raw) > SHALLOW_BYTES and not is_shallow(raw):
            self.spoil(number, is_item=True)
        else:
            credits_left[number] -= 1
            answer.item(raw)

    def _overrun(self, number: int, why: str) -> None:
        answer = self.pending.get(number)
        self._counters.stream_overruns += 1
        self.cancel(number)
        if answer is not None:
            answer.fault(BadAnswer(f"{why}: the stream is cancelled; mend the provider"))

    def _taken(self, number: int | None) -> Pending | None:
        answer = self.pending.pop(number, None) if number is not None else None
        if answer is None or number is None:
            self._counters.unknown_answers += 1
            return None
        self._forget_credit(number)
        return answer

    def _forget_credit(self, number: int) -> None:
        if self._credits is not None:
            self._credits.pop(number, None)

    # -- ends ---------------------------------------------------------------------------------------------------

    def keepable(self) -> tuple[int, ...]:
        """Return the numbers of the calls that another socket could answer: all but streams, whose items get lost."""
        return tuple(number for number in self.pending if number not in (self._credits or ()))

    def suspend(self, error: MeshError) -> None:
        """End with ``error`` what no other socket could answer."""
        self._end(tuple(self._credits or ()), error)

    def end(self, error: MeshError) -> None:
        """Answer every open call with ``error``."""
        self._end(tuple(self.pending), error)

    def _end(self, numbers: tuple[int, ...], error: MeshError) -> None:
        # One answer may make another caller go, who then takes its own call out of what is left.
        for number in numbers:
            answer = self.pending.pop(number, None)
            self._forget_credit(number)
            if answer is not None:
                answer.fault(error)

    def release(self) -> None:
        """Send nothing any more: whoever sends holds these calls, and nobody shall hold the other for ever."""
        self._send = _ignore


def _ignore(_message: bytes) -> None:
    """Stand in for what is gone."""
