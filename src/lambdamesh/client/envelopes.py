"""The messages of ``/connect`` in json-rpc-2.0 as bytes: read into structs, written around bodies encoded before."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from lambdamesh.protocol.json_text import NULL, SurrogatesAside

ABSENT = msgspec.Raw(b"")
"""Stands for a member that a message does not have."""


class Meta(msgspec.Struct, gc=False, rename={"lambda_id": "lambda"}):
    """What the node says beside the body of a call."""

    lambda_id: str = ""
    deadline_ms: int | None = None
    ray: str = ""
    traceparent: str | None = None
    stream: bool = False
    credit: int = 0
    sub: str | None = None


class Message(msgspec.Struct, gc=False):
    """One message of the node: a call, an answer, or a word about either."""

    id: int | str | None = None
    method: str | None = None
    params: msgspec.Raw = ABSENT
    result: msgspec.Raw = msgspec.Raw(NULL)
    error: msgspec.Raw = ABSENT
    meta: Meta | None = None


class Item(msgspec.Struct, gc=False):
    """``params`` of ``$/progress``."""

    token: int
    value: msgspec.Raw = msgspec.Raw(NULL)


class Word(msgspec.Struct, gc=False):
    """``params`` of ``$/cancelRequest``, ``$/credit`` and ``lambda.closed``."""

    id: int | str
    add: int = 0
    code: int = 0
    reason: str = ""


_decode_message = msgspec.json.Decoder(Message).decode
decode_item = msgspec.json.Decoder(Item).decode
decode_word = msgspec.json.Decoder(Word).decode


def read_message(raw: bytes) -> Message:
    """Read one message.

    Raises:
        ValueError: it is not one.
    """
    try:
        return _decode_message(raw)
    except msgspec.MsgspecError:
        # Lone surrogates are legal JSON that msgspec does not take: they pass, aside.
        aside = SurrogatesAside(raw)
        try:
            message = _decode_message(aside.plain)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("too many levels") from None
    for name in ("params", "result", "error"):
        setattr(message, name, msgspec.Raw(aside.restore(bytes(getattr(message, name)))))
    return message


def call_head(lambda_id: str, method: str) -> bytes:
    """Return ``"method":...,"params":[`` of a call of ``method``."""
    return b'"method":"POST /lambda/%b/%b","params":[' % (quote(lambda_id, safe="").encode(), quote_method(method))


def quote_method(method: str) -> bytes:
    """Percent-encode ``method`` into one path segment."""
    return quote(method, safe="").encode()


def word_head(word: str) -> bytes:
    """Return ``"method":...,"params":`` of a request that the node itself answers."""
    return b'"method":%b,"params":' % msgspec.json.encode(word)


def result_of(wire_id: bytes, raw: bytes) -> bytes:
    """Answer a call of ours with a result; ``wire_id`` is JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (wire_id, raw)


def error_of(wire_id: bytes, raw: bytes) -> bytes:
    """Answer a call of ours with an error object."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (wire_id, raw)


def item_of(wire_id: bytes, raw: bytes) -> bytes:
    """Send an item of a stream that we serve."""
    return b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%b,"value":%b}}' % (wire_id, raw)


def cancel_of(number: int) -> bytes:
    """Withdraw a request of ours."""
    return b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%d}}' % number


def credit_of(number: int, add: int) -> bytes:
    """Allow ``add`` more items of a stream that we read."""
    return b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":%d,"add":%d}}' % (number, add)
