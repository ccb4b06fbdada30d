"""What is exposed, and under which names."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from lambdamesh.client.exposing import check_name, collect
from tests.integration.client import exposed_module


class Base:
    def inherited(self) -> None: ...


class Service(Base):
    attribute = print

    def __init__(self) -> None:
        self.given = print

    def method(self) -> str:
        return "method"

    @staticmethod
    def static() -> str:
        return "static"

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @property
    def trap(self) -> Any:
        raise AssertionError("a property was read")

    def _hidden(self) -> None: ...


def test_a_dict_is_taken_as_it_is() -> None:
    assert collect({"any name": print}) == {"any name": print}


def test_of_an_object_the_public_methods_of_its_own_class() -> None:
    found = collect(Service())
    assert list(found) == ["method", "static", "of_class"]
    assert [function() for function in found.values()] == ["method", "static", "Service"]


def test_of_a_module_the_public_functions_defined_in_it() -> None:
    assert list(collect(exposed_module)) == ["double"]


def test_a_function_stands_for_itself() -> None:
    assert collect(check_name) == {"check_name": check_name}


def test_a_partial_is_a_function() -> None:
    partial = functools.partial(functools.partial(check_name), "a")
    assert collect(partial) == {"check_name": partial}


def test_only_names_others() -> None:
    service = Service()
    assert collect(service, ["inherited", "given"]) == {"inherited": service.inherited, "given": print}
    assert list(collect(exposed_module, ["floor"])) == ["floor"]
    assert list(collect({"a": print, "b": print}, ["b"])) == ["b"]


@pytest.mark.parametrize(
    ("target", "only", "error", "text"),
    [
        ({}, None, ValueError, "nothing to expose"),
        (Base, None, TypeError, "is a class"),
        (SimpleNamespace(a=print), None, ValueError, "nothing to expose"),
        (Service(), ["nothing"], ValueError, "has no 'nothing'"),
        (Service(), "method", TypeError, "list of names"),
        ({"a": 5}, None, TypeError, "cannot be called"),
        ({5: print}, None, TypeError, "is a str"),
        (exposed_module, ["PUBLIC"], TypeError, "cannot be called"),
    ],
)
def test_what_cannot_be(target: Any, only: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        collect(target, only)


@pytest.mark.parametrize("name", ["open", "rpc.discover", "rpc.x", "$/ping", "", "a\nb", "x" * 257, "é" * 129])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        check_name(name)


@pytest.mark.parametrize("name", ["opened", "a b", "größe/µ", "x" * 256, "é" * 128, "rpc"])
def test_names_that_can_be(name: str) -> None:
    check_name(name)
