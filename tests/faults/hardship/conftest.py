"""What the tests of hard times begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.hardship.mounts import OwnMounts, own_mounts
from tests.meshes import Mesh, mesh

StartMesh = Callable[..., Mesh]


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[OwnMounts]:
    """A place where this test alone mounts; skips, with its reason, where there is none."""
    with own_mounts() as own:
        yield own


@pytest.fixture
def start_mesh(tmp_path: Path) -> Iterator[StartMesh]:
    """Starts a mesh of so many nodes, with settings, which this test may harm."""
    with ExitStack() as exits:

        def start(count: int, **settings: Any) -> Mesh:
            running = exits.enter_context(mesh(tmp_path, count, **settings))
            exits.callback(sound, running)
            return running

        yield start


def sound(running: Mesh) -> None:
    """Nodes that have a hard time say so in words, and not with a traceback."""
    for node in running:
        assert not node.complaints()
