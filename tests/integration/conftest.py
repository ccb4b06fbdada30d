"""The door that several files knock at, and lambdas behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.knocking import APP
from tests.json_rpc_2 import Client2, Provider2
from tests.nodes import Node
from tests.providers import Answering, Provider, echo as echo_function

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


@pytest.fixture(scope="module")
def door(shared_node: StartNode) -> Node:
    return shared_node(allow_origin=[APP, "http://other.example:8080"], allow_host=["names.example", "also.example"])


@pytest.fixture
def provider(node: Node) -> Iterator[Provider2]:
    """A lambda of ``json-rpc-2.0`` with ``meta``, whose calls the test answers by hand."""
    with Provider2(node) as opened:
        yield opened.accept()


@pytest.fixture
def client(node: Node) -> Iterator[Client2]:
    """A `/connect` socket of ``json-rpc-2.0``."""
    with Client2(node) as connected:
        yield connected


@pytest.fixture
def lambda_id(door: Node, open_lambda: OpenLambda) -> str:
    return open_lambda(door).id


@pytest.fixture
def answering_id(door: Node) -> object:
    with Answering(door.address, echo_function) as provider:
        yield provider.id
