"""Where ``bench`` opens lambdas of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lambdamesh.cli.echoes import choose
from lambdamesh.cli.failure import Failure
from tests.unit.cli.conftest import serving
from tests.unit.cli.fake_node import FakeNode


@pytest.fixture
def other() -> Iterator[FakeNode]:
    with serving() as node:
        yield node


def row(machine_id: str, host: str, **more: Any) -> dict[str, Any]:
    return {"machine_id": machine_id, "host": host, "address": "192.0.2.1:7631", "alive": True, "me": False} | more


def know(node: FakeNode, *rows: dict[str, Any]) -> None:
    node.answer("GET /peers", json.dumps(rows).encode())


def test_at_the_node_that_is_asked(fake_node: FakeNode) -> None:
    know(fake_node, row("1", "one", me=True), row("2", "two"))
    [place] = choose(fake_node.url, (), is_mesh=False).chosen
    assert (place.url, place.name) == (fake_node.url, "one")


def test_at_another_that_is_named(fake_node: FakeNode, other: FakeNode) -> None:
    know(fake_node, row("1", "one", me=True), row("2", "two"))
    know(other, row("2", "two", me=True))
    [place] = choose(fake_node.url, [other.url, other.url], is_mesh=False).chosen
    assert (place.url, place.name) == (other.url, "two")


def test_one_of_another_mesh_is_refused(fake_node: FakeNode, other: FakeNode) -> None:
    know(fake_node, row("1", "one", me=True))
    know(other, row("3", "three", me=True))
    with pytest.raises(Failure, match="is not of this mesh") as caught:
        choose(fake_node.url, [other.url], is_mesh=False)
    assert caught.value.exit_code == 2


def test_those_whose_doors_nobody_knows_are_named(fake_node: FakeNode, other: FakeNode) -> None:
    dead = row("4", "four", alive=False)
    know(fake_node, row("1", "one", me=True), row("2", "two"), row("3", "three", address="127.0.0.1:1"), dead)
    know(other, row("2", "two", me=True))
    places = choose(fake_node.url, [other.url], is_mesh=True)
    assert [place.name for place in places.chosen] == ["two"]
    assert places.left_out == ("three",), "what answers at its address is another machine"
    with pytest.raises(Failure, match="--via URL"):
        choose(fake_node.url, (), is_mesh=True)


def test_nodes_of_one_name_are_told_apart(fake_node: FakeNode, other: FakeNode) -> None:
    with serving() as third:
        know(fake_node, row("1", "one", me=True), row("2", "same"), row("3", "same"))
        know(other, row("2", "same", me=True))
        know(third, row("3", "same", me=True))
        places = choose(fake_node.url, [other.url, third.url], is_mesh=True)
    assert [place.name for place in places.chosen] == ["same (2)", "same (3)"]
