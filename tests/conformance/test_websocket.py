"""RFC 6455 as the node's WebSockets keep it: frames, messages, closing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    WebSocket,
    close_payload,
    frame,
    frame_head,
)
from tests.wire import RawHttp, refused, request

NO_MASK = bytes(4)
"""A legal mask that costs nothing."""
ROUTES = pytest.mark.parametrize("route", ["/lambda/new", "/connect"])
OpenLambda = Callable[..., Provider]


# Frames

Frames = tuple[bytes, ...]

FATAL: list[tuple[str, Frames, int]] = [
    ("unmasked text", (frame(TEXT, b"{}", mask=None),), 1002),
    ("unmasked ping", (frame(PING, b"", mask=None),), 1002),
    *((f"reserved bits {bits:03b}", (frame(TEXT, b"{}", rsv=bits),), 1002) for bits in range(1, 8)),
    ("reserved bit of a ping", (frame(PING, b"", rsv=4),), 1002),
    ("reserved bit of a continuation", (frame(TEXT, b"{", fin=False), frame(CONTINUATION, b"}", rsv=4)), 1002),
    *((f"opcode {opcode}", (frame(opcode, b"x"),), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("fragmented ping", (frame(PING, b"x", fin=False),), 1002),
    ("fragmented pong", (frame(PONG, b"x", fin=False),), 1002),
    ("fragmented close", (frame(CLOSE, close_payload(1000), fin=False),), 1002),
    ("ping of 126 bytes", (frame(PING, b"x" * 126),), 1002),
    ("pong of 126 bytes", (frame(PONG, b"x" * 126),), 1002),
    ("close of 126 bytes", (frame(CLOSE, close_payload(1000, b"x" * 124)),), 1002),
    ("ping of 70,000 bytes", (frame(PING, b"x" * 70_000),), 1002),
    ("orphan continuation", (frame(CONTINUATION, b"x"),), 1002),
    ("orphan continuation, not final", (frame(CONTINUATION, b"x", fin=False),), 1002),
    ("orphan continuation behind a message", (frame(TEXT, b" "), frame(CONTINUATION, b"x")), 1002),
    ("text inside a fragmented text", (frame(TEXT, b"{", fin=False), frame(TEXT, b"}")), 1002),
    ("binary inside a fragmented text", (frame(TEXT, b"{", fin=False), frame(BINARY, b"}")), 1002),
    ("text inside a fragmented binary", (frame(BINARY, b"{", fin=False), frame(TEXT, b"}", fin=False)), 1002),
    ("text that is not UTF-8", (frame(TEXT, b'"\xff"'),), 1007),
    ("overlong UTF-8", (frame(TEXT, b'"\xc0\xaf"'),), 1007),
    ("surrogate in UTF-8", (frame(TEXT, b'"\xed\xa0\x80"'),), 1007),
    ("beyond Unicode", (frame(TEXT, b'"\xf4\x90\x80\x80"'),), 1007),
    ("text that ends inside a character", (frame(TEXT, b'"\xe2\x82'),), 1007),
    ("bad UTF-8 split across fragments", (frame(TEXT, b'"\xe2\x82', fin=False), frame(CONTINUATION, b'x"')), 1007),
    ("bad UTF-8 in a later fragment", (frame(TEXT, b'"a', fin=False), frame(CONTINUATION, b'\xff"')), 1007),
    ("close of one byte", (frame(CLOSE, b"\x03"),), 1002),
    *(
        (f"close with {code}", (frame(CLOSE, close_payload(code)),), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)
    ),
    ("close with a reason that is not UTF-8", (frame(CLOSE, close_payload(1000, b"\xff")),), 1007),
]


@ROUTES
@pytest.mark.parametrize(("frames", "code"), [case[1:] for case in FATAL], ids=[case[0] for case in FATAL])
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_what_the_rfc_forbids_closes_the_socket(node: Node, route: str, frames: Frames, code: int, apart: bool) -> None:
    with WebSocket.open(node.address, route) as ws:
        if route == "/lambda/new":
            ws.message()
            ws.send(b'{"id":0,"result":"ok"}')
        for data in frames if apart else [b"".join(frames)]:
            ws.http.send(data)
        assert ws.close_code() == code


def test_a_fatal_frame_ends_the_lambda_and_its_calls(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        provider.ws.http.send(frame(TEXT, b"{}", rsv=4))
        assert provider.ws.close_code() == 1002
        refused(http.answer(), 502, "lambda_lost")
        refused(http.ask("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone")


def test_a_length_beyond_63_bits(node: Node) -> None:
    with WebSocket.open(node.address, "/connect") as ws:
        ws.http.send(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + NO_MASK)
        assert ws.close_code() in (1002, 1009)


@ROUTES
@pytest.mark.parametrize("size", [0, 1, 125])
def test_ping_is_answered_with_its_payload(node: Node, route: str, size: int) -> None:
    with WebSocket.open(node.address, route) as ws:
        if route == "/lambda/new":
            ws.message()
        ws.send_frame(PING, b"x" * size)
        assert ws.pong() == b"x" * size


@ROUTES
def test_pings_are_answered_in_order(node: Node, route: str) -> None:
    with WebSocket.open(node.address, route) as ws:
        if route == "/lambda/new":
            ws.message()
        ws.http.send(b"".join(frame(PING, b"%d" % n) for n in range(100)))
        assert [ws.pong() for _ in range(100)] == [b"%d" % n for n in range(100)]


@ROUTES
def test_pongs_that_nobody_asked_for_are_ignored(node: Node, route: str) -> None:
    with WebSocket.open(node.address, route) as ws:
        if route == "/lambda/new":
            ws.message()
        ws.http.send(frame(PONG, b"unasked") + frame(PONG) + frame(PING, b"x"))
        assert ws.pong() == b"x"


# Messages: an answer in all the shapes that frames can give it

RESULT = '{"ü":"€😀"}'.encode()


def split(message: bytes, size_bytes: int, opcode: int = TEXT) -> list[bytes]:
    """The frames of a message in pieces."""
    pieces = [message[at : at + size_bytes] for at in range(0, len(message), size_bytes)] or [b""]
    last = len(pieces) - 1
    return [frame(CONTINUATION if n else opcode, piece, fin=n == last) for n, piece in enumerate(pieces)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("between", [b"", frame(PING, b"p")], ids=["", "pings between"])
def test_fragmented_answers(node: Node, open_lambda: OpenLambda, size: int, opcode: int, between: bytes) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        frames = split(b'{"id":1,"result":%b}' % RESULT, size, opcode)
        provider.ws.http.send(between.join(frames))
        if between:
            assert [provider.ws.pong() for _ in frames[1:]] == [b"p"] * (len(frames) - 1)
        assert http.answer().body == RESULT


def test_frames_byte_by_byte(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        data = frame(PING, b"p") + b"".join(split(b'{"id":1,"result":%b}' % RESULT, 5))
        for index in range(len(data)):
            provider.ws.http.send(data[index : index + 1])
        assert provider.ws.pong() == b"p"
        assert http.answer().body == RESULT


def test_many_messages_in_one_segment(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with ExitStack() as open_callers:
        callers = [open_callers.enter_context(RawHttp(node.address)) for _ in range(10)]
        for number, http in enumerate(callers):
            http.send(request("POST", f"/lambda/{provider.id}/m", b"%d" % number))
        calls = [provider.next_call() for _ in callers]
        frames = [frame(TEXT, b'{"id":%d,"result":%b}' % (call.number or 0, call.body)) for call in calls]
        provider.ws.http.send(b"".join(frames))
        assert [http.answer().json() for http in callers] == list(range(10))


def test_open_may_be_answered_in_a_binary_frame(node: Node) -> None:
    with Provider(node.address) as provider, RawHttp(node.address) as http:
        provider.ws.send_frame(BINARY, b'{"id":0,"result":"ok"}')
        provider.settle()
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.answer_binary(provider.next_call(), b"5")
        assert http.answer().json() == 5


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_empty_messages_are_nothing(node: Node, open_lambda: OpenLambda, opcode: int) -> None:
    provider = open_lambda(node)
    provider.ws.http.send(frame(opcode) + frame(opcode, fin=False) + frame(CONTINUATION))
    provider.settle()
    assert node.fetch("GET", f"/lambda/{provider.id}").status == 200


def test_as_many_fragments_as_the_limit(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        message = (b'{"id":1,"result":1}').ljust(1024)
        provider.ws.http.send(b"".join(split(message, 1)))
        assert http.answer().json() == 1


@ROUTES
@pytest.mark.parametrize("piece", [b" ", b""], ids=["of a byte", "empty"])
def test_a_fragment_more_than_the_limit(node: Node, route: str, piece: bytes) -> None:
    with WebSocket.open(node.address, route) as ws:
        frames = [
            frame(TEXT, piece, fin=False),
            *[frame(CONTINUATION, piece, fin=False)] * 1023,
            frame(CONTINUATION, piece),
        ]
        ws.http.send(b"".join(frames))
        assert ws.close_code() == 1009


@ROUTES
def test_a_frame_over_16_mib(node: Node, route: str) -> None:
    size = 16 * 1024 * 1024 + 1
    with WebSocket.open(node.address, route) as ws:
        ws.http.send(frame_head(TEXT, size, mask=NO_MASK) + b" " * size)
        assert ws.close_code() == 1009


@ROUTES
def test_a_frame_that_announces_more_than_16_mib_is_not_waited_for(node: Node, route: str) -> None:
    with WebSocket.open(node.address, route) as ws:
        ws.http.send(frame_head(TEXT, 1 << 40, mask=NO_MASK) + b"{}")
        assert ws.close_code() == 1009


@ROUTES
def test_a_message_over_16_mib_in_fragments(node: Node, route: str) -> None:
    piece = b" " * (1 << 20)
    with WebSocket.open(node.address, route) as ws:
        ws.http.send(frame(TEXT, piece, fin=False, mask=NO_MASK))
        for _ in range(16):
            ws.http.send(frame(CONTINUATION, piece, fin=False, mask=NO_MASK))
        assert ws.close_code() == 1009


def test_a_value_over_16_mib_in_messages(node: Node, open_lambda: OpenLambda) -> None:
    """One value may span messages, but not without end."""
    provider = open_lambda(node)
    provider.ws.http.send(frame(TEXT, b'{"id":1,"result":"'))
    piece = frame(TEXT, b"x" * (1 << 20), mask=NO_MASK)
    for _ in range(17):
        provider.ws.http.send(piece)
    assert provider.ws.close_code() == 1009


def test_an_answer_of_16_mib_passes(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        envelope = b'{"id":1,"result":"%b"}'
        text = b"x" * (16 * 1024 * 1024 - len(envelope) + 2)
        provider.ws.http.send(frame(TEXT, envelope % text, mask=NO_MASK))
        answer = http.answer()
        assert (answer.status, len(answer.body)) == (200, len(text) + 2)


# Closing


@ROUTES
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1009, 1011, 3000, 4000, 4999])
@pytest.mark.parametrize("reason", [b"", "für alle €".encode(), b"x" * 123], ids=["", "reason", "long reason"])
def test_a_close_is_echoed(node: Node, route: str, code: int, reason: bytes) -> None:
    with WebSocket.open(node.address, route) as ws:
        ws.send_close(code, reason)
        assert ws.close_code() == code


@ROUTES
def test_an_empty_close_is_answered(node: Node, route: str) -> None:
    with WebSocket.open(node.address, route) as ws:
        ws.send_close()
        assert ws.close_code() in (NO_CODE, 1000)


@ROUTES
def test_what_follows_a_close_is_dropped(node: Node, route: str) -> None:
    with WebSocket.open(node.address, route) as ws:
        ws.http.send(frame(CLOSE, close_payload(1000)) + frame(TEXT, b"{}", rsv=7) + frame(PING, b"x"))
        assert ws.close_code() == 1000


def test_answers_before_a_close_count(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        provider.ws.http.send(frame(TEXT, b'{"id":1,"result":"last"}') + frame(CLOSE, close_payload(1000)))
        assert http.answer().json() == "last"
