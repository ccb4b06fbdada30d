"""Meshes of real nodes, one for each module: a test leaves the nodes as it found them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.mesh.strangers import HELLO_S
from tests.meshes import Mesh, mesh

StartMesh = Callable[..., Mesh]


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Three nodes that all tests of a module share."""
    with mesh(tmp_path_factory.mktemp("mesh"), 3) as running:
        yield running
        for node in running:
            assert not node.complaints()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Two nodes of one mesh, which others knock at."""
    with mesh(tmp_path_factory.mktemp("pair"), 2, link_hello_s=HELLO_S, link_ping_s=0.2, recovering_s=0) as running:
        yield running
        for node in running:
            assert not node.complaints()


@pytest.fixture
def start_mesh(tmp_path: Path) -> Iterator[StartMesh]:
    """Starts a mesh of so many nodes, with settings, which this test may break."""
    with ExitStack() as exits:

        def start(count: int, **settings: object) -> Mesh:
            return exits.enter_context(mesh(tmp_path, count, **settings))

        yield start
