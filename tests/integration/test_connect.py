"""``/connect`` with JSON-RPC 1.0: the whole API over one socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.lambda_ids import sibling
from tests.nodes import Node, until
from tests.providers import Answering, Provider
from tests.websocket import BINARY, CONTINUATION, TEXT, WebSocket, frame
from tests.wire import RAY, RawHttp, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


@pytest.fixture
def ws(node: Node) -> Iterator[WebSocket]:
    with WebSocket.open(node.address, "/connect") as socket_:
        yield socket_


def envelope(number: str, method: str, params: str = "[]") -> bytes:
    return f'{{"id":{number},"method":{json.dumps(method)},"params":{params}}}'.encode()


def error_of(answer: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Status and HTTP body of an error as the original writes them."""
    assert answer["result"] is None
    text = answer["error"]
    assert isinstance(text, str)
    words, _, body = text.partition(": ")
    assert words.startswith("error ")
    return int(words.removeprefix("error ")), json.loads(body)


def ask(ws: WebSocket, method: str, params: str = "[]") -> dict[str, object]:
    ws.send(envelope("1", method, params))
    answer: dict[str, object] = ws.json()
    assert answer["id"] == 1
    return answer


def test_a_call_byte_for_byte(ws: WebSocket, echo: Answering) -> None:
    ws.send(
        b'{"id":1,"method":"POST /lambda/%b/test","params":[{ "hello" : 12345678901234567890 }]}' % echo.id.encode()
    )
    assert ws.message() == b'{"id":1,"result":{ "hello" : 12345678901234567890 },"error":null}'


def test_members_in_any_order(ws: WebSocket, echo: Answering) -> None:
    ws.send(b' { "params" : [ 7 ] , "x" : 1, "method":"POST /lambda/%b/test", "id" : 1 } ' % echo.id.encode())
    assert ws.json() == {"id": 1, "result": 7, "error": None}


@pytest.mark.parametrize(
    "document",
    [
        '"\\ud800"',
        '{"a":1,"a":2}',
        "[1.0,1e400]",
        '"<&>"',
        "[" * 500 + "]" * 500,
        '"ü€😀"',
        '"' + "x" * 2_000_000 + '"',
    ],
    ids=["surrogate", "duplicate", "numbers", "html", "deep", "utf-8", "2 MB"],
)
def test_documents_pass_as_bytes(ws: WebSocket, echo: Answering, document: str) -> None:
    ws.send(f'{{"id":1,"method":"POST /lambda/{echo.id}/m","params":[{document}]}}'.encode())
    assert ws.message() == f'{{"id":1,"result":{document},"error":null}}'.encode()


@pytest.mark.parametrize("params", ["[]", "[null]"])
def test_no_params_are_null(ws: WebSocket, echo: Answering, params: str) -> None:
    assert ask(ws, f"POST /lambda/{echo.id}/m", params)["result"] is None
    assert echo.calls[-1].body == b"null"


def test_params_may_be_left_out(ws: WebSocket, echo: Answering) -> None:
    ws.send(f'{{"id":1,"method":"POST /lambda/{echo.id}/m"}}'.encode())
    assert ws.json() == {"id": 1, "result": None, "error": None}


def test_a_path_alone_is_a_post(ws: WebSocket, echo: Answering) -> None:
    assert ask(ws, "/ping")["result"] == socket.gethostname()
    assert ask(ws, f"/lambda/{echo.id}/m", "[5]")["result"] == 5


@pytest.mark.parametrize(
    "number", ["1", "0", "-1", "1.50", "1e2", "-0", "12345678901234567890", '"a"', '""', '"\\u0061 \\ud800"', '"ü"']
)
def test_ids_are_echoed_byte_for_byte(ws: WebSocket, number: str) -> None:
    ws.send(envelope(number, "/ping"))
    assert ws.message().startswith(b'{"id":%b,"result":"' % number.encode())


@pytest.mark.parametrize("number", ["{}", "[1]", "true"])
def test_other_ids_are_errors(ws: WebSocket, number: str) -> None:
    ws.send(envelope(number, "/ping"))
    assert ws.json()["error"] is not None
    assert ask(ws, "/ping")["error"] is None


