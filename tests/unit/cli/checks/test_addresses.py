"""What ``doctor`` says of addresses that are to be listened on."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambdamesh.cli.checks import addresses as checked
from lambdamesh.cli.checks.addresses import addresses
from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.listeners import address_of, listeners_of
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.state import open_state
from tests.unit.cli.fake_node import FakeNode

Around = Callable[..., Surroundings]


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def one(around: Surroundings) -> Finding:
    [found] = addresses(around)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_free_one(around: Around) -> None:
    place = f"127.0.0.1:{free_port()}"
    assert one(around(local=(place,))) == Finding("addresses", State.OK, f"{place} (the local door) is free")
    assert "takes a free port" in one(around(local=("127.0.0.1:0",))).what


def test_the_mesh_door_is_looked_at_too(around: Around, taken: str) -> None:
    local, mesh = addresses(around(local=("127.0.0.1:0",), mesh=taken, mesh_secret_file="/s"))
    assert (local.state, mesh.state) == (State.OK, State.WRONG)
    assert mesh.fix is not None
    assert mesh.fix.endswith("lambdamesh serve --mesh HOST:PORT")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who listens on Linux only")
def test_one_that_somebody_else_has_names_them(around: Around, taken: str) -> None:
    found = one(around(local=(taken,)))
    assert found.state is State.WRONG
    assert f"(pid {os.getpid()})" in found.what
    assert found.fix is not None
    assert found.fix.startswith(f"kill {os.getpid()}")


def test_one_that_another_node_has(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", b'"9.9.9"')
    found = one(around(local=(fake_node.url.removeprefix("http://"),)))
    assert found.state is State.WRONG
    assert "another node (9.9.9)" in found.what


def test_one_that_the_node_of_this_directory_has(around: Around, taken: str, state: Path) -> None:
    held = open_state(state)
    found = one(around(local=(taken,)))
    held.close()
    assert found == Finding(
        "addresses", State.OK, f"{taken} (the local door) is held by the node with pid {os.getpid()}"
    )


def test_one_that_this_machine_does_not_have(around: Around) -> None:
    found = one(around(local=("192.0.2.1:7630",), local_token_file="/t"))
    assert found.state is State.WRONG
    assert "no such address" in found.what


def test_a_machine_without_ipv6_does_without_the_default(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "none")

    monkeypatch.setattr(checked, "_try", refuse)
    v4, v6 = addresses(around())
    assert (v4.state, v6.state) == (State.WRONG, State.OK)


def test_a_port_that_only_root_may_have(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(checked, "_try", refuse)
    fix = one(around(local=("127.0.0.1:80",))).fix
    assert fix is not None
    assert "ip_unprivileged_port_start=80" in fix


def test_a_socket_file(around: Around, tmp_path: Path, state: Path) -> None:
    path = tmp_path / "door.sock"
    settings = around(local=(f"unix:{path}",))
    assert one(settings).what == f"{path} can be made"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        assert "was left by a node that has ended" in one(settings).what
        sock.listen()
        assert one(settings).state is State.WRONG
        held = open_state(state)
        assert one(settings).state is State.OK
        held.close()
    path.unlink()
    path.touch()
    assert one(settings).what == f"{path} is there and is no socket"
    assert one(around(local=(f"unix:{tmp_path}/none/x",))).fix == f"mkdir -p {tmp_path}/none"
    assert "107 bytes at most" in one(around(local=(f"unix:/{'x' * 107}",))).what


@pytest.mark.skipif(sys.byteorder != "little", reason="these are what a little-endian machine writes")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("B80D01200000000000000000FF000000", "2001:db8::ff"),
    ],
)
def test_addresses_as_the_kernel_writes_them(text: str, address: str) -> None:
    assert address_of(text) == ipaddress.ip_address(address)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who listens on Linux only")
def test_who_listens_on_all_addresses_listens_on_each() -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        port = sock.getsockname()[1]
        assert [process.pid for process in listeners_of("127.0.0.1", port)] == [os.getpid()]
        assert [process.parent for process in listeners_of("localhost", port)] == [os.getppid()]
    assert listeners_of("127.0.0.1", port) == []
