"""Errors across the wire: what a node says becomes one of our classes, what a handler raises becomes JSON."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec

from lambdamesh.client.values import encode_plain
from lambdamesh.errors import Delivered, InvalidParams, LambdaError, MeshError, MethodNotFound
from lambdamesh.protocol.faults import fault

RPC_METHOD_NOT_FOUND = -32601
RPC_INVALID_PARAMS = -32602
RPC_INTERNAL = -32603
RPC_HANDLER_RAISED = -32000

_MESSAGE_CHARACTERS = 2_000
_UNSPEAKABLE = b'{"code":%d,"message":"the handler failed, and what it raised cannot be written"}' % RPC_HANDLER_RAISED


CLOSED = "this client was closed: connect anew"


class ClientClosed(MeshError):
    """This client was closed before the call was sent or, where ``delivered`` is unknown, before it was answered."""

    code = "closed"
    http_status = 0


class _Facts(msgspec.Struct, gc=False):
    """``error.data`` of an answer."""

    status: int = 0
    code: str = ""
    delivered: Delivered | None = None
    ray: str | None = None
    rpc_code: int | None = None
    data: Any = None


class _Told(msgspec.Struct, gc=False):
    """``error`` of an answer."""

    code: int = 0
    message: str = ""
    data: _Facts | None = None


_decode = msgspec.json.Decoder(_Told).decode


def read_fault(raw: bytes) -> MeshError:
    """Return the error that an answer of the node tells."""
    try:
        told = _decode(raw)
    except msgspec.MsgspecError:
        return MeshError(f"the node answered with an error that cannot be read: {raw[:200]!r}", delivered="unknown")
    facts = told.data or _Facts()
    error = fault(facts.status or told.code, facts.code, told.message, facts.delivered)
    error.ray, error.rpc_code, error.data = facts.ray, facts.rpc_code, facts.data
    return error


def copy_of(error: MeshError) -> MeshError:
    """Return the same error once more: each that is raised gathers a traceback of its own."""
    kind = type(error)
    copied = kind.__new__(kind)
    MeshError.__init__(copied, error.message)
    copied.__dict__.update(error.__dict__)
    return copied


class Reply(msgspec.Struct, omit_defaults=True):
    """The error object with which a handler's call is answered."""

    code: int
    message: str
    data: Any = None


def reply_to(raised: BaseException, debug: bool) -> Reply:
    """Say what a handler raised: one line, never a traceback, unless ``debug`` asks for it."""
    if isinstance(raised, LambdaError):
        return Reply(_rpc_code(raised), _text_of(raised.message), raised.data)
    text = _text_of(raised)[:_MESSAGE_CHARACTERS]
    name = _text_of(type(raised).__name__)
    seen = {"traceback": _text_of("".join(traceback.format_exception(raised)))} if debug else None
    return Reply(RPC_HANDLER_RAISED, f"{name}: {text}" if text else name, seen)


def _text_of(said: object) -> str:
    """Return ``said`` as text that can be sent, whatever it is."""
    try:
        return str(said).encode(errors="replace").decode()
    except Exception as error:
        return f"its text cannot be read ({type(error).__name__})"


def _rpc_code(error: LambdaError) -> int:
    if isinstance(error.rpc_code, int):
        return error.rpc_code
    if isinstance(error, MethodNotFound):
        return RPC_METHOD_NOT_FOUND
    return RPC_INVALID_PARAMS if isinstance(error, InvalidParams) else RPC_HANDLER_RAISED


def encode_reply(reply: Reply) -> bytes:
    """Write an error object; ``data`` that JSON cannot carry is left out, and said so."""
    try:
        return encode_plain(reply)
    except Exception as error:
        text = _text_of(f"{reply.message} (its data is not JSON: {_text_of(error)})")
        return msgspec.json.encode(Reply(RPC_HANDLER_RAISED if reply.data is None else reply.code, text))


def encode_raised(raised: BaseException, debug: bool) -> bytes:
    """Write what a handler raised as an error object, whatever that is."""
    try:
        return encode_reply(reply_to(raised, debug))
    except Exception:
        return _UNSPEAKABLE
