"""HTTP/1.1 as the local door reads it: what is legal, what is refused, and that each request has one answer.

Tables of bytes. In them ``{id}`` stands for a live lambda that echoes; a method named ``never`` must not reach it.
"""

from __future__ import annotations

import pytest

from tests.conformance.requests import (
    CHUNKED,
    GET_PING,
    HOST,
    SENDERS,
    Case,
    Sender,
    alive,
    chunks,
    named,
    never,
    never_reached,
    ping,
)
from tests.nodes import Node
from tests.providers import Answering
from tests.wire import RawHttp, lines, refused, request, sound

REFUSED_AND_CLOSED = [
    # Host and target
    ping("no host"),
    ping("two hosts", HOST, "Host: pm3"),
    ping("the same host twice", HOST, HOST),
    ping("absolute target", HOST, first="GET http://localhost/ping HTTP/1.1"),
    ping("absolute target of another host", HOST, first="GET http://example.com/ping HTTP/1.1"),
    ping("target without a slash", HOST, first="GET ping HTTP/1.1"),
    ping("empty target", HOST, first="GET  HTTP/1.1"),
    ping("space in the target", HOST, first="GET /ping x HTTP/1.1"),
    ping("NUL in the target", HOST, first=b"GET /pi\x00ng HTTP/1.1"),
    ping("control character in the target", HOST, first=b"GET /pi\x01ng HTTP/1.1"),
    # verb and version
    ping("no verb", HOST, first="/ping HTTP/1.1"),
    ping("illegal character in the verb", HOST, first="G@T /ping HTTP/1.1"),
    ping("no version", HOST, first="GET /ping"),
    ping("HTTP/2.0", HOST, first="GET /ping HTTP/2.0"),
    ping("HTTP/9.9", HOST, first="GET /ping HTTP/9.9"),
    ping("HTTP/1", HOST, first="GET /ping HTTP/1"),
    ping("another protocol", HOST, first="GET /ping HTTQ/1.1"),
    ping("version in lower case", HOST, first="GET /ping http/1.1"),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Case("a TLS client", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n"),
    # lines
    Case("bare LF everywhere", b"GET /ping HTTP/1.1\nHost: localhost\n\n"),
    Case("bare LF behind the request line", b"GET /ping HTTP/1.1\nHost: localhost\r\n\r\n"),
    Case("bare LF behind a header", b"GET /ping HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n"),
    Case("bare LF at the end of the head", b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\n"),
    Case("bare CR in a value", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-A: a\rb\r\n\r\n"),
    ping("obs-fold", HOST, "X-A: a", " b"),
    ping("obs-fold with a tab", HOST, "X-A: a", "\tb"),
    ping("obs-fold of the first header", " X-A: a", HOST),
    ping("space before the colon", HOST, "X-A : b"),
    ping("space in a header name", HOST, "X A: b"),
    ping("illegal character in a header name", HOST, "X(A): b"),
    ping("high byte in a header name", HOST, b"X\xe4A: b"),
    ping("empty header name", HOST, ": b"),
    ping("header without a colon", HOST, "X-A"),
    ping("NUL in a header value", HOST, b"X-A: a\x00b"),
    ping("NUL in a header name", HOST, b"X\x00A: b"),
    ping("control character in a header value", HOST, b"X-A: a\x01b"),
    ping("DEL in a header value", HOST, b"X-A: a\x7fb"),
    # lengths
    never("length and chunks", "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
    never("chunks and length", CHUNKED, "Content-Length: 5", body=b"0\r\n\r\n"),
    never("length twice", "Content-Length: 2", "Content-Length: 2", body=b"{}"),
    never("two lengths", "Content-Length: 2", "Content-Length: 3", body=b"{} "),
    never("two lengths in one line", "Content-Length: 2, 2", body=b"{}"),
    never("length with a sign", "Content-Length: +2", body=b"{}"),
    never("negative length", "Content-Length: -2", body=b"{}"),
    never("length in hexadecimal", "Content-Length: 0x2", body=b"{}"),
    never("length with a space inside", "Content-Length: 1 2", body=b"{}          "),
    never("length that is no number", "Content-Length: two", body=b"{}"),
    never("empty length", "Content-Length: ", body=b"{}"),
    never("length beyond 64 bits", "Content-Length: 18446744073709551618", body=b"{}"),
    # transfer codings
    never("unknown coding", "Transfer-Encoding: gzip", body=b"{}"),
    never("chunks are not the last coding", "Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    never("identity", "Transfer-Encoding: identity", body=b"{}"),
    never("looks like chunked", "Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    never("chunked twice", "Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    never("coding twice", CHUNKED, "Transfer-Encoding: identity", body=b"0\r\n\r\n"),
    # chunks
    chunks("chunk size that is no number", b"zz\r\n{}\r\n0\r\n\r\n"),
    chunks("empty chunk size", b"\r\n{}\r\n0\r\n\r\n"),
    chunks("negative chunk size", b"-2\r\n{}\r\n0\r\n\r\n"),
    chunks("chunk size with 0x", b"0x2\r\n{}\r\n0\r\n\r\n"),
    chunks("chunk size beyond 64 bits", b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
    chunks("chunk longer than its size", b"1\r\n{}\r\n0\r\n\r\n"),
    chunks("bare LF behind a chunk size", b"2\n{}\r\n0\r\n\r\n"),
    chunks("bare LF behind a chunk", b"2\r\n{}\n0\r\n\r\n"),
    chunks("space before a chunk size", b" 2\r\n{}\r\n0\r\n\r\n"),
    chunks("obs-fold in a trailer", b"2\r\n{}\r\n0\r\nX-A: a\r\n b\r\n\r\n"),
]

REFUSED_AND_KEPT = [
    never("not JSON", "Content-Length: 3", body=b"nul"),
    Case("bad id", lines("POST /lambda/short/never HTTP/1.1", HOST)),
    Case("id with an illegal character", lines("POST /lambda/rhowRuuCUoE5vlc!/never HTTP/1.1", HOST)),
    Case("id of 17 characters", lines("POST /lambda/rhowRuuCUoE5vlcAA/never HTTP/1.1", HOST)),
    Case("method open", lines("POST /lambda/{id}/open HTTP/1.1", HOST)),
    Case("method open, escaped", lines("POST /lambda/{id}/o%70en HTTP/1.1", HOST)),
    Case("method of the protocol, escaped", lines("POST /lambda/{id}/%24%2Fx HTTP/1.1", HOST)),
    Case("method of the protocol, slash escaped", lines("POST /lambda/{id}/$%2Fx HTTP/1.1", HOST)),
    Case("empty method", lines("POST /lambda/{id}/ HTTP/1.1", HOST)),
    Case("half an escape", lines("POST /lambda/{id}/never% HTTP/1.1", HOST)),
    Case("one digit of an escape", lines("POST /lambda/{id}/never%4 HTTP/1.1", HOST)),
    Case("escape that is no number", lines("POST /lambda/{id}/never%zz HTTP/1.1", HOST)),
    Case("escape with a sign", lines("POST /lambda/{id}/never%+1 HTTP/1.1", HOST)),
    Case("method that is not UTF-8", lines("POST /lambda/{id}/never%ff HTTP/1.1", HOST)),
    Case("overlong UTF-8 in the method", lines("POST /lambda/{id}/never%c0%80 HTTP/1.1", HOST)),
    Case("surrogate in the method", lines("POST /lambda/{id}/never%ed%a0%80 HTTP/1.1", HOST)),
    Case("NUL in the method", lines("POST /lambda/{id}/never%00 HTTP/1.1", HOST)),
    Case("line end in the method", lines("POST /lambda/{id}/never%0a HTTP/1.1", HOST)),
    Case("DEL in the method", lines("POST /lambda/{id}/never%7f HTTP/1.1", HOST)),
    Case("C1 control in the method", lines("POST /lambda/{id}/never%c2%85 HTTP/1.1", HOST)),
    Case("method of 257 bytes", lines("POST /lambda/{id}/" + "n" * 257 + " HTTP/1.1", HOST)),
    Case("method of 258 bytes in 129 characters", lines("POST /lambda/{id}/" + "%C3%A9" * 129 + " HTTP/1.1", HOST)),
    Case("unknown route", lines("GET /nowhere HTTP/1.1", HOST), 404),
    Case("two segments behind the id", lines("POST /lambda/{id}/a/b HTTP/1.1", HOST), 404),
    Case("unknown route, with a body", lines("POST /nowhere HTTP/1.1", HOST, "Content-Length: 5", body=b"hello"), 404),
]

LEGAL = [
    Case("plain", GET_PING, 200),
    Case("empty lines before the request", b"\r\n\r\n" + GET_PING, 200),
    Case("header names in any case", lines("GET /ping HTTP/1.1", "hOsT: localhost"), 200),
    Case("no space behind the colon", lines("GET /ping HTTP/1.1", "Host:localhost"), 200),
    Case("spaces around a value", lines("GET /ping HTTP/1.1", "Host: \t localhost \t "), 200),
    Case("high bytes in a value", lines("GET /ping HTTP/1.1", HOST, b"X-A: gr\xfc\xc3\xbc"), 200),
    Case("empty value", lines("GET /ping HTTP/1.1", HOST, "X-A:"), 200),
    Case("a query", lines("GET /ping?a=b&c HTTP/1.1", HOST), 200),
    Case("HTTP/1.0", lines("GET /ping HTTP/1.0", HOST), 200),
    Case("length zero", lines("POST /lambda/{id}/m HTTP/1.1", HOST, "Content-Length: 0"), 200),
    Case("length with zeroes before it", lines("POST /lambda/{id}/m HTTP/1.1", HOST, "Content-Length: 002", body=b"{}"), 200),
    Case("no body", lines("POST /lambda/{id}/m HTTP/1.1", HOST), 200),
    Case("a GET with a body", lines("GET /ping HTTP/1.1", HOST, "Content-Length: 5", body=b"hello"), 200),
    Case("one chunk", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), 200),
    Case("a chunk a byte", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 200),
    Case("chunked in capitals", lines("POST /lambda/{id}/m HTTP/1.1", HOST, "Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"), 200),
    Case("size in capitals", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b'A\r\n"12345678"\r\n0\r\n\r\n'), 200),
    Case("size with zeroes", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b"0002\r\n{}\r\n000\r\n\r\n"), 200),
    Case("chunk extensions", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b'2;a=b;c="d"\r\n{}\r\n0;e\r\n\r\n'), 200),
    Case("trailers", lines("POST /lambda/{id}/m HTTP/1.1", HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\nX-A: b\r\n\r\n"), 200),
    Case("form type", lines("POST /lambda/{id}/m HTTP/1.1", HOST, "Content-Type: application/x-www-form-urlencoded"), 200),
]  # fmt: skip


@SENDERS
@pytest.mark.parametrize("case", REFUSED_AND_CLOSED, ids=named)
def test_broken_requests_get_400_and_the_connection_ends(
    node: Node, echo: Answering, case: Case, sender: Sender
) -> None:
    with RawHttp(node.address) as http:
        sender(http, case.of(echo.id))
        answer = refused(sound(http.answer()), case.status, "bad_request")
        assert answer.header("Connection") == "close"
        assert http.rest() == b""
    assert never_reached(echo, node)


@SENDERS
@pytest.mark.parametrize("case", REFUSED_AND_KEPT, ids=named)
def test_wrong_requests_are_refused_and_the_connection_goes_on(
    node: Node, echo: Answering, case: Case, sender: Sender
) -> None:
    with RawHttp(node.address) as http:
        sender(http, case.of(echo.id))
        refused(sound(http.answer()), case.status, "bad_request" if case.status == 400 else "not_found")
        assert alive(http)
    assert never_reached(echo, node)


@SENDERS
@pytest.mark.parametrize("case", LEGAL, ids=named)
def test_legal_requests_are_taken(node: Node, echo: Answering, case: Case, sender: Sender) -> None:
    with RawHttp(node.address) as http:
        sender(http, case.of(echo.id))
        assert sound(http.answer()).status == case.status
        if b"HTTP/1.0" in case.request:
            assert http.rest() == b""
        else:
            assert alive(http)


@pytest.mark.parametrize("verb", ["get", "Get", "FOO", "CONNECT", "TRACE", "PATCH"])
def test_other_verbs_are_the_clients_fault(node: Node, verb: str) -> None:
    target = "localhost:80" if verb == "CONNECT" else "/ping"
    with RawHttp(node.address) as http:
        http.send(request(verb, target))
        assert sound(http.answer()).status in (400, 405)


def test_errors_off_calls_do_not_speak_of_delivery(node: Node) -> None:
    assert "delivered" not in node.fetch("GET", "/nowhere").json()


def test_refused_calls_say_not_delivered(node: Node, echo: Answering) -> None:
    assert node.fetch("POST", f"/lambda/{echo.id}/open").delivered == "no"
    assert node.fetch("POST", f"/lambda/{echo.id}/m", b"nul").delivered == "no"


def test_a_method_of_the_protocol_is_no_method(node: Node, echo: Answering) -> None:
    """Unescaped it is two segments, which is no route; either way it stays out."""
    with RawHttp(node.address) as http:
        assert http.ask("POST", f"/lambda/{echo.id}/$/never").status in (400, 404)
        assert alive(http)
    assert never_reached(echo, node)
