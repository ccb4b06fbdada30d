"""The blocking client: ``with lambdamesh.sync.connect() as mesh: mesh.call(...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from lambdamesh.client import connecting
from lambdamesh.client.blocking import BlockingExposed, BlockingMesh, BlockingStream
from lambdamesh.client.mesh import Connecting

__all__ = ["BlockingExposed", "BlockingMesh", "BlockingStream", "connect"]

P = ParamSpec("P")


def _blocking(begin: Callable[P, Connecting]) -> Callable[P, BlockingMesh]:
    def connect(*args: P.args, **kwargs: P.kwargs) -> BlockingMesh:
        """Connect to a node and wait until that is done; arguments and errors are those of ``lambdamesh.connect``.

        The client has a thread of its own for its event loop; ``on_state`` and async handlers run there.
        """
        return BlockingMesh(begin(*args, **kwargs))

    return connect


connect = _blocking(connecting.connect)
