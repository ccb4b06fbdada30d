"""The document that a lambda gives of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from lambdamesh.client.handlers import compile_handlers
from lambdamesh.client.openrpc import document


class Order(msgspec.Struct):
    """What is wanted."""

    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Receipt(msgspec.Struct):
    order: Order


class Opaque: ...


async def order(wish: Order) -> Receipt:
    """Order something.

    It is there at once.
    """
    return Receipt(wish)


def search(text: str, limit: int = 10) -> list[Order]:
    return []


async def watch() -> AsyncIterator[Order]:
    yield Order("a")


def odd(body):
    return body


def hidden() -> Opaque:
    return Opaque()


def described(*functions: Any) -> dict[str, Any]:
    handlers = compile_handlers({function.__name__: function for function in functions})
    return document(list(handlers.values()), "shop")


def test_a_whole_document() -> None:
    written = described(order, search, watch, odd)
    reference = {"$ref": "#/components/schemas/Order"}
    assert written["openrpc"] == "1.3.2"
    assert written["info"] == {"title": "shop", "version": "1.0.0"}
    assert set(written["components"]["schemas"]) == {"Order", "Receipt"}
    first, second, third, last = written["methods"]
    assert first == {
        "name": "order",
        "summary": "Order something.",
        "description": "It is there at once.",
        "params": [{"name": "wish", "required": True, "schema": reference}],
        "paramStructure": "by-position",
        "result": {"name": "result", "schema": {"$ref": "#/components/schemas/Receipt"}},
    }
    assert second["params"] == [
        {"name": "text", "required": True, "schema": {"type": "string"}},
        {"name": "limit", "required": False, "schema": {"type": "integer", "default": 10}},
    ]
    assert (second["paramStructure"], "summary" in second) == ("either", False)
    assert third["x-stream"] is True
    assert third["result"] == {"name": "item", "schema": reference}
    assert last["params"] == [{"name": "body", "required": True, "schema": {}}]


def late(text: str = "a", *, count: int) -> None: ...


def test_required_parameters_come_first() -> None:
    (method,) = described(late)["methods"]
    assert [param["name"] for param in method["params"]] == ["count", "text"]
    assert [param["schema"]["type"] for param in method["params"]] == ["integer", "string"]
    assert method["paramStructure"] == "by-name"


def test_a_result_without_a_schema_is_anything() -> None:
    written = described(hidden, order)
    assert written["methods"][0]["result"]["schema"] == {}
    assert "Order" in written["components"]["schemas"]


def test_it_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(described(order, search, watch, odd)))
