"""A client of a real node, and one behind a proxy that can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import lambdamesh
from lambdamesh import Mesh
from tests.integration.client.proxy import Proxy, proxy_to
from tests.nodes import Node


@pytest.fixture
async def mesh(node: Node) -> AsyncIterator[Mesh]:
    async with lambdamesh.connect(node.url) as mesh:
        yield mesh


@pytest.fixture
async def proxy(node: Node) -> AsyncIterator[Proxy]:
    async with proxy_to(node.port) as proxy:
        yield proxy
