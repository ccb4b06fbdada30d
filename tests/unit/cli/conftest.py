"""Fake nodes, and a terminal where a test wants one."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.fake_node import FakeNode, TcpServer, UnixServer, handler_of


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAMBDAMESH_URL", "LAMBDAMESH_TOKEN", "LAMBDAMESH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def fake_node() -> Iterator[FakeNode]:
    with serving() as node:
        yield node


@contextlib.contextmanager
def serving() -> Iterator[FakeNode]:
    """A fake node for as long as the block lasts."""
    node = FakeNode("")
    with TcpServer(("127.0.0.1", 0), handler_of(node)) as server:
        node.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield from _serving(server, node)


@pytest.fixture
def unix_node(tmp_path: Path) -> Iterator[FakeNode]:
    node = FakeNode(f"unix:{tmp_path / 'door.sock'}")
    with UnixServer(str(tmp_path / "door.sock"), handler_of(node)) as server:
        yield from _serving(server, node)


def _serving(server: TcpServer | UnixServer, node: FakeNode) -> Iterator[FakeNode]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield node
    server.shutdown()
    thread.join()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout is a terminal."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: stream is sys.stdout)
    monkeypatch.setenv("TERM", "dumb")
