"""Nodes with workers: one that the tests of a session share and leave as they found it, or of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.workers.crew import answering_at
from tests.nodes import Node
from tests.providers import Answering

StartNode = Callable[..., Node]

SHARED = 3
"""How many workers the shared node has: one more than two, so that not all that is not here is there."""


@pytest.fixture(scope="session")
def trio(shared_node: StartNode) -> Node:
    """A node with three workers."""
    return shared_node(workers=SHARED)


@pytest.fixture(scope="module")
def echoes(trio: Node) -> Iterator[list[Answering]]:
    """A lambda of each worker that answers with its body."""
    opened = [answering_at(trio, worker) for worker in range(SHARED)]
    yield opened
    for provider in opened:
        provider.close()
