"""What is run how, and what may come out of it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, TypedDict

import msgspec
import pytest

from lambdamesh.client import handlers as handlers_module
from lambdamesh.client.handlers import Handler, Items, Kind, compile_handlers, encode_item, encode_result
from lambdamesh.errors import LambdaError


async def coroutine(body: Any) -> None: ...


def thread(body: Any) -> Any: ...


async def async_generator(body: Any) -> AsyncIterator[int]:
    yield 1


def generator(body: Any) -> Iterator[int]:
    yield 1


class Callable:
    async def __call__(self, body: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (coroutine, Kind.COROUTINE),
        (thread, Kind.THREAD),
        (async_generator, Kind.ASYNC_GENERATOR),
        (generator, Kind.GENERATOR),
        (functools.partial(coroutine), Kind.COROUTINE),
        (functools.partial(generator), Kind.GENERATOR),
        (Callable(), Kind.COROUTINE),
        (len, Kind.THREAD),
        (lambda body: body, Kind.THREAD),
    ],
)
def test_kinds(function: Any, kind: Kind) -> None:
    handler = compile_handlers({"it": function})["it"]
    assert handler.kind is kind
    assert handler.is_stream == (kind in (Kind.ASYNC_GENERATOR, Kind.GENERATOR))


@pytest.fixture
def handler() -> Handler:
    return compile_handlers({"it": thread})["it"]


def test_results(handler: Handler) -> None:
    assert encode_result(handler, {"a": (1, None)}) == b'{"a":[1,null]}'


def counted(body: Any) -> int:
    raise NotImplementedError


def pointed(body: Any) -> dict[str, list[int]]:
    raise NotImplementedError


def any_class(body: Any) -> Callable:
    raise NotImplementedError


async def typed_items(body: Any) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "value", "raw"),
    [
        (counted, 1, b"1"),
        (pointed, {"a": (1, 2)}, b'{"a":[1,2]}'),
        (any_class, {"x": 1}, b'{"x":1}'),
        (typed_items, 5, b"5"),
    ],
)
def test_results_that_are_what_they_say(function: Any, value: Any, raw: bytes) -> None:
    assert encode_result(compile_handlers({"it": function})["it"], value) == raw


@pytest.mark.parametrize(("function", "value"), [(counted, "1"), (pointed, {"a": [1, "x"]}), (typed_items, None)])
def test_results_that_are_not_what_they_say(function: Any, value: Any) -> None:
    with pytest.raises(LambdaError, match="is not what its annotation says: Expected `int`, got") as raised:
        encode_result(compile_handlers({"it": function})["it"], value)
    assert raised.value.rpc_code == -32603


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, [1, {"a": object()}]])
def test_results_that_are_not_json(handler: Handler, value: Any) -> None:
    with pytest.raises(LambdaError, match="the result of it is not JSON") as raised:
        encode_result(handler, value)
    assert raised.value.rpc_code == -32603


def test_a_result_that_holds_itself(handler: Handler) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(LambdaError, match="is not JSON"):
        encode_result(handler, circle)


def test_items_have_a_limit(handler: Handler) -> None:
    assert encode_item(handler, "x" * 65_534)
    with pytest.raises(LambdaError, match="an item of it has 65537 bytes; at most 65536"):
        encode_item(handler, "x" * 65_535)


def test_items_in_one_array(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers_module, "RESULT_BYTES", 10)
    items = Items(handler)
    assert items.array() == b"[]"
    for number in range(4):
        items.add(number)
    assert items.array() == b"[0,1,2,3]"
    with pytest.raises(LambdaError, match="read them as a stream"):
        items.add(4)


class Checked(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    n: int
    made: ClassVar[int] = 0

    def __post_init__(self) -> None:
        Checked.made += 1


class More(Checked):
    m: int = 0


@dataclass
class Counted:
    n: int

    def __post_init__(self) -> None:
        self.n += 1
        assert self.n < 3


class Shape(TypedDict):
    n: int
    inside: list[Shape]


class Colour(Enum):
    RED = "red"


def made(body: Any) -> Checked:
    raise NotImplementedError


def listed(body: Any) -> list[Counted]:
    raise NotImplementedError


def shaped(body: Any) -> Shape | Literal["none"] | None:
    raise NotImplementedError


def coloured(body: Any) -> dict[str, Colour]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "value", "raw"),
    [
        (made, More(1, 2), b'{"type":"More","n":1,"m":2}'),
        (made, "anything", b'"anything"'),
        (listed, [Counted(1)], b'[{"n":2}]'),
        (shaped, {"n": 1, "inside": [{"n": 2, "inside": []}]}, b'{"n":1,"inside":[{"n":2,"inside":[]}]}'),
        (shaped, None, b"null"),
        (coloured, {"a": Colour.RED}, b'{"a":"red"}'),
    ],
)
def test_classes_are_not_made_again_to_look_at_them(function: Any, value: Any, raw: bytes) -> None:
    before = Checked.made
    assert encode_result(compile_handlers({"it": function})["it"], value) == raw
    assert Checked.made == before


@pytest.mark.parametrize(
    ("function", "value"),
    [(shaped, {"n": 1, "inside": [{"n": "x", "inside": []}]}), (coloured, {"a": "blue"}), (counted, True)],
)
def test_shapes_are_looked_at_to_the_bottom(function: Any, value: Any) -> None:
    with pytest.raises(LambdaError, match="is not what its annotation says"):
        encode_result(compile_handlers({"it": function})["it"], value)


def test_long_results_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = compile_handlers({"it": pointed})["it"]
    assert encode_result(handler, {"a": ["x" * 70_000]})
    monkeypatch.setattr(handlers_module, "RESULT_BYTES", 10)
    with pytest.raises(LambdaError, match="at most 10 pass"):
        encode_result(handler, {"a": ["far too long"]})


def test_lone_surrogates_may_be_returned(handler: Handler) -> None:
    assert encode_result(handler, "\ud800") == b'"\\ud800"'
