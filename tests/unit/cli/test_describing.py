"""What people are told of methods, and the body that they may try."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from lambdamesh.cli.describing import example_body, signature_text, summary_of, type_text
from lambdamesh.cli.methods import Given, Method, row_of
from lambdamesh.client.exposing import collect
from lambdamesh.client.handlers import compile_handlers
from lambdamesh.client.openrpc import document


class Pair(msgspec.Struct):
    left: int
    right: list[str]
    note: str = ""


class Tree(msgspec.Struct):
    below: Tree


class Service:
    async def add(self, pair: Pair, times: int = 2) -> int:
        """Add.

        More of it.
        """
        return pair.left * times

    async def count(self, to: int) -> AsyncIterator[int]:
        yield to

    def plain(self, body):
        return body


def test_signatures_are_as_they_were_written() -> None:
    service = Service()
    assert signature_text(service.add) == "(pair: Pair, times: int = 2) -> int"
    assert signature_text(service.count) == "(to: int) -> AsyncIterator[int]"
    assert signature_text(service.plain) == "(body)"
    assert signature_text(dict.fromkeys).startswith("(")


def test_names_of_modules_are_left_out_of_evaluated_annotations() -> None:
    def typed(body): ...

    typed.__annotations__ = {"body": msgspec.Raw | None, "return": AsyncIterator[int]}
    assert signature_text(typed) == "(body: Raw | None) -> AsyncIterator[int]"


def test_a_summary_is_the_first_line() -> None:
    assert summary_of(Service.add) == "Add."
    assert summary_of(Service.plain) == ""


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({}, "any"),
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": "array", "items": {"type": "integer"}}, "array of integer"),
        ({"anyOf": [{"type": "integer"}, {"$ref": "#/components/schemas/Pair"}]}, "integer | Pair"),
        ({"allOf": [{"$ref": "#/components/schemas/Pair"}], "default": None}, "Pair"),
        ({"enum": ["a", 1]}, "'a' | 1"),
    ],
)
def test_types_in_few_words(schema: dict[str, Any], text: str) -> None:
    assert type_text(schema) == text


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (str, "text"),
        (int, 1),
        (list[int], []),
        (Pair, {"left": 1, "right": []}),
        (Pair | None, {"left": 1, "right": []}),
        (Any, {}),
    ],
)
def test_an_example_fits_its_parameter(annotation: Any, body: Any) -> None:
    def take(body): ...

    take.__annotations__ = {"body": annotation}
    handlers = compile_handlers({"take": take})
    described = document(list(handlers.values()), "")
    made = example_body(described["methods"][0], described["components"]["schemas"])
    assert made == body or (made is None and None in getattr(annotation, "__args__", ()))
    handlers["take"].signature.bind(msgspec.json.encode([made]))


def test_an_example_of_several_parameters_has_those_that_are_required() -> None:
    described = document(list(compile_handlers(collect(Service(), ["add"])).values()), "")
    made = example_body(described["methods"][0], described["components"]["schemas"])
    assert made == {"pair": {"left": 1, "right": []}}


def test_an_example_of_a_type_without_end_ends() -> None:
    def grow(tree): ...

    grow.__annotations__ = {"tree": Tree}
    described = document(list(compile_handlers({"grow": grow}).values()), "")
    assert "below" in example_body(described["methods"][0], described["components"]["schemas"])


def test_a_row_marks_what_may_be_left_out_and_what_streams() -> None:
    given = [Given("to", True, {"type": "integer"}), Given("step", False, {})]
    method = Method("count", given, Given("item", False, {"type": "integer"}), "Count.", True)
    assert row_of(method) == ("count", "to: integer, step?: any", "stream of integer", "Count.")
    assert row_of(Method("bare")) == ("bare", "", "", "")
