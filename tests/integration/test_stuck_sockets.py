"""Sockets that take nothing: each is cut after its deadline, and nobody else is hurt.

On TCP the system cuts such a connection too; on a Unix socket only the node does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.calling import call, gone
from tests.nodes import Node, until
from tests.providers import Answering, Provider
from tests.websocket import TEXT, WebSocket, frame
from tests.wire import Address, RawHttp, request

DEADLINE_S = 0.5
LARGE = b'"' + b"x" * (4 << 20) + b'"'
SMALL_BUFFER_BYTES = 4096


@pytest.fixture
def node(start_node: Callable[..., Node], tmp_path: Path) -> Node:
    """A node of its own: its open descriptors are counted."""
    return start_node(write_deadline_s=DEADLINE_S, local=["127.0.0.1:0", f"unix:{tmp_path}/s"])


@pytest.fixture(params=[0, 1], ids=["tcp", "unix"])
def address(request: pytest.FixtureRequest, node: Node) -> Address:
    """By which door the stuck socket comes."""
    return node.addresses[request.param]


def large_or_echo(method: str, body: bytes) -> bytes:
    return LARGE if method == "large" else body


def served_at_once(node: Node, lambda_id: str) -> bool:
    """Whether somebody else's call is answered while a socket is stuck."""
    began_at = time.monotonic()
    return call(node, lambda_id, b"1").status == 200 and time.monotonic() - began_at < 1.0


def test_a_provider_that_never_reads(node: Node, address: Address) -> None:
    with (
        Provider(address, receive_buffer_bytes=SMALL_BUFFER_BYTES) as stuck,
        Answering(node.address, large_or_echo) as other,
    ):
        stuck.accept()
        callers = [RawHttp(node.address) for _ in range(8)]
        began_at = time.monotonic()
        for http in callers:
            http.send(request("POST", f"/lambda/{stuck.id}/m?timeout=30", LARGE))
            assert served_at_once(node, other.id)
        answers = [http.answer() for http in callers]
        assert time.monotonic() - began_at >= DEADLINE_S
        for http in callers:
            http.close()
        codes = [(answer.status, answer.code) for answer in answers]
        assert set(codes) <= {(502, "lambda_lost"), (503, "overloaded"), (410, "lambda_gone")}
        assert (502, "lambda_lost") in codes
        assert (503, "overloaded") in codes
        assert gone(node, stuck.id)


def test_a_caller_that_never_reads(node: Node, address: Address) -> None:
    with Answering(node.address, large_or_echo) as provider:
        before = node.open_files()
        with RawHttp(address, SMALL_BUFFER_BYTES) as stuck:
            stuck.send(request("POST", f"/lambda/{provider.id}/large") * 8)
            until(lambda: "large" in provider.methods(), "the call is there")
            assert served_at_once(node, provider.id)
            until(lambda: node.open_files() <= before, "the node has cut the connection")
            assert len(stuck.rest()) < 8 * len(LARGE)
        assert call(node, provider.id, b"2").json() == 2


def test_a_connect_that_never_reads(node: Node, address: Address) -> None:
    with Answering(node.address, large_or_echo) as provider:
        before = node.open_files()
        with WebSocket.open(address, "/connect", receive_buffer_bytes=SMALL_BUFFER_BYTES) as stuck:
            ask = b'{"id":%d,"method":"POST /lambda/%b/large","params":[1]}'
            stuck.http.send(b"".join(frame(TEXT, ask % (n, provider.id.encode())) for n in range(8)))
            until(lambda: "large" in provider.methods(), "the call is there")
            assert served_at_once(node, provider.id)
            until(lambda: node.open_files() <= before, "the node has cut the connection")
            assert len(stuck.http.rest()) < 8 * len(LARGE)
        assert call(node, provider.id, b"2").json() == 2
