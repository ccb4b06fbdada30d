"""The table of outcomes: which word, which status, and whether the call was delivered."""

from __future__ import annotations

import pytest

from lambdamesh import errors
from lambdamesh.errors import CLOSE_CODES, LambdaError, MeshError, MethodNotAllowed

TABLE: list[tuple[type[MeshError], str, int, str]] = [
    (MeshError, "internal_error", 500, "no"),
    (errors.LambdaError, "lambda_error", 400, "yes"),
    (errors.MethodNotFound, "method_not_found", 400, "yes"),
    (errors.InvalidParams, "invalid_params", 400, "yes"),
    (errors.BadRequest, "bad_request", 400, "no"),
    (errors.Unauthorized, "unauthorized", 401, "no"),
    (errors.Forbidden, "forbidden", 403, "no"),
    (errors.NotFound, "not_found", 404, "no"),
    (errors.LambdaNotFound, "lambda_not_found", 404, "no"),
    (errors.MethodNotAllowed, "method_not_allowed", 405, "no"),
    (errors.RequestTimeout, "request_timeout", 408, "no"),
    (errors.LambdaGone, "lambda_gone", 410, "no"),
    (errors.TooLarge, "too_large", 413, "no"),
    (errors.Unsupported, "unsupported", 415, "no"),
    (errors.UpgradeRequired, "upgrade_required", 426, "no"),
    (errors.CallerOverloaded, "overloaded", 429, "no"),
    (errors.HeadTooLarge, "too_large", 431, "no"),
    (errors.LambdaLost, "lambda_lost", 502, "unknown"),
    (errors.PeerUnreachable, "peer_unreachable", 502, "no"),
    (errors.BadAnswer, "bad_answer", 502, "yes"),
    (errors.Overloaded, "overloaded", 503, "no"),
    (errors.Draining, "draining", 503, "no"),
    (errors.Recovering, "recovering", 503, "no"),
    (errors.CallTimeout, "timeout", 504, "unknown"),
    (errors.Loop, "loop", 508, "no"),
]
CLOSES: list[tuple[type[MeshError], int]] = [
    (errors.BadRequest, 4400),
    (errors.Forbidden, 4403),
    (errors.LambdaNotFound, 4404),
    (errors.CallTimeout, 4408),
    (errors.LambdaGone, 4410),
    (errors.TooLarge, 1009),
    (errors.Overloaded, 4429),
    (errors.CallerOverloaded, 4429),
    (errors.Draining, 4503),
    (errors.PeerUnreachable, 4503),
]
RECONNECT = {1006, 1011, 1012, 4408, 4429, *range(4500, 4600)}


def family(root: type[MeshError]) -> set[type[MeshError]]:
    return {root}.union(*(family(child) for child in root.__subclasses__()))


@pytest.mark.parametrize(("kind", "code", "http_status", "delivered"), TABLE)
def test_each_outcome_says_what_the_table_says(
    kind: type[MeshError], code: str, http_status: int, delivered: str
) -> None:
    assert (kind.code, kind.http_status, kind.delivered) == (code, http_status, delivered)


def test_the_table_has_every_outcome() -> None:
    assert {row[0] for row in TABLE} == {kind for kind in family(MeshError) if kind.__module__ == errors.__name__}


@pytest.mark.parametrize(("kind", "close_code"), CLOSES)
def test_what_a_socket_is_closed_with(kind: type[MeshError], close_code: int) -> None:
    assert kind.close_code == close_code


@pytest.mark.parametrize("kind", sorted(family(MeshError), key=str))
def test_every_close_code_is_documented_and_fits_what_may_be_tried_again(kind: type[MeshError]) -> None:
    assert kind.close_code in CLOSE_CODES
    assert not kind.retryable or kind.close_code in RECONNECT


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.CallerOverloaded("x"), ((b"Retry-After", b"1"),)),
        (errors.Overloaded("x"), ((b"Retry-After", b"1"),)),
        (errors.Draining("x"), ((b"Retry-After", b"1"),)),
        (errors.Recovering("x"), ((b"Retry-After", b"1"),)),
        (MethodNotAllowed("GET, HEAD"), ((b"Allow", b"GET, HEAD"),)),
        (errors.Unauthorized("x"), ((b"WWW-Authenticate", b"Bearer"),)),
        (errors.UpgradeRequired("x"), ((b"Sec-WebSocket-Version", b"13"), (b"Upgrade", b"websocket"))),
        (errors.LambdaLost("x"), ()),
    ],
)
def test_headers_beside_the_body(error: MeshError, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert error.headers == headers


def test_delivered_can_be_known_better_than_by_the_class() -> None:
    timeouts: list[MeshError] = [errors.CallTimeout("it waited", delivered="no"), errors.CallTimeout("it was sent")]
    assert [timeout.delivered for timeout in timeouts] == ["no", "unknown"]


def test_an_error_of_the_provider_keeps_what_it_said() -> None:
    error = LambdaError("boom", rpc_code=7, data=b"[1]")
    assert (str(error), error.message, error.rpc_code, error.data) == ("boom", "boom", 7, b"[1]")
