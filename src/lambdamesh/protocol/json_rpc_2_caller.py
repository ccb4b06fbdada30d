"""The codec ``json-rpc-2.0`` of `/connect`: requests of a caller, and the calls of the lambdas that it opened there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from lambdamesh.protocol import json_rpc_2
from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_rpc_2 import (
    CANCEL,
    CREDIT,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_AN_ID,
    PARSE_ERROR,
    PING,
    PROGRESS,
    Fault,
    Message,
    Unreadable,
    body_of,
    error_answer,
    is_id,
    result_answer,
    subject_of,
)
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.json_text import NULL, SurrogatesAside, id_of, number_of
from lambdamesh.protocol.outcome import ABSENT
from lambdamesh.protocol.session import SessionCounters
from lambdamesh.protocol.traceparent import traceparent

_DOT_AT = 17
"""Where the dot stands in the id of a call, behind a quotation mark and the 16 characters of a lambda."""
_NUMBER_DIGITS = 18
_ZERO = ord("0")
_VERSIONS = (b"", b'"2.0"')
_NO_SUCH_ROUTE = "not_found"
_END_ID = b'"$/end"'


class Asking(Protocol):
    """Whoever has requests answered."""

    def ask(self, asked: Asked) -> None:
        """One request."""

    def cancel(self, request_id: bytes) -> None:
        """Nobody waits for the answer of a request any more."""

    def credit(self, request_id: bytes, add: int) -> None:
        """The caller takes ``add`` more items of a stream."""


class _Meta(msgspec.Struct, gc=False):
    timeout_ms: float | None = None
    stream: bool = False
    credit: int | None = None
    traceparent: str = ""


_decode_meta = msgspec.json.Decoder(_Meta | None).decode


class CallerSession:
    """One conversation with a caller; ``send`` takes one whole message.

    ``lambdas`` are the calls of each lambda that was opened here, by id. ``stream_credit`` is how many items of a
    stream may come unasked.
    """

    __slots__ = ("_asking", "_counters", "_send", "_stream_credit", "has_heard", "lambdas")

    code = json_rpc_2.CODE
    framing: Framing | None = None
    """A message is whole, always."""

    def __init__(
        self, send: Callable[[bytes], None], asking: Asking, counters: SessionCounters, stream_credit: int
    ) -> None:
        self._send = send
        self._asking: Asking = asking
        self._counters = counters
        self._stream_credit = stream_credit
        self.lambdas: dict[bytes, LambdaCalls] = {}
        self.has_heard = True

    # -- to the caller ------------------------------------------------------------------------------------------

    def answer(self, request_id: bytes, result: bytes) -> None:
        """Answer a request; ``result`` is JSON text."""
        self._send(result_answer(request_id, result))

    def refuse(self, request_id: bytes, status: int, fields: Mapping[str, object], ray: bytes) -> None:
        """Answer a request with the status and the fields of the body that HTTP would have given."""
        given = dict(fields)
        message = str(given.pop("error"))
        code = METHOD_NOT_FOUND if given.get("code") == _NO_SUCH_ROUTE else status
        self._send(error_answer(request_id, code, message, {"status": status, **given, "ray": ray.decode()}))

    def item(self, request_id: bytes, raw: bytes) -> None:
        """Pass on one value of a stream."""
        self._send(b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%b,"value":%b}}' % (request_id, raw))

    def closed(self, lambda_id: bytes, code: int, reason: str) -> None:
        """Tell of the end of one lambda, with the close code that a socket of its own would have had."""
        told = {"id": lambda_id.decode(), "code": code, "reason": reason}
        self._send(b'{"jsonrpc":"2.0","method":"lambda.closed","params":%b}' % msgspec.json.encode(told))

    def announce_end(self) -> None:
        """Tell the caller that the node goes down. What it asked before it answers has come by then: ``has_heard``."""
        self.has_heard = False
        self._send(b'{"jsonrpc":"2.0","method":"node.draining","id":%b}' % _END_ID)

    def release(self) -> None:
        """Hold nothing any more: whoever sends holds this session, and nobody shall hold the other for ever."""
        self._send = _ignore
        self._asking = _Nobody()
        self.lambdas.clear()

    # -- from the caller ----------------------------------------------------------------------------------------

    def receive(self, text: bytes, utf8_checked: bool) -> None:
        """Take one message. What cannot be read is answered so, and ends nothing else."""
        try:
            message = json_rpc_2.read(text, utf8_checked)
        except Unreadable as unreadable:
            self._refuse_unreadable(text, unreadable)
            return
        method = message.method
        if method is None:
            self._answered(message)
        elif method.startswith("$/"):
            self._told(method, message)
        else:
            self._requested(method, message)

    def _requested(self, method: str, message: Message) -> None:
        request_id = bytes(message.id) or NULL
        if not is_id(request_id):
            self._send(error_answer(NULL, INVALID_REQUEST, NOT_AN_ID))
            return
        if bytes(message.jsonrpc) not in _VERSIONS:
            self._send(error_answer(request_id, INVALID_REQUEST, 'jsonrpc is "2.0"'))
            return
        body = body_of(message.params)
        asked = Asked(request_id, method, NULL, body) if isinstance(body, str) else Asked(request_id, method, body)
        if message.meta is not ABSENT and asked.fault is None:
            self._add_meta(asked, message.meta)
        # A notification is not answered, whatever is wrong with it.
        if asked.fault is None or not asked.is_notification:
            self._asking.ask(asked)

    def _add_meta(self, asked: Asked, raw: msgspec.Raw) -> None:
        try:
            meta = _decode_meta(raw) or _Meta()
        except msgspec.MsgspecError as error:
            asked.fault = f"meta: {error}"
            return
        if meta.timeout_ms is not None:
            asked.timeout_s = meta.timeout_ms / 1000
        if meta.credit is not None and meta.credit < 1:
            asked.fault = "meta: credit is at least 1"
        elif meta.stream:
            asked.credit = min(meta.credit or self._stream_credit, self._stream_credit)
        asked.traceparent = traceparent(meta.traceparent.encode("utf-8", "replace"))

    def _told(self, method: str, message: Message) -> None:
        """Take what is said about a request, or about a call of a lambda opened here."""
        request_id = bytes(message.id) or NULL
        if not is_id(request_id):
            self._send(error_answer(NULL, INVALID_REQUEST, NOT_AN_ID))
            return
        subject = subject_of(message.params)
        if method == PING:
            pass
        elif subject is None or method not in (PROGRESS, CANCEL, CREDIT):
            if request_id != NULL:
                self._send(error_answer(request_id, METHOD_NOT_FOUND, f"there is no {method} with such params"))
            return
        elif method == PROGRESS:
            calls, number = self._called(bytes(subject.token))
            if calls is not None:
                calls.item(number, subject.value)
        elif method == CANCEL:
            self._asking.cancel(bytes(subject.id))
        elif (add := number_of(bytes(subject.add)) or 0) > 0:
            self._asking.credit(bytes(subject.id), add)
        if request_id != NULL:
            self._send(result_answer(request_id, NULL))

    def _answered(self, message: Message) -> None:
        request_id = bytes(message.id)
        calls, number = self._called(request_id)
        if calls is not None:
            calls.settle(number, message)
        elif request_id == _END_ID:
            # With an error, where it does not know the word: it has come all the same.
            self.has_heard = True
        elif request_id[:1] == b'"':
            self._counters.unknown_answers += 1
        elif request_id != NULL:
            self._send(error_answer(NULL, INVALID_REQUEST, Fault.NOT_A_MESSAGE.value))

    def _called(self, request_id: bytes) -> tuple[LambdaCalls | None, int | None]:
        """Find the call with the id ``"<lambda id>.<N>"``."""
        calls = self.lambdas.get(request_id[1:_DOT_AT])
        number = request_id[_DOT_AT + 1 : -1]
        if calls is None or request_id[_DOT_AT : _DOT_AT + 1] != b"." or not number.isdigit() or number[0] == _ZERO:
            return None, None
        return calls, int(number) if len(number) <= _NUMBER_DIGITS else None

    def _refuse_unreadable(self, text: bytes, unreadable: Unreadable) -> None:
        """End the one call that something unreadable was for, if that can be told, else say what is wrong."""
        fault, subject = unreadable.fault, unreadable.subject
        if unreadable.is_item or unreadable.is_answer:
            calls, number = self._called(subject)
            if calls is not None:
                calls.spoil(number, is_item=unreadable.is_item)
                return
        code = PARSE_ERROR if fault is Fault.NOT_JSON else INVALID_REQUEST
        # Of JSON that is no message the id can be echoed, if it is one and nothing of it had to be replaced.
        is_echoed = fault is Fault.NOT_A_MESSAGE and subject and is_id(subject) and not unreadable.is_item
        request_id = subject if is_echoed and subject in text else _id_in(text) if is_echoed else NULL
        self._send(error_answer(request_id, code, fault.value))


class _Nobody:
    """Stands in for whoever had requests answered."""

    def ask(self, asked: Asked) -> None:
        """Nothing is asked any more."""

    def cancel(self, request_id: bytes) -> None:
        """Nothing is in flight any more."""

    def credit(self, request_id: bytes, add: int) -> None:
        """Nothing is in flight any more."""


def _id_in(text: bytes) -> bytes:
    """Find the id in a message whose other members are not what they should be; ``null`` where it is not one either."""
    aside = SurrogatesAside(text)
    try:
        request_id = aside.restore(id_of(aside.plain)) or NULL
    except (msgspec.MsgspecError, RecursionError):
        return NULL
    return request_id if is_id(request_id) else NULL


def _ignore(_message: bytes) -> None:
    """Stand in for what is gone."""
