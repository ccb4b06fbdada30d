"""JSON-RPC 2.0, one object a message: what both kinds of socket read and write of it."""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from lambdamesh.protocol.json_text import NULL, SHALLOW_BYTES, SurrogatesAside, is_json, is_shallow, is_utf8, mended
from lambdamesh.protocol.outcome import ABSENT

CODE = "json-rpc-2.0"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601

CANCEL = "$/cancelRequest"
CREDIT = "$/credit"
PING = "$/ping"
PROGRESS = "$/progress"

ID_BYTES = 16 * 1024
"""Longest id of a request."""
NOT_AN_ID = f"an id is a number or a string of at most {ID_BYTES} bytes"

_ARRAY = re.compile(rb"[ \t\r\n]*\[")
_PROGRESS_TEXT = b'"$/progress"'
_MARK = "\ue000"
_TOO_DEEP = "the body is more than 512 levels deep"


class Message(msgspec.Struct, gc=False):
    """A request, a notification (no ``id``) or an answer (no ``method``). Members are JSON text, ``ABSENT`` if none."""

    id: msgspec.Raw = ABSENT
    method: str | None = None
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = ABSENT
    params: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT
    jsonrpc: msgspec.Raw = ABSENT


class Fault(Enum):
    """What is wrong with a message that is none."""

    NOT_JSON = "the message is not JSON (RFC 8259, in UTF-8, at most 512 levels)"
    NOT_ONE = "a message is one object, not an array: batches are not taken"
    NOT_A_MESSAGE = "the message is no JSON-RPC 2.0: method is a string, id a number or a string, all of it RFC 8259"


class Unreadable(Exception):
    """A message cannot be read. What is known of it all the same:

    ``subject`` is its id, or the token of an item (``is_item``), as JSON text; empty where it has none. ``is_object``
    is whether it has members at all, ``is_answer`` whether no method is among them.
    """

    def __init__(self, fault: Fault, envelope: _Envelope | None = None) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.is_object = envelope is not None
        method = b"" if envelope is None else bytes(envelope.method)
        self.is_answer = envelope is not None and method in (b"", NULL)
        self.is_item = method == _PROGRESS_TEXT
        self.subject = b"" if envelope is None else bytes(envelope.id)
        if self.is_item and envelope is not None:
            subject = subject_of(envelope.params)
            self.subject = b"" if subject is None else bytes(subject.token)


class _Envelope(msgspec.Struct, gc=False):
    id: msgspec.Raw = ABSENT
    method: msgspec.Raw = ABSENT
    params: msgspec.Raw = ABSENT


class _Subject(msgspec.Struct, gc=False):
    id: msgspec.Raw = ABSENT
    token: msgspec.Raw = ABSENT
    value: msgspec.Raw = msgspec.Raw(NULL)
    add: msgspec.Raw = ABSENT


_decode = msgspec.json.Decoder(Message).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_subject = msgspec.json.Decoder(_Subject).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(text: bytes, utf8_checked: bool) -> Message:
    """Read one message.

    Raises:
        Unreadable: it is none.
    """
    if not (utf8_checked or text.isascii() or is_utf8(text)):
        raise _unreadable(text)
    try:
        return _decode(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    aside = SurrogatesAside(text)
    if aside.plain == text:
        raise _unreadable(text)
    try:
        message = _decode(aside.plain)
    except (msgspec.MsgspecError, RecursionError):
        raise _unreadable(text) from None
    if message.method is not None and _MARK in message.method:
        raise _unreadable(text)
    for name in ("id", "result", "error", "params", "meta"):
        member = getattr(message, name)
        if member is not ABSENT:
            setattr(message, name, msgspec.Raw(aside.restore(bytes(member))))
    return message


def _unreadable(text: bytes) -> Unreadable:
    if _ARRAY.match(text) is not None:
        return Unreadable(Fault.NOT_ONE if is_json(mended(text)) else Fault.NOT_JSON)
    fault = Fault.NOT_A_MESSAGE if is_json(text) else Fault.NOT_JSON
    try:
        return Unreadable(fault, _decode_envelope(mended(text)))
    except (msgspec.MsgspecError, RecursionError):
        return Unreadable(fault)


def is_id(text: bytes) -> bool:
    """Whether ``text``, which is JSON, may be the id of a request: a number or a string, not too long, or ``null``."""
    return text == NULL or (text[0] in b'"-0123456789' and len(text) <= ID_BYTES)


def subject_of(params: msgspec.Raw) -> _Subject | None:
    """Read the params of a ``$/`` notification, an object; ``None`` where they are none."""
    try:
        return _decode_subject(params)
    except (msgspec.MsgspecError, RecursionError):
        pass
    aside = SurrogatesAside(bytes(params))
    try:
        subject = _decode_subject(aside.plain)
    except (msgspec.MsgspecError, RecursionError):
        return None
    for name in ("id", "token", "value"):
        setattr(subject, name, msgspec.Raw(aside.restore(bytes(getattr(subject, name)))))
    return subject


def body_of(params: msgspec.Raw) -> bytes | str:
    """Return the body that ``params`` are: the one of an array, an object as it is, ``null`` where there is none.

    A text says what is wrong with them.
    """
    try:
        (value,) = _decode_list(params)
        body = bytes(value)
    except (ValueError, RecursionError):
        unusual = _unusual_body_of(bytes(params))
        if isinstance(unusual, str):
            return unusual
        body = unusual
    if len(body) > SHALLOW_BYTES and not is_shallow(body):
        return _TOO_DEEP
    return body


def _unusual_body_of(text: bytes) -> bytes | str:
    if text in (b"", NULL):
        return NULL
    if text.startswith(b"{"):
        return text
    if not text.startswith(b"["):
        return "params is an array of one, the body, or an object, which is the body"
    aside = SurrogatesAside(text)
    try:
        values = _decode_list(aside.plain)
    except (msgspec.MsgspecError, RecursionError):
        return _TOO_DEEP
    if len(values) > 1:
        return "params is an array of one: the body"
    return aside.restore(bytes(values[0])) if values else NULL


def error_answer(request_id: bytes, code: int, message: str, data: object = None) -> bytes:
    """Write the answer that is an error."""
    error = {"code": code, "message": message} if data is None else {"code": code, "message": message, "data": data}
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, msgspec.json.encode(error))


def result_answer(request_id: bytes, result: bytes) -> bytes:
    """Write the answer that is a result; ``result`` is JSON text."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, result)
