"""For tests of code that uses lambdamesh: a node in this process, and a provider that answers what it is told.

With pytest, ``pytest_plugins = ["lambdamesh.testing.plugin"]`` in ``conftest.py`` gives the fixtures
``lambdamesh_node`` and ``lambdamesh_provider``.
"""

from lambdamesh.testing.nodes import InProcessNode, node
from lambdamesh.testing.providers import FakeProvider

__all__ = ["FakeProvider", "InProcessNode", "node"]