@pytest.mark.parametrize("number", ["7", '"7"'])
def test_an_id_in_use_again_gets_an_error(node: Node, ws: WebSocket, open_lambda: OpenLambda, number: str) -> None:
    provider = open_lambda(node)
    ws.send(envelope(number, f"POST /lambda/{provider.id}/m", "[1]"))
    held = provider.next_call()
    ws.send(envelope(number, "/ping"))
    assert error_of(ws.json())[0] == 400
    provider.answer(held, b'"first"')
    assert ws.json()["result"] == "first"
    ws.send(envelope(number, "/ping"))
    assert ws.json()["error"] is None


def test_the_same_digits_as_number_and_string_are_two_ids(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    ws.send(envelope("7", f"POST /lambda/{provider.id}/m", "[1]"))
    held = provider.next_call()
    ws.send(envelope('"7"', "/ping"))
    assert ws.json()["id"] == "7"
    provider.answer(held, b"1")
    assert ws.json() == {"id": 7, "result": 1, "error": None}


# Routes


def test_routes_that_answer_json(node: Node, ws: WebSocket, echo: Answering) -> None:
    for target in ("/version", "/peers", f"/lambda/{echo.id}", "/lambda?count"):
        assert ask(ws, f"GET {target}") == {"id": 1, "result": node.fetch("GET", target).json(), "error": None} or (
            target == "/peers"
        )
    listing = ask(ws, "GET /lambda")["result"]
    assert isinstance(listing, dict)
    assert echo.id in listing
    assert ask(ws, "/lambda")["result"] == ask(ws, "GET /lambda")["result"]


def test_delete(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    assert ask(ws, f"DELETE /lambda/{provider.id}") == {"id": 1, "result": {}, "error": None}
    assert provider.ws.close_code() == 4410
    status, body = error_of(ask(ws, f"GET /lambda/{provider.id}"))
    assert (status, body["code"]) == (410, "lambda_gone")


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("GET /nowhere", 404, "not_found"),
        ("/nowhere", 404, "not_found"),
        ("PUT /ping", 405, "method_not_allowed"),
        ("DELETE /ping", 405, "method_not_allowed"),
        ("POST /lambda/short/m", 400, "bad_request"),
        ("POST /lambda/{id}/open", 400, "bad_request"),
        ("POST /lambda/{id}/", 400, "bad_request"),
        ("POST /lambda/{id}/%ff", 400, "bad_request"),
        ("POST /lambda/{gone}/m", 404, "lambda_not_found"),
        ("POST /lambda/{id}/m?timeout=x", 400, "bad_request"),
    ],
)
def test_errors_carry_status_and_body(ws: WebSocket, echo: Answering, method: str, status: int, code: str) -> None:
    answer = error_of(ask(ws, method.format(id=echo.id, gone=sibling(echo.id))))
    assert (answer[0], answer[1]["code"]) == (status, code)
    if "/lambda/" in method:
        assert answer[1]["delivered"] == "no"


@pytest.mark.parametrize(
    "method",
    [
        "GET /lambda/new",
        "GET /connect",
        "GET /events",
        "/connect",
        "",
        "GET",
        "GET ping",
        "ping",
        "GET  /ping",
        "http://localhost/ping",
    ],
)
def test_what_is_no_json_route_is_an_error(ws: WebSocket, method: str) -> None:
    status, _ = error_of(ask(ws, method))
    assert 400 <= status < 500
    assert ask(ws, "/ping")["error"] is None


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (b'"boom"', {"error": "boom", "code": "lambda_error", "delivered": "yes"}),
        (
            b'{"code":-32601,"message":"no"}',
            {"error": "no", "code": "method_not_found", "delivered": "yes", "rpc_code": -32601},
        ),
        (b'{"message":"m","data":[1]}', {"error": "m", "code": "lambda_error", "delivered": "yes", "data": [1]}),
    ],
)
def test_a_lambdas_error(
    node: Node, ws: WebSocket, open_lambda: OpenLambda, error: bytes, body: dict[str, object]
) -> None:
    provider = open_lambda(node)
    ws.send(envelope("1", f"POST /lambda/{provider.id}/m"))
    provider.fail(provider.next_call(), error)
    assert error_of(ws.json()) == (400, body)


