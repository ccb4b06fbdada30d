"""How the body of a call becomes the arguments of a function, by its annotations; compiled once, at expose."""

from __future__ import annotations

import contextlib
import inspect
import re
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from operator import attrgetter
from typing import Any

import msgspec

from lambdamesh.client.values import decode_plain
from lambdamesh.errors import InvalidParams

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Bind = Callable[[bytes], Arguments]
"""From ``params``, JSON text of an array of one, to arguments. Raises: InvalidParams."""

_NO_ARGUMENTS: Arguments = ((), {})
_EMPTY = inspect.Parameter.empty
_ARRAY_BODY = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*\[")
_NULL_BODY = re.compile(rb"[ \t\r\n]*(?:\[[ \t\r\n]*(?:null[ \t\r\n]*)?\][ \t\r\n]*)?\Z")
_NOTHING_BODY = re.compile(
    rb"[ \t\r\n]*(?:\[[ \t\r\n]*(?:null|\[[ \t\r\n]*\]|\{[ \t\r\n]*\})?[ \t\r\n]*\][ \t\r\n]*)?\Z"
)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_ITERATORS = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Iterable, Generator)


class Parameter(msgspec.Struct, frozen=True):
    """One parameter: its type (``Any`` where there is no annotation) and whether it may be left out."""

    name: str
    type: Any
    default: Any = _EMPTY
    by_keyword: bool = False

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is _EMPTY


class Signature(msgspec.Struct, frozen=True):
    """What a function takes and gives. ``returns`` is ``Any`` where it does not say."""

    parameters: tuple[Parameter, ...]
    returns: Any
    bind: Bind


class NotServed(TypeError):
    """A function that cannot be called with a body; the text begins with its name."""


def compile_signature(function: Callable[..., Any], name: str) -> Signature:
    """Read the annotations of ``function``; ``name`` is for error texts.

    Raises:
        NotServed: it takes what a body cannot give: ``*args``, a type that is not JSON, a name that is nowhere.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return Signature((Parameter("body", Any),), Any, _bind_body(Parameter("body", Any)))
    hints = _hints(function, name)
    for parameter in signature.parameters.values():
        if parameter.kind in _VARIADIC:
            raise NotServed(f"{name} takes {parameter}: give each of its parameters a name")
    parameters = tuple(
        Parameter(
            parameter.name,
            hints.get(parameter.name, Any),
            parameter.default,
            parameter.kind == inspect.Parameter.KEYWORD_ONLY,
        )
        for parameter in signature.parameters.values()
    )
    try:
        return Signature(parameters, hints.get("return", Any), _bind(parameters))
    except (TypeError, ValueError) as error:
        raise NotServed(f"{name}: its parameters cannot be read from JSON: {error}") from error


def item_type(returns: Any) -> Any:
    """Return ``T`` of ``AsyncIterator[T]`` and its kin, else ``Any``."""
    if typing.get_origin(returns) in _ITERATORS:
        arguments = typing.get_args(returns)
        return arguments[0] if arguments else Any
    return Any


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    unwrapped = inspect.unwrap(function)
    while hasattr(unwrapped, "func"):
        unwrapped = unwrapped.func
    if not inspect.isroutine(unwrapped):
        unwrapped = type(unwrapped).__call__
    try:
        hints = typing.get_type_hints(unwrapped, localns=_closure(unwrapped) or None, include_extras=True)
        return {name: Any if hint is object else hint for name, hint in hints.items()}
    except NameError as error:
        raise NotServed(
            f"{name}: an annotation cannot be read ({error}): define its type at the top of a module"
        ) from None
    except TypeError:
        return {}


def _closure(function: Any) -> dict[str, Any]:
    """What an inner function sees of those around it; a name that has no value yet is left out."""
    seen: dict[str, Any] = {}
    code = getattr(function, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), getattr(function, "__closure__", None) or (), strict=False):
        with contextlib.suppress(ValueError):
            seen[name] = cell.cell_contents
    return seen


def _bind(parameters: tuple[Parameter, ...]) -> Bind:
    for parameter in parameters:
        _check(parameter)
    if not parameters:
        return bind_nothing
    return _bind_body(parameters[0]) if len(parameters) == 1 else _bind_several(parameters)


def _check(parameter: Parameter) -> None:
    # msgspec takes any class, and finds out at the first call that it cannot make one.
    if isinstance(msgspec.inspect.type_info(parameter.type), msgspec.inspect.CustomType):
        raise TypeError(f"{parameter.name}: {parameter.type!r} is not made of JSON")


def bind_nothing(params: bytes) -> Arguments:
    """Take a body that says nothing: null, an empty array, an empty object. Raises: InvalidParams."""
    if _NOTHING_BODY.match(params) is None:
        raise InvalidParams("it takes no body")
    return _NO_ARGUMENTS


def _bind_body(parameter: Parameter) -> Bind:
    decode = _decoder(parameter)
    wants_default = not parameter.is_required and not _takes_none(parameter.type)
    keyword = parameter.name if parameter.by_keyword else None

    def bind(params: bytes) -> Arguments:
        if wants_default and _NULL_BODY.match(params):
            return _NO_ARGUMENTS
        body = decode(params)
        return (body, {}) if keyword is None else ((), {keyword: body[0]})

    return bind


def _takes_none(annotation: Any) -> bool:
    return annotation is not Any and type(None) in (annotation, *typing.get_args(annotation))


def _decoder(parameter: Parameter) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what decodes ``params``, an array of one, into a tuple of one."""
    if parameter.type is Any:
        return _decode_any
    typed = msgspec.json.Decoder(tuple[parameter.type]).decode  # type: ignore[name-defined]

    def decode(params: bytes) -> tuple[Any, ...]:
        try:
            return typed(params or b"[null]")
        except msgspec.MsgspecError as error:
            raise InvalidParams(_at_body(error) + _hint(parameter.name, params)) from None

    return decode


