"""A function that is exposed, compiled once: how it is run, how its arguments are made, what it says of itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

import msgspec
import msgspec.inspect as inspection

from lambdamesh.client.dialling import MESSAGE_BYTES
from lambdamesh.client.faults import RPC_INTERNAL
from lambdamesh.client.signatures import Signature, compile_signature, item_type
from lambdamesh.client.values import encode_plain
from lambdamesh.errors import LambdaError

ITEM_BYTES = 65_536
"""Longest item of a stream."""
RESULT_BYTES = MESSAGE_BYTES - 1024
"""Longest result or body: a message is 16 MiB, its envelope included."""

LOOKED_AT_BYTES = 65_536
"""Longest result of which it is looked at whether it is what its annotation says."""

_SHAPES = (
    inspection.AnyType,
    inspection.NoneType,
    inspection.BoolType,
    inspection.IntType,
    inspection.FloatType,
    inspection.StrType,
    inspection.ListType,
    inspection.DictType,
    inspection.TupleType,
    inspection.VarTupleType,
    inspection.LiteralType,
    inspection.EnumType,
    inspection.UnionType,
)


class Kind(Enum):
    """How a function is run."""

    COROUTINE = auto()
    THREAD = auto()
    ASYNC_GENERATOR = auto()
    GENERATOR = auto()


_STREAMS = (Kind.ASYNC_GENERATOR, Kind.GENERATOR)


class Handler(msgspec.Struct, frozen=True):
    """One exposed function."""

    name: str
    function: Callable[..., Any]
    kind: Kind
    signature: Signature
    fits: Callable[[bytes], object] | None = None
    """Decodes a result, or an item, as its annotation wants; ``None`` where that is not to be looked at."""

    @property
    def is_stream(self) -> bool:
        """Whether it gives many values."""
        return self.kind in _STREAMS


def compile_handlers(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Handler]:
    """Compile each of ``functions``. Raises: TypeError where one cannot be served."""
    return {name: _compile(name, function) for name, function in functions.items()}


def _compile(name: str, function: Callable[..., Any]) -> Handler:
    kind, signature = _kind_of(function), compile_signature(function, name)
    given = item_type(signature.returns) if kind in _STREAMS else signature.returns
    return Handler(name, function, kind, signature, _fitting(given))


def _fitting(annotation: Any) -> Callable[[bytes], object] | None:
    """Return what tells whether a value fits ``annotation``: for shapes of JSON only, whose decoding runs no code.

    A class that is made of JSON is left alone: its ``__post_init__`` would run for each result.
    """
    if annotation is Any:
        return None
    try:
        is_of_shapes = _is_of_shapes(inspection.type_info(annotation), [])
        return msgspec.json.Decoder(annotation).decode if is_of_shapes else None
    except (TypeError, ValueError, NotImplementedError):
        return None


def _is_of_shapes(kind: Any, seen: list[Any]) -> bool:
    """Whether ``kind``, as msgspec sees it, and all that it is made of are shapes that JSON itself has."""
    if any(kind is one for one in seen):
        return True
    seen.append(kind)
    if isinstance(kind, inspection.TypedDictType):
        return all(_is_of_shapes(field.type, seen) for field in kind.fields)
    if not isinstance(kind, _SHAPES):
        return False
    inner = [getattr(kind, name, ()) for name in ("item_type", "key_type", "value_type", "item_types", "types")]
    parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
    return all(_is_of_shapes(part, seen) for part in parts)


def _kind_of(function: Callable[..., Any]) -> Kind:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    if inspect.isasyncgenfunction(inner):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(inner):
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(inner) else Kind.THREAD


def encode_result(handler: Handler, value: Any) -> bytes:
    """Encode what a handler returned. Raises: LambdaError where that cannot be."""
    return _fitted(_encoded(value, "the result", handler, RESULT_BYTES), "the result", handler)


def encode_item(handler: Handler, value: Any, limit_bytes: int = ITEM_BYTES) -> bytes:
    """Encode one value of a stream. Raises: LambdaError where that cannot be."""
    return _fitted(_encoded(value, "an item", handler, limit_bytes), "an item", handler)


def encode_return(handler: Handler, value: Any) -> bytes:
    """Encode what a generator returned after its items. Raises: LambdaError where that cannot be."""
    return _encoded(value, "the result", handler, RESULT_BYTES)


def _encoded(value: Any, what: str, handler: Handler, limit_bytes: int) -> bytes:
    try:
        raw = encode_plain(value)
    except TypeError as error:
        raise LambdaError(f"{what} of {handler.name} is not JSON: {error}", rpc_code=RPC_INTERNAL) from None
    if len(raw) > limit_bytes:
        text = f"{what} of {handler.name} has {len(raw)} bytes; at most {limit_bytes} pass"
        raise LambdaError(text, rpc_code=RPC_INTERNAL)
    return raw


def _fitted(raw: bytes, what: str, handler: Handler) -> bytes:
    if handler.fits is not None and len(raw) <= LOOKED_AT_BYTES:
        try:
            handler.fits(raw)
        except (TypeError, ValueError) as error:
            text = f"{what} of {handler.name} is not what its annotation says: {error}"
            raise LambdaError(text, rpc_code=RPC_INTERNAL) from None
    return raw


class Items:
    """The items of a stream for a caller that wants them in one array."""

    __slots__ = ("_handler", "_items", "_size_bytes")

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._items: list[bytes] = []
        self._size_bytes = 2

    def add(self, value: Any) -> None:
        """Add one. Raises: LambdaError where it is not JSON, or the array would be too long."""
        raw = encode_item(self._handler, value, RESULT_BYTES)
        self._size_bytes += len(raw) + 1
        if self._size_bytes > RESULT_BYTES:
            text = (
                f"the items of {self._handler.name} have over {RESULT_BYTES} bytes in one array: read them as a stream"
            )
            raise LambdaError(text, rpc_code=RPC_INTERNAL)
        self._items.append(raw)

    def array(self) -> bytes:
        """Return all as JSON text."""
        return b"[%b]" % b",".join(self._items)
