"""The codec ``json-rpc``: JSON-RPC 1.0 with a provider, as the Lambda API has always spoken it.

The node sends ``{"method":"open","params":["<id>"],"id":0}`` and, once that is answered, calls numbered from 1. Bodies
and results are bytes that are spliced in and cut out, never decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from lambdamesh.errors import BadAnswer, InvalidParams, LambdaError, MeshError, MethodNotFound
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_text import NULL, SHALLOW_BYTES, SurrogatesAside, is_shallow, is_utf8, lenient
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters

CODE = "json-rpc"

_ABSENT = msgspec.Raw(b"")


class _Envelope(msgspec.Struct, gc=False):
    id: int
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = _ABSENT
    method: msgspec.Raw = _ABSENT


class _WrittenEnvelope(msgspec.Struct, gc=False):
    """As some write it whose language knows one kind of number: ``1.0`` for 1."""

    id: float
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = _ABSENT
    method: msgspec.Raw = _ABSENT


class _ErrorObject(msgspec.Struct, gc=False):
    code: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_written_envelope = msgspec.json.Decoder(_WrittenEnvelope).decode
_decode_error_object = msgspec.json.Decoder(_ErrorObject).decode
_RPC_CODE = re.compile(rb"-?[0-9]{1,18}\Z")
_RPC_CODES: dict[int, type[LambdaError]] = {-32601: MethodNotFound, -32602: InvalidParams}


class Session:
    """One conversation with a provider, from ``open`` to its end.

    ``send`` takes one whole message. ``number`` is the number of the last call before this session: numbers count
    over the life of the lambda. ``pending`` holds the calls that were sent and not answered, by number.
    """

    __slots__ = ("_counters", "_on_open", "_send", "framing", "is_open", "number", "pending")

    def __init__(
        self, send: Callable[[bytes], None], on_open: Callable[[], None], counters: SessionCounters, bounds: Bounds
    ) -> None:
        self._send = send
        self._on_open = on_open
        self._counters = counters
        self.framing = Framing(bounds)
        self.is_open = False
        self.number = 0
        self.pending: dict[int, Answer] = {}

    def open(self, lambda_id: bytes) -> None:
        """Tell the provider its id; ``on_open`` is called when it has answered."""
        self._send(b'{"method":"open","params":["%b"],"id":0}' % lambda_id)

    def call(self, method: bytes, body: bytes, answer: Answer) -> int:
        """Send one call and return its number. ``method`` is a JSON string, ``body`` a JSON text."""
        self.number = number = self.number + 1
        self.pending[number] = answer
        self._send(b'{"method":%b,"params":[%b],"id":%d}' % (method, body, number))
        return number

    def notify(self, method: bytes, body: bytes) -> None:
        """Send one notification, which has no answer."""
        self._send(b'{"method":%b,"params":[%b],"id":null}' % (method, body))

    def cancel(self, number: int) -> None:
        """Forget call ``number``; this codec has no word to tell the provider."""
        self.pending.pop(number, None)

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
        is_answer = envelope.method is _ABSENT or bytes(envelope.method) == NULL
        if not self.is_open and envelope.id == 0 and is_answer:
            self._opened(envelope)
            return
        answer = self.pending.pop(envelope.id, None) if is_answer else None
        if answer is None:
            self._counters.unknown_answers += 1
            return
        error = envelope.error
        is_error = error is not _ABSENT and bytes(error) != NULL
        raw = bytes(error if is_error else envelope.result)
        if len(raw) > SHALLOW_BYTES and not is_shallow(raw):
            self._counters.bad_answers += 1
            answer.fault(_BAD_ANSWER)
        elif is_error:
            answer.fault(_lambda_error(raw))
        else:
            answer.result(raw)

    def _opened(self, envelope: _Envelope) -> None:
        if bytes(envelope.error) not in (b"", NULL):
            raise SessionClosed(4400, "open was answered with an error")
        self.is_open = True
        self._on_open()

    def _settle_unreadable(self, value: bytes) -> None:
        """End the one call that ``value`` answers, if a lenient reader can tell which that is."""
        try:
            read = lenient(value)
        except ValueError:
            raise SessionClosed(4400, "a message is not JSON") from None
        number = read.get("id") if isinstance(read, dict) else None
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        answer = self.pending.pop(number, None) if type(number) is int else None
        if answer is None:
            if number is not None:
                self._counters.unknown_answers += 1
            return
        self._counters.bad_answers += 1
        answer.fault(_BAD_ANSWER)


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
    if envelope.error is not _ABSENT:
        envelope.error = msgspec.Raw(aside.restore(bytes(envelope.error)))
    return envelope


_BAD_ANSWER = BadAnswer(
    "the lambda ran the call, but its answer is not JSON (RFC 8259, UTF-8, at most 512 levels): mend the provider"
)


def _lambda_error(raw: bytes) -> MeshError:
    """Read the ``error`` of an answer: a string is the message, an object has one, anything else is its JSON text."""
    if raw.startswith(b'"'):
        return LambdaError(_readable(lenient(raw)))
    if not raw.startswith(b"{"):
        return LambdaError(raw.decode())
    aside = SurrogatesAside(raw)
    fields = _decode_error_object(aside.plain)
    message, code, data = (aside.restore(bytes(field)) for field in (fields.message, fields.code, fields.data))
    rpc_code = int(code) if _RPC_CODE.match(code) else None
    if message in (b"", NULL):
        text = raw.decode()
    else:
        text = _readable(lenient(message)) if message.startswith(b'"') else message.decode()
    return _RPC_CODES.get(rpc_code or 0, LambdaError)(text, rpc_code=rpc_code, data=data or None)


def _readable(text: Any) -> str:
    """Have a replacement character for each lone surrogate of ``text``."""
    return str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _ignore(*_: object) -> None:
    """Stand in for what is gone."""
