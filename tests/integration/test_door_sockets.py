"""The local door on Unix sockets and on IPv6."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.events import EventStream
from tests.nodes import Node
from tests.providers import Answering, Provider, echo as echo_function
from tests.wire import RawHttp, WireError

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Unix sockets and IPv6


@pytest.fixture
def both(start_node: StartNode, tmp_path: Path) -> Node:
    return start_node(local=["127.0.0.1:0", f"unix:{tmp_path}/s"])


def test_a_unix_socket_is_a_local_door(both: Node, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert path in both.addresses
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    with Answering(path, echo_function) as provider, RawHttp(path) as http:
        assert http.ask("POST", f"/lambda/{provider.id}/m", b"[1]").body == b"[1]"
        assert both.fetch("POST", f"/lambda/{provider.id}/m", b"2").json() == 2
        assert provider.id in http.ask("GET", "/lambda").json()
        with EventStream(path) as events:
            provider.close()
            assert events.of(provider.id)[0] == "close"


def test_the_unix_socket_has_the_same_rules(both: Node, tmp_path: Path) -> None:
    with RawHttp(str(tmp_path / "s")) as http:
        for headers in ([("Origin", "https://evil.example")], [("Via", "x")], [("Sec-Fetch-Site", "cross-site")]):
            assert http.ask("GET", "/ping", headers=headers).status == 403


def test_large_answers_over_the_unix_socket(both: Node, tmp_path: Path) -> None:
    large = b'"' + b"x" * 5_000_000 + b'"'
    path = str(tmp_path / "s")
    with Answering(path, echo_function) as provider, RawHttp(path) as http:
        assert http.ask("POST", f"/lambda/{provider.id}/m", large).body == large


def test_a_socket_that_a_crash_left_behind_is_replaced(start_node: StartNode, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    own = start_node(local=f"unix:{tmp_path}/s")
    assert own.fetch("GET", "/ping").status == 200


def test_a_socket_that_another_node_answers_on_is_not_taken(both: Node, start_node: StartNode, tmp_path: Path) -> None:
    second = start_node(ready=False, local=f"unix:{tmp_path}/s")
    assert second.wait() != 0
    with RawHttp(str(tmp_path / "s")) as http:
        assert http.ask("GET", "/ping").status == 200


def test_a_file_that_is_no_socket_is_not_replaced(start_node: StartNode, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    assert start_node(ready=False, local=f"unix:{tmp_path}/s").wait() != 0
    assert (tmp_path / "s").read_text() == "precious"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_loopback_is_a_local_door(start_node: StartNode) -> None:
    own = start_node(local=["127.0.0.1:0", "[::1]:0"])
    with Answering(own.addresses[1], echo_function) as provider:
        assert own.fetch("GET", f"/lambda/{provider.id}").json()["headers"]["P-Ip"] == ["::1"]


def test_nobody_else_hears_a_local_door(node: Node) -> None:
    """A door on 127.0.0.1 is not on the machine's other addresses."""
    other = "127.0.0.2"
    with pytest.raises((ConnectionRefusedError, WireError)):
        RawHttp((other, node.port)).ask("GET", "/ping")
