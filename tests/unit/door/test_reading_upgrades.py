"""What a reader makes of heads that ask for an upgrade."""

from __future__ import annotations

import pytest

from lambdamesh.core.limits import Limits
from tests.unit.door.readings import H2C, HOST, NEXT, PLAIN, WEBSOCKET, Outcome, Reading, post


def test_a_handshake_is_the_last_thing_read() -> None:
    reading = Reading()
    outcomes = reading.feed(b"GET /ws HTTP/1.1\r\n" + HOST + WEBSOCKET + b"\r\n\x81\x80tail", b"more")
    assert outcomes == [Outcome("handshake", b"GET", b"/ws", b"", False)]
    assert reading.tail == b"\x81\x80tail"
    assert reading.reader.done


@pytest.mark.parametrize("cut", range(12))
def test_an_upgrade_to_anything_else_is_ignored_and_its_body_read(cut: int) -> None:
    stream = b"POST /p HTTP/1.1\r\n" + HOST + H2C + b"Content-Length: 4\r\n\r\nbody" + PLAIN
    at = stream.index(b"\r\n\r\n") + cut
    expected = [Outcome("request", b"POST", b"/p", b"body", True), NEXT]
    assert Reading().feed(stream[:at], stream[at:]) == expected


@pytest.mark.parametrize(
    ("tail", "kind"),
    [
        (post(b"x" * 101)[len(b"POST /p HTTP/1.1\r\n" + HOST) :], "too_large"),
        (b"Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "bad_request"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "bad_request"),
    ],
    ids=["body", "next", "chunk"],
)
def test_what_is_wrong_behind_an_ignored_upgrade_keeps_its_name(tail: bytes, kind: str) -> None:
    reading = Reading(Limits(body_bytes=100))
    reading.feed(b"POST /p HTTP/1.1\r\n" + HOST + H2C + tail)
    assert reading.outcomes[-1].kind == kind


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (b"GET /g HTTP/1.1\r\n" + HOST + H2C, b"/g"),
        (b"POST /p HTTP/1.1\r\n" + HOST + WEBSOCKET, b"/p"),
        (b"GET /g HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n", b"/g"),
        (b"GET /g HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\n", b"/g"),
    ],
    ids=["h2c", "post", "no connection", "no upgrade"],
)
def test_what_is_no_handshake_is_a_request(head: bytes, target: bytes) -> None:
    outcomes = Reading().feed(head + b"\r\n" + PLAIN)
    assert [(outcome.kind, outcome.target) for outcome in outcomes] == [("request", target), ("request", b"/plain")]


def test_an_ignored_upgrade_keeps_what_else_the_head_says() -> None:
    reading = Reading()
    lines = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\nX: 1\r\nX: 2\r\nExpect: 100-continue\r\n"
    reading.feed(b"POST /p HTTP/1.1\r\n" + HOST + lines + b"Content-Length: 1\r\n\r\nx" + PLAIN)
    (request,) = reading.requests
    assert request.head.fields[b"x"] == b"1, 2"
    assert reading.expected == [b"/p"]
    assert not request.keep_alive
