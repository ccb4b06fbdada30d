"""The codec ``json-rpc``: JSON-RPC 1.0 with a provider, as the Lambda API has always spoken it.

The node sends ``{"method":"open","params":["<id>"],"id":0}`` and, once that is answered, calls numbered from 1. Bodies
and results are bytes that are spliced in and cut out, never decoded.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_text import NULL, SurrogatesAside, id_of, is_utf8, mended, number_of
from lambdamesh.protocol.opening import Opening
from lambdamesh.protocol.outcome import ABSENT, bad_answer, settle
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters

CODE = "json-rpc"


class _Envelope(msgspec.Struct, gc=False):
    id: int
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = ABSENT
    method: msgspec.Raw = ABSENT


class _WrittenEnvelope(msgspec.Struct, gc=False):
    """As some write it whose language knows one kind of number: ``1.0`` for 1."""

    id: float
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = ABSENT
    method: msgspec.Raw = ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_written_envelope = msgspec.json.Decoder(_WrittenEnvelope).decode


class Session:
    """One conversation with a provider, from ``open`` to its end.

    ``send`` takes one whole message. ``number`` is the number of the last call before this session: numbers count
    over the life of the lambda. ``pending`` holds the calls that were sent and not answered, by number.
    """

    __slots__ = ("_counters", "_on_open", "_send", "framing", "is_open", "number", "pending")

    code = CODE
    keep: tuple[int, ...] = ()

    def __init__(
        self, send: Callable[[bytes], None], on_open: Callable[[], None], counters: SessionCounters, bounds: Bounds
    ) -> None:
        self._send = send
        self._on_open = on_open
        self._counters = counters
        self.framing = Framing(bounds)
        self.is_open = False
        self.number = 0
        self.pending: dict[int, Pending] = {}

    def open(self, opening: Opening) -> None:
        """Tell the provider its id; ``on_open`` is called when it has answered."""
        self._send(b'{"method":"open","params":["%b"],"id":0}' % opening.lambda_id)

    def call(self, call: Call, answer: Pending) -> int:
        """Send one call and return its number."""
        number = self.number + 1
        # Made before it counts as sent: for a large body there may be no memory.
        message = b'{"method":%b,"params":[%b],"id":%d}' % (call.method, call.body, number)
        self.number = number
        self.pending[number] = answer
        self._send(message)
        return number

    def notify(self, call: Call) -> None:
        """Send one notification, which has no answer."""
        self._send(b'{"method":%b,"params":[%b],"id":null}' % (call.method, call.body))

    def cancel(self, number: int) -> None:
        """Forget call ``number``; this codec has no word to tell the provider."""
        self.pending.pop(number, None)

    def credit(self, number: int, add: int) -> None:
        """This codec has no streams."""

    def drop_unpending(self) -> None:
        """Nothing was kept."""

    def keepable(self) -> tuple[int, ...]:
        """Return nothing: who re-opens a lambda with this codec has no word to say what it still holds."""
        return ()

    def suspend(self, error: MeshError) -> None:
        """End every call with ``error``: no other socket could answer it."""
        self.end(error)

    def end(self, error: MeshError) -> None:
        """Answer every open call with ``error``."""
        # One answer may make another caller go, who then takes its own call out of what is left.
        for number in tuple(self.pending):
            answer = self.pending.pop(number, None)
            if answer is not None:
                answer.fault(error)

    def release(self) -> None:
        """Hold nothing any more: whoever sends holds this session, and nobody shall hold the other for ever."""
        self._send = _ignore
        self._on_open = _ignore
        self.framing.release()

    def receive(self, message: bytes, utf8_checked: bool) -> None:
        """Take one message, which may hold a value, several, or a part of one.

        Raises:
            SessionClosed: the message cannot be read (4400), or a value is too long or one too many (1009).
        """
        if self.framing.reads_alone(message, utf8_checked):
            try:
                envelope = _decode_envelope(message)
            except (msgspec.MsgspecError, RecursionError):
                pass
            else:
                self._settle(envelope)
                return
        for value in self.framing.values(message):
            self._receive_value(value)

    def _receive_value(self, value: bytes) -> None:
        envelope = _read_envelope(value) if value.isascii() or is_utf8(value) else None
        if envelope is None:
            self._settle_unreadable(value)
        else:
            self._settle(envelope)

    def _settle(self, envelope: _Envelope) -> None:
        is_answer = envelope.method is ABSENT or bytes(envelope.method) == NULL
        if not self.is_open and envelope.id == 0 and is_answer:
            self._opened(envelope)
            return
        answer = self.pending.pop(envelope.id, None) if is_answer else None
        if answer is None:
            self._counters.unknown_answers += 1
            return
        settle(answer, envelope.result, envelope.error, self._counters)

    def _opened(self, envelope: _Envelope) -> None:
        if bytes(envelope.error) not in (b"", NULL):
            raise SessionClosed(4400, "open was answered with an error")
        self.is_open = True
        self._on_open()

    def _settle_unreadable(self, value: bytes) -> None:
        """End the one call that ``value`` answers, if a lenient reader can tell which that is."""
        try:
            answer_id = id_of(mended(value))
        except (msgspec.MsgspecError, RecursionError):
            raise SessionClosed(4400, "a message is not JSON") from None
        number = number_of(answer_id)
        answer = self.pending.pop(number, None) if number is not None else None
        if answer is None:
            if answer_id not in (b"", NULL):
                self._counters.unknown_answers += 1
            return
        self._counters.bad_answers += 1
        answer.fault(bad_answer())


def _read_envelope(value: bytes) -> _Envelope | None:
    try:
        return _decode_envelope(value)
    except RecursionError:
        return None
    except msgspec.MsgspecError:
        aside = SurrogatesAside(value)
    try:
        written = _decode_written_envelope(aside.plain)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if not written.id.is_integer():
        return None
    envelope = _Envelope(int(written.id), written.result, written.error, written.method)
    envelope.result = msgspec.Raw(aside.restore(bytes(envelope.result)))
    if envelope.error is not ABSENT:
        envelope.error = msgspec.Raw(aside.restore(bytes(envelope.error)))
    return envelope


def _ignore(*_: object) -> None:
    """Stand in for what is gone."""