def _hint(name: str, params: bytes) -> str:
    """What to say where somebody has named the only parameter."""
    try:
        (body,) = msgspec.json.decode(params)
    except (ValueError, TypeError):
        return ""
    is_named = isinstance(body, dict) and list(body) == [name]
    return f": the body itself is `{name}`, its only parameter, and not an object that names it" if is_named else ""


def _decode_any(params: bytes) -> tuple[Any, ...]:
    try:
        body = decode_plain(params or b"[null]")
    except (ValueError, RecursionError) as error:
        raise InvalidParams(str(error)) from None
    return tuple(body) or (None,)


def _at_body(error: Exception) -> str:
    """Name paths as seen from the body, and not from the params around it."""
    text = str(error)
    if "`$[0]" in text:
        return text.replace("`$[0]", "`$")
    return "the body is missing" if text.startswith("Expected `array` of length 1") else text


def _bind_several(parameters: tuple[Parameter, ...]) -> Bind:
    by_name = msgspec.json.Decoder(tuple[_struct(parameters, is_array=False)]).decode  # type: ignore[misc]
    by_place = msgspec.json.Decoder(tuple[_struct(parameters, is_array=True)]).decode  # type: ignore[misc]
    names = [parameter.name for parameter in parameters]
    read = attrgetter(*names)
    placed = sum(not parameter.by_keyword for parameter in parameters)
    may_be_empty = not any(parameter.is_required for parameter in parameters)

    def bind(params: bytes) -> Arguments:
        if may_be_empty and _NULL_BODY.match(params):
            return _NO_ARGUMENTS
        decode = by_place if _ARRAY_BODY.match(params) else by_name
        try:
            (body,) = decode(params or b"[null]")
        except msgspec.MsgspecError as error:
            raise InvalidParams(_at_body(error)) from None
        values = read(body)
        return values[:placed], dict(zip(names[placed:], values[placed:], strict=True))

    return bind


def _struct(parameters: tuple[Parameter, ...], *, is_array: bool) -> Any:
    return msgspec.defstruct(
        "body",
        [_field(parameter) for parameter in parameters],
        forbid_unknown_fields=True,
        array_like=is_array,
        kw_only=True,
    )


def _field(parameter: Parameter) -> Any:
    if parameter.is_required:
        return parameter.name, parameter.type
    default = parameter.default
    return parameter.name, parameter.type, msgspec.field(default_factory=lambda: default)
