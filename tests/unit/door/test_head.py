"""What the head of a request says (RFC 9112, RFC 7240)."""

from __future__ import annotations

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.door.head import Head
from lambdamesh.errors import BadRequest, HeadTooLarge
from tests.unit.door.heads import HOST, head_of, refusal_of


def test_lines_of_one_name_are_joined() -> None:
    head = head_of((b"Accept", b"a"), (b"ACCEPT", b" b\t"), (b"X", b""))
    assert head.error is None
    assert head.fields == {b"host": b"localhost:7630", b"accept": b"a, b", b"x": b""}


@pytest.mark.parametrize(
    "name", [b"Host", b"Content-Length", b"Origin", b"Sec-WebSocket-Key", b"Authorization", b"Lambda-Resume-Key"]
)
def test_some_names_come_once(name: bytes) -> None:
    lines = [(name, b"1"), (name.lower(), b"1")]
    head = Head(lines if name == b"Host" else [HOST, *lines], 100, Limits())
    assert isinstance(head.error, BadRequest)
    assert name.decode().lower() in head.error.message


@pytest.mark.parametrize("lines", [[], [(b"Accept", b"x")], [(b"Host", b"")], [(b"Host", b"  ")]])
def test_a_host_there_must_be(lines: list[tuple[bytes, bytes]]) -> None:
    error = refusal_of(Head(lines, 100, Limits()))
    assert isinstance(error, BadRequest)
    assert "Host" in error.message


@pytest.mark.parametrize(
    ("lines", "length", "has_body"),
    [
        ([], 0, False),
        ([(b"Content-Length", b"0")], 0, False),
        ([(b"Content-Length", b"12")], 12, True),
        ([(b"Content-Length", b"007")], 7, True),
        ([(b"Transfer-Encoding", b"chunked")], 0, True),
    ],
)
def test_the_length_of_the_body(lines: list[tuple[bytes, bytes]], length: int, has_body: bool) -> None:
    head = head_of(*lines)
    assert (head.error, head.content_length, head.has_body) == (None, length, has_body)


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"1.0", b"1, 1", b"0x1", b"\xb2"])
def test_what_is_no_length(length: bytes) -> None:
    assert isinstance(refusal_of(head_of((b"Content-Length", length))), BadRequest)


def test_a_length_that_says_the_same_in_more_digits_than_python_reads() -> None:
    head = head_of((b"Content-Length", b"0" * 5000 + b"1"))
    assert head.content_length == 1 or isinstance(head.error, BadRequest)


def test_length_and_chunks_contradict_one_another() -> None:
    head = head_of((b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"))
    assert isinstance(refusal_of(head), BadRequest)


@pytest.mark.parametrize(
    ("size_bytes", "lines", "is_refused"), [(16384, 100, False), (16385, 1, True), (100, 101, True)]
)
def test_a_head_is_16_kib_and_100_lines(size_bytes: int, lines: int, is_refused: bool) -> None:
    head = head_of(*((b"X-%d" % number, b"") for number in range(lines - 1)), size_bytes=size_bytes)
    assert isinstance(head.error, HeadTooLarge) is is_refused


@pytest.mark.parametrize(
    ("prefer", "wait_s", "respond_async"),
    [
        (b"wait=5", 5.0, False),
        (b"wait=1.5", 1.5, False),
        (b' Wait = "3" ', 3.0, False),
        (b"respond-async", None, True),
        (b"respond-async, wait=10", 10.0, True),
        (b"wait=10;x=y, return=minimal", 10.0, False),
        (b"Respond-Async;foo", None, True),
        (b"wait=", None, False),
        (b"wait=x", None, False),
        (b"wait=-1", None, False),
        (b"wait=nan", None, False),
        (b"wait=inf", None, False),
        (b"respond-asynchronously", None, False),
        (b"", None, False),
    ],
)
def test_preferences(prefer: bytes, wait_s: float | None, respond_async: bool) -> None:
    head = head_of((b"Prefer", prefer))
    assert (head.wishes.wait_s, head.wishes.respond_async) == (wait_s, respond_async)


@pytest.mark.parametrize(
    ("upgrade", "connection", "asks"),
    [
        (b"websocket", b"Upgrade", True),
        (b"WebSocket", b"keep-alive, Upgrade", True),
        (b"h2c, websocket", b"upgrade", True),
        (b"websocket/13", b"Upgrade", False),
        (b"h2c", b"Upgrade", False),
        (b"websocket", b"keep-alive", False),
        (b"websocket", b"upgraded", False),
    ],
)
def test_what_asks_for_a_websocket(upgrade: bytes, connection: bytes, asks: bool) -> None:
    assert head_of((b"Upgrade", upgrade), (b"Connection", connection)).asks_websocket is asks
    assert not head_of().asks_websocket


@pytest.mark.parametrize(
    ("coding", "is_encoded"), [(b"gzip", True), (b"identity", False), (b"Identity", False), (b"identity, br", True)]
)
def test_content_codings(coding: bytes, is_encoded: bool) -> None:
    assert head_of((b"Content-Encoding", coding)).is_encoded is is_encoded
    assert not head_of().is_encoded


@pytest.mark.parametrize(("expect", "expects"), [(b"100-continue", True), (b"100-Continue", True), (b"x", False)])
def test_expectations(expect: bytes, expects: bool) -> None:
    assert head_of((b"Expect", expect)).expects_continue is expects
