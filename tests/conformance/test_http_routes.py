"""What HTTP says beside the route: methods, verbs, HEAD, Upgrade, Expect."""

from __future__ import annotations

import pytest

from tests.conformance.requests import (
    CHUNKED,
    GET_PING,
    HOST,
    SENDERS,
    Sender,
    alive,
    never_reached,
)
from tests.nodes import Node
from tests.providers import Answering
from tests.wire import Answer, RawHttp, lines, refused, request, sound

# Methods


@pytest.mark.parametrize(
    ("segment", "method"),
    [
        ("te%73t", "test"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a%25b", "a%b"),
        ("a%2541", "a%41"),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("a%22b%5C", 'a"b\\'),
        ("%C3%BC%F0%9F%98%80", "ü😀"),
        ("%E2%80%A8", "\u2028"),
        ("$x", "$x"),
        ("$", "$"),
        ("x$%2F", "x$/"),
        ("Open", "Open"),
        ("opens", "opens"),
        ("a.b:c@d!e'f(g)*,;=~_-", "a.b:c@d!e'f(g)*,;=~_-"),
        ("n" * 256, "n" * 256),
        ("%6E" * 256, "n" * 256),
        ("%C3%A9" * 128, "é" * 128),
    ],
)
def test_the_method_is_one_decoded_segment(node: Node, echo: Answering, segment: str, method: str) -> None:
    assert node.fetch("POST", f"/lambda/{echo.id}/{segment}?x=y", b"1").status == 200
    assert echo.methods()[-1] == method


# Verbs

GETS = (
    "/lambda",
    "/ping",
    "/version",
    "/peers",
    "/peers/alive",
    "/debug/headers",
    "/healthz",
    "/readyz",
    "/metrics",
    "/",
)
ALSO_POST = ("/lambda", "/ping", "/version", "/peers", "/peers/alive")
ROUTES = {
    **{target: {"GET", "HEAD"} for target in GETS},
    **{target: {"GET", "HEAD", "POST"} for target in ALSO_POST},
    "/events": {"GET", "HEAD"},
    "/lambda/{id}": {"GET", "HEAD", "DELETE"},
    "/lambda/{id}/m": {"POST"},
    "/lambda/new": {"GET"},
    "/lambda/new/{id}": {"GET"},
    "/connect": {"GET"},
}
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WRONG = [(verb, target) for target, verbs in ROUTES.items() for verb in VERBS if verb not in verbs and verb != "HEAD"]


@pytest.mark.parametrize(("verb", "target"), WRONG)
def test_other_verbs_get_405_with_allow(node: Node, echo: Answering, verb: str, target: str) -> None:
    answer = sound(node.fetch(verb, target.format(id=echo.id)))
    refused(answer, 405, "method_not_allowed")
    allowed = {word.strip() for word in (answer.header("Allow") or "").split(",")}
    assert allowed - {"OPTIONS"} >= ROUTES[target] - {"HEAD"}
    assert verb not in allowed


@pytest.mark.parametrize("target", ALSO_POST)
def test_post_is_taken_as_get(node: Node, echo: Answering, target: str) -> None:
    with RawHttp(node.address) as http:
        got, posted = http.ask("GET", target), http.ask("POST", target, b'{"any": "body"}')
        assert (posted.status, type(posted.json())) == (200, type(got.json()))


@pytest.mark.parametrize("target", [*GETS, "/lambda/{id}"])
def test_head_is_get_without_a_body(node: Node, echo: Answering, target: str) -> None:
    def kept(answer: Answer) -> set[tuple[str, str]]:
        own = (
            ("x-ray", "date")
            if target not in ("/metrics", "/debug/headers", "/peers", "/peers/alive")
            else ("x-ray", "date", "content-length")
        )
        return {(name.lower(), value) for name, value in answer.headers if name.lower() not in own}

    with RawHttp(node.address) as http:
        got, head = http.ask("GET", target.format(id=echo.id)), http.ask("HEAD", target.format(id=echo.id))
        assert got.status == head.status == 200
        assert kept(sound(head)) == kept(sound(got))
        assert head.header("Content-Length") is not None
        assert alive(http)


def test_head_of_what_is_not_there_has_no_body_either(node: Node) -> None:
    with RawHttp(node.address) as http:
        assert sound(http.ask("HEAD", "/nowhere")).status == 404
        assert sound(http.ask("HEAD", "/lambda/short")).status == 400
        assert alive(http)


# Upgrade, Expect


@pytest.mark.parametrize("upgrade", ["h2c", "h2c, foo", "TLS/1.0", "websockets"])
@SENDERS
def test_other_upgrades_are_ignored_and_the_body_is_read(
    node: Node, echo: Answering, upgrade: str, sender: Sender
) -> None:
    body = b'{"hello":"world"}'
    fields = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    with RawHttp(node.address) as http:
        sender(
            http, lines(f"POST /lambda/{echo.id}/m HTTP/1.1", HOST, *fields, f"Content-Length: {len(body)}", body=body)
        )
        answer = sound(http.answer())
        assert (answer.status, answer.body) == (200, body)
        assert alive(http)


def test_an_ignored_upgrade_with_chunks_and_a_request_behind_it(node: Node, echo: Answering) -> None:
    fields = ("Connection: Upgrade", "Upgrade: h2c", CHUNKED)
    with RawHttp(node.address) as http:
        http.send(lines(f"POST /lambda/{echo.id}/m HTTP/1.1", HOST, *fields, body=b"2\r\n[]\r\n0\r\n\r\n") + GET_PING)
        assert http.answer().body == b"[]"
        assert http.answer().status == 200


def test_upgrade_to_websocket_of_another_route_is_ignored(node: Node) -> None:
    fields = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    with RawHttp(node.address) as http:
        http.send(lines("GET /ping HTTP/1.1", HOST, *fields))
        assert sound(http.answer()).status in (200, 400)


EXPECT = ("Expect", "100-continue")


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
def test_continue_comes_before_the_body(node: Node, echo: Answering, value: str) -> None:
    with RawHttp(node.address) as http:
        http.send(lines(f"POST /lambda/{echo.id}/m HTTP/1.1", HOST, f"Expect: {value}", "Content-Length: 2"))
        assert http.answer().status == 100
        assert http.quiet()
        http.send(b"[]")
        answer = sound(http.answer())
        assert (answer.status, answer.body) == (200, b"[]")
        assert alive(http)


def test_continue_with_chunks(node: Node, echo: Answering) -> None:
    with RawHttp(node.address) as http:
        http.send(lines(f"POST /lambda/{echo.id}/m HTTP/1.1", HOST, "Expect: 100-continue", CHUNKED))
        assert http.answer().status == 100
        http.send(b"2\r\n[]\r\n0\r\n\r\n")
        assert http.answer().body == b"[]"


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/lambda/{id}/never", ["Host: evil.example", "Content-Length: 2"], 403),
        ("/lambda/{id}/never", [HOST, "Origin: https://evil.example", "Content-Length: 2"], 403),
        ("/lambda/{id}/never", [HOST, "Content-Length: 99999999"], 413),
        ("/lambda/{id}/never", [HOST, "Content-Encoding: gzip", "Content-Length: 2"], 415),
        ("/lambda/{id}/never%ff", [HOST, "Content-Length: 2"], 400),
        ("/lambda/{id}/open", [HOST, "Content-Length: 2"], 400),
        ("/nowhere", [HOST, "Content-Length: 2"], 404),
        ("/lambda/{id}", [HOST, "Content-Length: 2"], 405),
        ("/lambda/{id}/never", ["Content-Length: 2"], 400),
    ],
)
def test_a_refused_expectation_gets_its_answer_and_no_continue(
    node: Node, echo: Answering, target: str, fields: list[str], status: int
) -> None:
    with RawHttp(node.address) as http:
        http.send(lines(f"POST {target.format(id=echo.id)} HTTP/1.1", *fields, "Expect: 100-continue"))
        assert sound(http.answer()).status == status
    assert never_reached(echo, node)


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("evil.example", 403)])
def test_a_client_that_does_not_wait_for_continue_keeps_its_place(
    node: Node, echo: Answering, host: str, status: int
) -> None:
    """Its body is never taken for the next request."""
    body = GET_PING
    with RawHttp(node.address) as http:
        http.send(
            request("POST", f"/lambda/{echo.id}/never", b'"' + body.replace(b"\r\n", b" ") + b'"', [EXPECT], host=host)
        )
        answer = http.answer()
        if answer.status == 100:
            answer = http.answer()
        assert answer.status == status
        if answer.header("Connection") == "close":
            assert http.rest() == b""
        else:
            assert alive(http)
    echo.calls.clear()
