"""The bounds of a request over HTTP: its head, its body, and the time that each may take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.requests import (
    CHUNKED,
    GET_PING,
    HOST,
    OpenLambda,
    chunks,
    never,
    never_reached,
)
from tests.meshes import counters
from tests.nodes import Node, until
from tests.providers import Answering
from tests.wire import RawHttp, lines, refused, request, sound

# Heads and bodies over their limits


def padded(size_bytes: int) -> bytes:
    """A head of exactly so many bytes."""
    bare = len(lines("GET /ping HTTP/1.1", HOST, "X-Pad: "))
    return lines("GET /ping HTTP/1.1", HOST, "X-Pad: " + "x" * (size_bytes - bare))


def many_headers(count: int) -> bytes:
    """A head of exactly so many header lines, Host among them."""
    return lines("GET /ping HTTP/1.1", HOST, *(f"X-{n}: y" for n in range(count - 1)))


@pytest.mark.parametrize("head", [padded(16 * 1024), many_headers(100)], ids=["16 KiB", "100 lines"])
def test_heads_at_their_limit_are_taken(node: Node, head: bytes) -> None:
    with RawHttp(node.address) as http:
        http.send(head)
        assert http.answer().status == 200
        http.send(head)
        assert http.answer().status == 200


@pytest.mark.parametrize(
    "head",
    [
        padded(17 * 1024),
        padded(40_000),
        many_headers(101),
        many_headers(2_000),
        lines("GET /ping?" + "x" * 17_000 + " HTTP/1.1", HOST),
        b"GET /" + b"x" * 17_000,
        b"GET /ping HTTP/1.1\r\nX-" + b"x" * 17_000,
        b"x" * 17_000,
    ],
    ids=["a little more", "one long header", "101 lines", "2,000 lines", "long target", "endless target", "endless header name", "endless verb"],
)  # fmt: skip
def test_heads_over_their_limit_get_431(node: Node, head: bytes) -> None:
    with RawHttp(node.address) as http:
        http.send(head)
        http.send_slowly(b"x" * 1_000)
        answer = sound(http.answer())
        assert answer.status in ((400, 431) if head.startswith(b"x") else (431,))
        assert http.rest() == b""


def test_head_limit_counts_each_request_of_a_connection_alone(node: Node) -> None:
    with RawHttp(node.address) as http:
        for _ in range(4):
            http.send(padded(12_000))
            assert http.answer().status == 200


@pytest.mark.parametrize(
    "flood",
    [
        b"2;" + b"x" * 1_000_000,
        b"2\r\n{}\r\n0\r\nX-A: " + b"x" * 1_000_000,
        b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200_000,
        b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200_000 + b"\r\n",
    ],
    ids=["chunk extension", "trailer", "endless trailers", "trailers"],
)
def test_what_surrounds_a_body_is_bounded_too(node: Node, echo: Answering, flood: bytes) -> None:
    with RawHttp(node.address) as http:
        http.send(chunks("", flood).of(echo.id))
        assert sound(http.answer()).status in (400, 413, 431)
        assert http.rest() == b""
    assert never_reached(echo, node)


def test_many_extensions_do_not_make_a_small_body_large(node: Node, echo: Answering) -> None:
    """One byte a chunk with an extension each: bounded like all else."""
    body = b"1;" + b"x" * 1_000 + b"\r\n1\r\n"
    with RawHttp(node.address) as http:
        http.send(chunks("", body * 20_000 + b"0\r\n\r\n").of(echo.id))
        assert sound(http.answer()).status in (400, 413, 431)
    assert never_reached(echo, node)


def test_length_over_the_limit_gets_413_before_the_body(node: Node, echo: Answering) -> None:
    with RawHttp(node.address) as http:
        http.send(never("", f"Content-Length: {16 * 1024 * 1024 + 1}").of(echo.id))
        answer = refused(sound(http.answer()), 413, "too_large")
        assert answer.delivered == "no"
    assert never_reached(echo, node)


def test_a_client_that_sends_its_large_body_anyway_reads_the_413(node: Node, echo: Answering) -> None:
    size = 16 * 1024 * 1024 + 1
    with RawHttp(node.address) as http:
        http.send(never("", f"Content-Length: {size}", body=b" " * size).of(echo.id))
        assert http.answer().status == 413


def test_chunks_over_the_limit_get_413(node: Node, echo: Answering) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with RawHttp(node.address) as http:
        http.send(never("", CHUNKED).of(echo.id))
        for _ in range(17):
            http.send(chunk)
        assert refused(http.answer(), 413, "too_large").delivered == "no"
    assert never_reached(echo, node)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_body_limit_is_exact(shared_node: Callable[..., Node], chunked: bool) -> None:
    small = shared_node(body_bytes=4096)
    with Answering(small.address, lambda method, body: b"1") as provider, RawHttp(small.address) as http:
        for size, status in ((4096, 200), (4097, 413)):
            body = b'"' + b"x" * (size - 2) + b'"'
            fields = [CHUNKED] if chunked else [f"Content-Length: {size}"]
            sent = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if chunked else body
            http.send(lines(f"POST /lambda/{provider.id}/m HTTP/1.1", HOST, *fields, body=sent))
            assert http.answer().status == status


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_content_encoding_gets_415(node: Node, echo: Answering, coding: str) -> None:
    answer = node.fetch("POST", f"/lambda/{echo.id}/never", b"\x1f\x8b", [("Content-Encoding", coding)])
    assert refused(sound(answer), 415, "unsupported").delivered == "no"
    assert never_reached(echo, node)


# All bodies together


def test_unfinished_bodies_are_bounded_together(start_node: Callable[..., Node]) -> None:
    own = start_node(buffered_bytes=1_000_000)
    body = b'"' + b"x" * 599_998 + b'"'
    with Answering(own.address, lambda method, body: b"1") as provider:
        first, second = RawHttp(own.address), RawHttp(own.address)
        target = f"/lambda/{provider.id}/m"
        first.send(request("POST", target, body)[:-1])
        until(lambda: counters(own)["buffered_bytes"] >= len(body) - 1, "the first has its place")
        second.send(request("POST", target, body)[:-1])
        answer = refused(second.answer(), 503, "overloaded")
        assert answer.delivered == "no"
        assert answer.header("Retry-After") is not None
        first.send(body[-1:])
        assert first.answer().json() == 1
        assert own.fetch("POST", target, body).json() == 1
        first.close()
        second.close()


# Time


@pytest.fixture(scope="module")
def hasty(shared_node: Callable[..., Node]) -> Node:
    """A node without patience."""
    return shared_node(
        head_timeout_s=0.4, body_grace_s=0.3, silent_timeout_s=1.2, idle_timeout_s=0.6, body_rate_bytes=1024
    )


@pytest.mark.parametrize("start", [b"GET", b"GET /ping HTTP/1.1\r\nHost: loc"], ids=["in the verb", "in a header"])
def test_a_head_that_stops_gets_408(hasty: Node, start: bytes) -> None:
    with RawHttp(hasty.address) as http:
        http.send(start)
        refused(sound(http.answer()), 408, "request_timeout")
        assert http.rest() == b""


def test_a_head_that_dribbles_gets_408(hasty: Node) -> None:
    with RawHttp(hasty.address) as http:
        http.send(b"GET /ping HTTP/1.1\r\nX-A: ")
        http.dribble(b"a", every_s=0.05, at_most=100)
        assert http.answer().status == 408


def test_a_second_head_that_stops_gets_408(hasty: Node) -> None:
    with RawHttp(hasty.address) as http:
        http.send(GET_PING + b"GET /ping HT")
        assert http.answer().status == 200
        assert http.answer().status == 408
        assert http.rest() == b""


@pytest.mark.parametrize("field", ["Content-Length: 100000", CHUNKED], ids=["length", "chunks"])
def test_a_body_that_stops_gets_408(hasty: Node, open_lambda: OpenLambda, field: str) -> None:
    provider = open_lambda(hasty)
    with RawHttp(hasty.address) as http:
        http.send(lines(f"POST /lambda/{provider.id}/never HTTP/1.1", HOST, field, body=b"2\r\n{"))
        answer = refused(sound(http.answer()), 408, "request_timeout")
        assert answer.delivered == "no"
        assert http.rest() == b""
    provider.settle()


def test_a_body_that_dribbles_gets_408(hasty: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(hasty)
    with RawHttp(hasty.address) as http:
        http.send(lines(f"POST /lambda/{provider.id}/never HTTP/1.1", HOST, "Content-Length: 100000"))
        http.dribble(b" ", every_s=0.05, at_most=100)
        assert http.answer().status == 408
    provider.settle()


def test_a_slow_but_steady_body_is_taken(hasty: Node) -> None:
    """Ten kilobytes a second for longer than the grace."""
    with Answering(hasty.address, lambda method, body: b"%d" % len(body)) as provider, RawHttp(hasty.address) as http:
        http.send(lines(f"POST /lambda/{provider.id}/m HTTP/1.1", HOST, "Content-Length: 12000", body=b'"'))
        for _ in range(11):
            http.send(b"x" * 1000)
            assert http.quiet(for_s=0.1)
        http.send(b"x" * 998 + b'"')
        assert http.answer().json() == 12000


def test_a_silent_connection_is_ended_without_a_word(hasty: Node) -> None:
    with RawHttp(hasty.address) as http:
        assert http.rest() == b""


def test_an_idle_connection_is_ended_without_a_word(hasty: Node) -> None:
    with RawHttp(hasty.address) as http:
        assert http.ask("GET", "/ping").status == 200
        assert http.rest() == b""


def test_a_connection_that_waits_for_its_answer_is_not_idle(hasty: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(hasty)
    with RawHttp(hasty.address) as http, RawHttp(hasty.address) as idle:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        call = provider.next_call()
        assert idle.ask("GET", "/ping").status == 200
        assert idle.rest() == b""  # that took longer than the idle timeout
        provider.answer(call, b"7")
        assert http.answer().json() == 7
