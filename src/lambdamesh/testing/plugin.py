"""Fixtures for pytest: ``pytest_plugins = ["lambdamesh.testing.plugin"]`` in the topmost ``conftest.py``.

It is no entry point: nothing of lambdamesh is loaded into a test run that did not ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from lambdamesh.testing.nodes import InProcessNode, node
from lambdamesh.testing.providers import FakeProvider


@pytest.fixture(scope="session")
def lambdamesh_node() -> Iterator[InProcessNode]:
    """A node for the whole run; ``lambdamesh_node.url`` is where to connect to."""
    with node() as running:
        yield running


@pytest.fixture
def lambdamesh_provider(lambdamesh_node: InProcessNode) -> Iterator[Callable[[Mapping[str, Any]], FakeProvider]]:
    """Make providers that answer what they are told: ``lambdamesh_provider({"add": 3})``."""
    with ExitStack() as providers:
        yield lambda answers: providers.enter_context(FakeProvider(lambdamesh_node.url, answers))
