"""The listening sockets of a node: for one process, and one of each worker."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdamesh.settings import ConfigError, Settings
from lambdamesh.sockets import Sockets, open_local, share

WORKERS = 3


@pytest.fixture
def opened() -> Iterator[list[Sockets]]:
    sockets: list[Sockets] = []
    yield sockets
    for one in sockets:
        one.close(with_files=True)


def shared(opened: list[Sockets], settings: Settings) -> list[Sockets]:
    opened += share(settings, WORKERS)
    return opened


def settings(*local: str, mesh: str | None = None) -> Settings:
    return Settings(local=local, mesh=mesh)


def test_port_0_is_one_port_for_all_of_each_door(opened: list[Sockets]) -> None:
    sockets = shared(opened, settings("127.0.0.1:0", "127.0.0.2:0", mesh="127.0.0.1:0"))
    names = {tuple(sock.getsockname() for sock in (*one.local, one.mesh) if sock is not None) for one in sockets}
    assert len(sockets) == WORKERS
    assert len(names) == 1
    [(first, second, mesh)] = names
    assert len({first, second, mesh}) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the workers share one socket")
def test_nobody_is_taken_before_a_worker_listens(opened: list[Sockets]) -> None:
    [first, *_] = shared(opened, settings("127.0.0.1:0"))
    address = first.local[0].getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 1.0).close()
    first.local[0].listen()
    socket.create_connection(address, 1.0).close()


@pytest.mark.parametrize("is_listening", [True, False])
def test_an_address_that_is_taken_is_named(opened: list[Sockets], is_listening: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if is_listening:
            taken.listen()
        host, port = taken.getsockname()
        for one in (settings(f"{host}:{port}"), settings("127.0.0.1:0", f"{host}:{port}")):
            with pytest.raises(ConfigError, match=f"local = {host}:{port}: cannot listen there .*--local"):
                shared(opened, one)
        with pytest.raises(ConfigError, match=f"mesh = {host}:{port}: cannot listen there .*--mesh"):
            shared(opened, settings("127.0.0.1:0", mesh=f"{host}:{port}"))


def test_what_was_bound_before_one_that_is_taken_is_let_go(opened: list[Sockets]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, other = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        with pytest.raises(ConfigError):
            shared(opened, settings(f"127.0.0.1:{port}", f"127.0.0.1:{other}"))
        socket.create_server(("127.0.0.1", port)).close()


def test_workers_that_listen_keep_the_address_from_another_node(opened: list[Sockets]) -> None:
    sockets = shared(opened, settings("127.0.0.1:0"))
    for one in sockets:
        one.local[0].listen()
    host, port = sockets[0].local[0].getsockname()
    for take in (lambda: share(settings(f"{host}:{port}"), 2), lambda: open_local(settings(f"{host}:{port}"))):
        with pytest.raises(ConfigError, match="cannot listen there"):
            take()


def test_one_unix_socket_is_shared_and_its_file_goes_when_it_is_told_to(opened: list[Sockets], tmp_path: Path) -> None:
    path = tmp_path / "door"
    first, second, third = shared(opened, settings(f"unix:{path}"))
    assert path.stat().st_mode & 0o777 == 0o600
    first.close(with_files=False)
    second.close(with_files=False)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accepted, _ = third.local[0].accept()
        accepted.close()
    third.close(with_files=True)
    assert not path.exists()
    third.close(with_files=True)


def test_the_default_door_does_without_an_address_that_is_not_there(
    opened: list[Sockets], monkeypatch: pytest.MonkeyPatch
) -> None:
    default = Settings().local
    assert len(default) == 2
    bound: list[str] = []

    def bind(host: str, _port: int, _user_timeout_s: float, *, is_shared: bool = False) -> socket.socket:
        bound.append(host)
        if ":" in host:
            raise OSError(99, "Cannot assign requested address")
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        return sock

    monkeypatch.setattr("lambdamesh.sockets.bind_tcp", bind)
    monkeypatch.setattr("lambdamesh.sockets.listen_tcp", bind)
    sockets = shared(opened, Settings())
    assert [len(one.local) for one in sockets] == [1] * WORKERS
    assert any(":" in host for host in bound)
