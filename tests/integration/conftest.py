"""The door that several files knock at, and lambdas behind it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.knocking import APP
from tests.nodes import Node
from tests.providers import Answering, Provider, echo as echo_function

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


@pytest.fixture(scope="module")
def door(shared_node: StartNode) -> Node:
    return shared_node(allow_origin=[APP, "http://other.example:8080"], allow_host=["names.example", "also.example"])


@pytest.fixture
def lambda_id(door: Node, open_lambda: OpenLambda) -> str:
    return open_lambda(door).id


@pytest.fixture
def answering_id(door: Node) -> object:
    with Answering(door.address, echo_function) as provider:
        yield provider.id
