"""How the answer of a provider ends a call, whatever the codec (contract: answers)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lambdamesh.errors import BadAnswer, InvalidParams, LambdaError, MeshError, MethodNotFound
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.json_text import NULL, SHALLOW_BYTES, SurrogatesAside, is_shallow, lenient
from lambdamesh.protocol.session import SessionCounters

ABSENT = msgspec.Raw(b"")
"""Stands for a member that an object does not have."""

_RPC_CODE = re.compile(rb"-?[0-9]{1,18}\Z")
_RPC_CODES: dict[int, type[LambdaError]] = {-32601: MethodNotFound, -32602: InvalidParams}


class _ErrorObject(msgspec.Struct, gc=False):
    code: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT


_decode_error_object = msgspec.json.Decoder(_ErrorObject).decode


def settle(answer: Answer, result: msgspec.Raw, error: msgspec.Raw, counters: SessionCounters) -> None:
    """End a call: a non-null ``error`` beats ``result``; one that is too deep is no answer."""
    is_error = error is not ABSENT and bytes(error) != NULL
    raw = bytes(error if is_error else result)
    if len(raw) > SHALLOW_BYTES and not is_shallow(raw):
        counters.bad_answers += 1
        answer.fault(bad_answer())
    elif is_error:
        answer.fault(lambda_error(raw))
    else:
        answer.result(raw)


def bad_answer() -> MeshError:
    """Say that the provider's answer cannot be passed on."""
    return BadAnswer(
        "the lambda ran the call, but its answer is not JSON (RFC 8259, UTF-8, at most 512 levels): mend the provider"
    )


def lambda_error(raw: bytes) -> MeshError:
    """Read the ``error`` of an answer: a string is the message, an object has one, anything else is its JSON text."""
    if raw.startswith(b'"'):
        return LambdaError(_readable(lenient(raw)))
    if not raw.startswith(b"{"):
        return LambdaError(raw.decode())
    aside = SurrogatesAside(raw)
    try:
        fields = _decode_error_object(aside.plain)
    except msgspec.MsgspecError:
        return LambdaError(raw.decode())
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
