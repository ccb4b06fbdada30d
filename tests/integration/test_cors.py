"""What a page of another origin may ask for and read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.knocking import APP
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import WebSocket, handshake
from tests.wire import Headers, RawHttp, refused, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# CORS


def test_preflight_of_a_call(door: Node, lambda_id: str) -> None:
    asked = [
        ("Origin", APP),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ]
    answer = sound(door.fetch("OPTIONS", f"/lambda/{lambda_id}/m", headers=asked))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Access-Control-Allow-Origin") == APP
    assert answer.header("Access-Control-Allow-Methods") == "POST"
    assert answer.header("Access-Control-Allow-Headers") == "authorization, content-type, accept, prefer, traceparent"
    assert answer.header("Access-Control-Max-Age") == "600"
    assert answer.header("Vary") == "Origin"
    assert answer.header("Access-Control-Allow-Credentials") is None


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_preflight_of_a_foreign_page_is_refused(door: Node, lambda_id: str, origin: str) -> None:
    answer = door.fetch(
        "OPTIONS", f"/lambda/{lambda_id}/m", headers=[("Origin", origin), ("Access-Control-Request-Method", "POST")]
    )
    assert answer.status == 403
    assert answer.header("Access-Control-Allow-Origin") is None


def test_preflight_of_deletion_allows_nothing(door: Node, lambda_id: str) -> None:
    asked = [("Origin", APP), ("Access-Control-Request-Method", "DELETE")]
    answer = door.fetch("OPTIONS", f"/lambda/{lambda_id}", headers=asked)
    assert "DELETE" not in (answer.header("Access-Control-Allow-Methods") or "")


@pytest.mark.parametrize(
    ("verb", "target", "body", "status"),
    [
        ("POST", "/lambda/{id}/m", b"1", 200),
        ("POST", "/lambda/{id}/m", b"nul", 400),
        ("POST", "/lambda/short/m", b"1", 400),
        ("POST", "/lambda/{id}/open", b"1", 400),
        ("PUT", "/lambda/{id}/m", b"1", 405),
        ("GET", "/nowhere", None, 404),
        ("GET", "/lambda", None, 403),
        ("GET", "/ping", None, 200),
    ],
)
def test_answers_and_errors_can_be_read_by_the_page(
    door: Node, answering_id: str, verb: str, target: str, body: bytes | None, status: int
) -> None:
    answer = door.fetch(verb, target.replace("{id}", answering_id), body, [("Origin", APP)])
    assert answer.status == status
    assert answer.header("Access-Control-Allow-Origin") == APP
    assert answer.header("Access-Control-Expose-Headers") == "X-Ray, Retry-After"
    assert answer.header("Access-Control-Allow-Credentials") is None


def test_no_cors_without_an_origin(door: Node, answering_id: str) -> None:
    answer = door.fetch("POST", f"/lambda/{answering_id}/m", b"1")
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


# Refusals of handshakes


@pytest.mark.parametrize("headers", [[("Origin", "https://evil.example")], [("Origin", APP), ("Via", "x")]])
def test_the_door_refuses_a_handshake_by_status_even_to_a_page(door: Node, headers: Headers) -> None:
    for target in ("/lambda/new", "/connect"):
        with RawHttp(door.address) as http:
            http.send(handshake(target, headers))
            refused(sound(http.answer()), 403, "forbidden")


def test_a_page_hears_of_a_bad_id_by_close_code(door: Node, lambda_id: str) -> None:
    """Of a lambda that is held, without a key."""
    with WebSocket.open(door.address, f"/lambda/new/{lambda_id}", headers=[("Origin", APP)]) as ws:
        assert ws.close_code() == 4403
    with RawHttp(door.address) as http:
        http.send(handshake(f"/lambda/new/{lambda_id}"))
        refused(sound(http.answer()), 403, "forbidden")
