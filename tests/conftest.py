"""Nodes for the tests, and their logs where a test fails."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.nodes import Node
from tests.providers import Answering, Provider, echo as echo_function

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]

_started = pytest.StashKey[list[Node]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for node in _nodes_of(item):
            report.sections.append((f"log of node {node.pid}", node.log.tail()))
    return report


def _nodes_of(item: pytest.Item) -> list[Node]:
    """The nodes that a test uses: those it started, and those that are its fixtures."""
    values = item.funcargs.values() if isinstance(item, pytest.Function) else ()
    shared = [value for value in values if isinstance(value, Node)]
    return [*item.stash.get(_started, []), *shared]


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Nodes that tests share: the same settings, the same node."""
    nodes: dict[str, Node] = {}

    def start(**settings: object) -> Node:
        name = repr(sorted(settings.items()))
        if name not in nodes:
            nodes[name] = Node(tmp_path_factory.mktemp("node") / "state", settings)
        node = nodes[name]
        return node if node.addresses else node.ready()

    yield start
    for node in nodes.values():
        node.stop()


@pytest.fixture
def start_node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartNode]:
    """Start a node of one's own: ``start_node(ping_interval_s=0.2)``.

    ``state`` and ``nofile`` are the node's arguments; ``ready=False`` does not wait for its doors.
    """
    nodes: list[Node] = []

    def start(*, state: Path | None = None, nofile: int | None = None, ready: bool = True, **settings: Any) -> Node:
        node = Node(state or tmp_path / f"state{len(nodes)}", settings, nofile=nofile)
        nodes.append(node)
        request.node.stash.setdefault(_started, []).append(node)
        return node.ready() if ready else node

    yield start
    for node in nodes:
        node.stop()


@pytest.fixture(scope="session")
def node(shared_node: StartNode) -> Node:
    """The node with default limits that most tests use."""
    return shared_node()


@pytest.fixture(scope="session")
def echo(node: Node) -> Iterator[Answering]:
    """A lambda of :func:`node` that answers every call with its body."""
    with Answering(node.address, echo_function) as provider:
        yield provider


@pytest.fixture
def open_lambda() -> Iterator[OpenLambda]:
    """Open a lambda whose calls the test answers by hand: ``open_lambda(node)``."""
    providers: list[Provider] = []

    def open_one(node: Node, target: str = "/lambda/new", **how: Any) -> Provider:
        provider = Provider(node.address, target, **how)
        providers.append(provider)
        return provider.accept()

    yield open_one
    for provider in providers:
        provider.close()


@pytest.fixture(autouse=True)
def sound_nodes(request: pytest.FixtureRequest) -> Iterator[None]:
    """No request may make a node log a traceback."""
    yield
    for node in _nodes_of(request.node):
        assert not node.complaints()


@pytest.fixture
def plain_log() -> Iterator[None]:
    """Logs as the package configures none: a node in this process, of some test of the client, has made them quiet."""
    configured = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    if configured is not None:
        structlog.configure(**configured)
