"""How a body becomes arguments."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from hypothesis import given, strategies as st

from lambdamesh.client.signatures import compile_signature, item_type
from lambdamesh.errors import InvalidParams


class Pair(msgspec.Struct):
    a: int
    b: int = 2


@dataclass
class Point:
    x: float


class Options(TypedDict, total=False):
    deep: bool


def plain(body): ...
def anything(body: object) -> object: ...
def nothing() -> None: ...
def one(pair: Pair) -> int: ...  # type: ignore[empty-body]
def optional(n: int = 7) -> None: ...
def nullable(n: int | None = 7) -> None: ...
def keyword(*, n: int) -> None: ...
def several(a: int, b: str = "b", *, c: Annotated[int, msgspec.Meta(ge=0)] = 3) -> None: ...
def defaults(a: int = 1, b: list[int] = [1, 2]) -> None: ...  # noqa: B006 -- what users write
def shapes(point: Point, options: Options) -> None: ...


def bound(function: Callable[..., Any], params: bytes) -> dict[str, Any]:
    """The arguments by name, defaults not filled in."""
    args, kwargs = compile_signature(function, function.__name__).bind(params)
    return dict(inspect.signature(function).bind(*args, **kwargs).arguments)


@pytest.mark.parametrize(
    ("function", "params", "arguments"),
    [
        (plain, b'[{"a":[1,null]}]', {"body": {"a": [1, None]}}),
        (plain, b"[[1,2]]", {"body": [1, 2]}),
        (plain, b"", {"body": None}),
        (plain, b"[]", {"body": None}),
        (plain, rb'["\ud800"]', {"body": "\ud800"}),
        (anything, b"[[1,2]]", {"body": [1, 2]}),
        (nothing, b"[null]", {}),
        (nothing, b"[ { } ]", {}),
        (nothing, b"[[]]", {}),
        (nothing, b"", {}),
        (one, b'[{"a":1}]', {"pair": Pair(1, 2)}),
        (optional, b"[null]", {}),
        (optional, b"[ 5 ]", {"n": 5}),
        (nullable, b"[null]", {"n": None}),
        (keyword, b"[5]", {"n": 5}),
        (several, b'[{"a":1}]', {"a": 1, "b": "b", "c": 3}),
        (several, b'[{"c":0,"b":"x","a":1}]', {"a": 1, "b": "x", "c": 0}),
        (several, b' [ [ 1 , "x" , 9 ] ] ', {"a": 1, "b": "x", "c": 9}),
        (several, b"[[1]]", {"a": 1, "b": "b", "c": 3}),
        (defaults, b"[null]", {}),
        (defaults, b"[{}]", {"a": 1, "b": [1, 2]}),
        (shapes, b'[{"point":{"x":1},"options":{"deep":true}}]', {"point": Point(1.0), "options": {"deep": True}}),
    ],
)
def test_bodies_that_fit(function: Callable[..., Any], params: bytes, arguments: dict[str, Any]) -> None:
    assert bound(function, params) == arguments


@pytest.mark.parametrize(
    ("function", "params", "text"),
    [
        (nothing, b"[1]", "takes no body"),
        (one, b'[{"a":"x"}]', r"Expected `int`, got `str` - at `\$\.a`"),
        (one, b"[5]", r"Expected `object`, got `int` - at `\$`"),
        (one, b"[]", "the body is missing"),
        (one, b"", r"got `null` - at `\$`"),
        (optional, b'["x"]', r"at `\$`"),
        (several, b'[{"b":"x"}]', "missing required field `a`"),
        (several, b'[{"a":1,"d":2}]', "unknown field `d`"),
        (several, b'[[1,"x",9,9]]', "length"),
        (several, b'[[1,"x",-1]]', r">= 0 - at `\$\[2\]`"),
        (several, b"[5]", "Expected `object`"),
        (several, b"[null]", "Expected `object`"),
        (shapes, b'[{"point":{"x":1},"options":{"deep":3}}]', r"`\$\.options\.deep`"),
    ],
)
def test_bodies_that_do_not_fit(function: Callable[..., Any], params: bytes, text: str) -> None:
    with pytest.raises(InvalidParams, match=text):
        bound(function, params)


def lines(text: str) -> None: ...


def test_who_names_the_only_parameter_is_told() -> None:
    with pytest.raises(InvalidParams, match=r"got `object` - at `\$`: the body itself is `text`, its only parameter"):
        bound(lines, b'[{"text":"a"}]')
    with pytest.raises(InvalidParams, match=r"at `\$`$"):
        bound(lines, b'[{"text":"a","more":1}]')


def test_a_bound_method_a_partial_and_an_object_that_can_be_called() -> None:
    class Adder:
        def add(self, a: int, b: int) -> int:
            return a + b

        def __call__(self, pair: Pair) -> int:
            return pair.a

    adder = Adder()
    assert compile_signature(adder.add, "add").bind(b"[[1,2]]") == ((1, 2), {})
    assert compile_signature(adder, "call").bind(b'[{"a":1}]') == ((Pair(1),), {})
    partial = functools.partial(adder.add, 1)
    assert compile_signature(partial, "partial").bind(b"[4]") == ((4,), {})


def test_a_decorated_function_keeps_its_signature() -> None:
    @functools.wraps(one)
    def wrapped(*args: Any) -> Any: ...

    assert compile_signature(wrapped, "wrapped").parameters[0].type is Pair


def test_types_of_the_function_around_it() -> None:
    class Local(msgspec.Struct):
        n: int

    def inner(local: Local) -> Local:
        return Local(local.n)

    assert compile_signature(inner, "inner").bind(b'[{"n":1}]') == ((Local(1),), {})


def test_a_function_that_stands_for_itself_in_its_closure() -> None:
    def start() -> Any:
        return later

    signature = compile_signature(start, "start")
    later = signature
    assert signature.parameters == ()


def _unresolved(x: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821
def _variadic(*things: int) -> None: ...
def _open_ended(**things: int) -> None: ...
def _not_json(x: Iterator[int]) -> None: ...


class Opaque: ...


def _opaque(x: Opaque) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_unresolved, "top of a module"),
        (_variadic, "give each of its parameters a name"),
        (_open_ended, "give each of its parameters a name"),
        (_opaque, "is not made of JSON"),
    ],
)
def test_functions_that_cannot_be_served(function: Callable[..., Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        compile_signature(function, "it")


def test_the_type_of_items() -> None:
    assert item_type(AsyncIterator[int]) is int
    assert item_type(Iterator[Pair]) is Pair
    assert item_type(Any) is Any
    assert item_type(list[int]) is Any


@given(st.integers(-(2**53), 2**53), st.text(max_size=20).filter(lambda text: text.isprintable()), st.booleans())
def test_by_name_and_by_position_are_the_same(a: int, b: str, by_name: bool) -> None:
    body: Any = {"b": b, "a": a} if by_name else [a, b]
    assert bound(several, json.dumps([body]).encode()) == {"a": a, "b": b, "c": 3}