def test_a_timeout_over_connect(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    status, body = error_of(ask(ws, f"POST /lambda/{open_lambda(node).id}/m?timeout=0.2"))
    assert (status, body["code"], body["delivered"]) == (504, "timeout", "unknown")


def test_a_lost_lambda_over_connect(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    ws.send(envelope("1", f"POST /lambda/{provider.id}/m"))
    provider.next_call()
    provider.ws.http.reset()
    status, body = error_of(ws.json())
    assert (status, body["code"]) == (502, "lambda_lost")


# Many at once


def test_answers_come_as_they_are_ready(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    ws.send(envelope('"slow"', f"POST /lambda/{provider.id}/m"))
    held = provider.next_call()
    ws.send(envelope('"quick"', "/ping"))
    assert ws.json()["id"] == "quick"
    provider.answer(held)
    assert ws.json()["id"] == "slow"


def test_a_thousand_calls_on_one_socket(node: Node, ws: WebSocket) -> None:
    with Answering(node.address, lambda method, body: body) as provider:
        for batch in range(5):
            numbers = range(batch * 200, batch * 200 + 200)
            ws.http.send(
                b"".join(frame(TEXT, envelope(str(n), f"POST /lambda/{provider.id}/m", f"[{n}]")) for n in numbers)
            )
            got = [ws.json() for _ in numbers]
            assert sorted(answer["id"] for answer in got) == list(numbers)
            assert all(answer["id"] == answer["result"] for answer in got)


def test_a_request_in_fragments_and_in_binary(ws: WebSocket) -> None:
    message = envelope("1", "/ping")
    ws.http.send(frame(TEXT, message[:5], fin=False) + frame(CONTINUATION, message[5:]))
    assert ws.json()["error"] is None
    ws.http.send(frame(BINARY, message))
    assert ws.json()["error"] is None


def test_a_notification_gets_no_answer(node: Node, ws: WebSocket, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    ws.send(envelope("null", f"POST /lambda/{provider.id}/m", "[1]"))
    ws.send(envelope("1", "/ping"))
    assert ws.json()["id"] == 1
    assert provider.next_call().body == b"1"


# Ends


@pytest.mark.parametrize(
    "message", [b"hello", b"[1", b"{}}", b'{"id":1,"method":}', b'{"id":1,"method":"/ping","params":[NaN]}']
)
def test_what_cannot_be_read_does_not_pass(node: Node, ws: WebSocket, message: bytes) -> None:
    """An error in return, or the end of the socket; other sockets never notice."""
    ws.send(message)
    ws.send(envelope('"behind"', "/ping"))
    found = ws.frame_but_pings()
    if found.opcode == TEXT:
        assert json.loads(found.payload)["error"] is not None
    else:
        assert found.payload[:2] == (4400).to_bytes(2, "big")
    assert node.fetch("GET", "/ping").status == 200


@pytest.mark.parametrize("leave", [RawHttp.close, RawHttp.reset], ids=["FIN", "RST"])
def test_a_caller_that_leaves_frees_its_places(
    shared_node: StartNode, open_lambda: OpenLambda, leave: Callable[[RawHttp], None]
) -> None:
    narrow = shared_node(lambda_calls=1)
    provider = open_lambda(narrow)
    with WebSocket.open(narrow.address, "/connect") as caller:
        caller.send(envelope("1", f"POST /lambda/{provider.id}/m"))
        provider.next_call()
        assert narrow.fetch("POST", f"/lambda/{provider.id}/m").status == 503
        leave(caller.http)
    with RawHttp(narrow.address) as http:

        def taken() -> bool:
            http.send(request("POST", f"/lambda/{provider.id}/next"))
            return http.quiet(for_s=0.05) or http.answer().status != 503

        until(taken, "the place is free")
        provider.answer(provider.next_call(), b"1")
        assert http.answer().json() == 1


def test_a_socket_that_opens_a_lambda_can_be_called_by_itself(
    node: Node, ws: WebSocket, open_lambda: OpenLambda
) -> None:
    provider = open_lambda(node)
    ws.send(envelope("1", f"POST /lambda/{provider.id}/m", "[1]"))
    provider.answer(provider.next_call(), b"2")
    assert ws.json()["result"] == 2


def test_a_connect_is_not_a_lambda(node: Node, ws: WebSocket) -> None:
    before = node.fetch("GET", "/lambda?count").json()
    with WebSocket.open(node.address, "/connect"):
        assert node.fetch("GET", "/lambda?count").json() == before


def test_the_handshake_has_a_ray(ws: WebSocket) -> None:
    assert RAY.fullmatch(ws.handshake.header("X-Ray") or "")
