"""Commands that go on, ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cli.commands import Going
from tests.nodes import ROOT, Node

Start = Callable[..., Going]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command that goes on: ``start(node, "expose", "app.py")``."""
    started: list[Going] = []

    def start_one(node: Node, *words: str, folder: Path = ROOT, reads_complaints: bool = True) -> Going:
        started.append(Going(node, *words, folder=folder, reads_complaints=reads_complaints))
        return started[-1]

    yield start_one
    for going in started:
        going.end()


@pytest.fixture
def greeter(node: Node, start: Start) -> str:
    """The id of the exposed example."""
    return str(start(node, "expose", "examples/python/greeter.py").event()["id"])
