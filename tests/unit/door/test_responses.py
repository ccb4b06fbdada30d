"""Answers as bytes."""

from __future__ import annotations

import json

import pytest

from lambdamesh.door.responses import JSON_TYPE, StatusLines, error_body
from lambdamesh.errors import CallTimeout, Forbidden, InvalidParams, LambdaError, MeshError

UNIX_S = 1_711_843_200.75
OPENING = (
    b"HTTP/1.1 404 Not Found\r\n"
    b"Date: Sun, 31 Mar 2024 00:00:00 GMT\r\n"
    b"Content-Type: text/plain\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Ray: "
)


def test_an_opening() -> None:
    assert StatusLines(UNIX_S).opening(404, b"text/plain") == OPENING


def test_no_content_type_where_there_is_no_content() -> None:
    assert b"Content-Type" not in StatusLines(UNIX_S).opening(204, b"").replace(b"X-Content-Type", b"")


def test_the_plain_200_is_made_once_a_second() -> None:
    lines = StatusLines(UNIX_S)
    first = lines.ok
    assert first == lines.opening(200, JSON_TYPE)
    lines.tick(UNIX_S + 0.2)
    assert lines.ok is first
    lines.tick(UNIX_S + 0.3)
    assert b"00:00:01 GMT" in lines.ok


@pytest.mark.parametrize("status", [101, 200, 202, 204, 400, 401, 403, 404, 405, 408, 410, 413, 415, 426, 429, 431])
def test_every_status_has_a_reason(status: int) -> None:
    line = StatusLines(UNIX_S).opening(status, b"").split(b"\r\n")[0]
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert len(line.split(b" ", 2)[2]) > 1


@pytest.mark.parametrize(
    ("error", "is_call", "body"),
    [
        (Forbidden("no"), False, {"error": "no", "code": "forbidden"}),
        (Forbidden("no"), True, {"error": "no", "code": "forbidden", "delivered": "no"}),
        (CallTimeout("late"), True, {"error": "late", "code": "timeout", "delivered": "unknown"}),
        (CallTimeout("late", delivered="no"), True, {"error": "late", "code": "timeout", "delivered": "no"}),
        (LambdaError('b"oom\n'), True, {"error": 'b"oom\n', "code": "lambda_error", "delivered": "yes"}),
        (
            InvalidParams("x", rpc_code=-32602, data=b'{"a":[1]}'),
            True,
            {"error": "x", "code": "invalid_params", "delivered": "yes", "rpc_code": -32602, "data": {"a": [1]}},
        ),
        (
            LambdaError("x", rpc_code=0, data=b"null"),
            True,
            {"error": "x", "code": "lambda_error", "delivered": "yes", "rpc_code": 0, "data": None},
        ),
    ],
)
def test_errors_as_json(error: MeshError, is_call: bool, body: dict[str, object]) -> None:
    assert json.loads(error_body(error, is_call)) == body


def test_data_of_an_error_is_passed_on_byte_for_byte() -> None:
    assert b'"data":[1.00, "\\ud800"]' in error_body(LambdaError("x", data=b'[1.00, "\\ud800"]'), True)
