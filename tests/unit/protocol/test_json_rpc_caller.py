"""JSON-RPC 1.0 with a caller that asks for routes."""

from __future__ import annotations

import contextlib
import json

import pytest

from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.json_rpc_caller import CallerSession
from lambdamesh.protocol.json_text import is_json
from lambdamesh.protocol.session import Bounds, SessionClosed


def ask(*messages: bytes, limit_bytes: int = 1 << 20) -> list[Asked]:
    """The requests that ``messages`` hold."""
    asked: list[Asked] = []
    session = CallerSession(lambda _message: None, asked.append, Bounds(limit_bytes, 1024))
    for message in messages:
        session.receive(message, False)
    return asked


def ask_one(message: bytes) -> Asked:
    (asked,) = ask(message)
    return asked


@pytest.mark.parametrize(
    ("message", "request_id", "method", "body"),
    [
        (b'{"id":1,"method":"POST /lambda/ID/test","params":[{"a":1}]}', b"1", "POST /lambda/ID/test", b'{"a":1}'),
        (b'{"id":"x","method":"/ping"}', b'"x"', "/ping", b"null"),
        (b'{"id":1,"method":"/ping","params":[]}', b"1", "/ping", b"null"),
        (b'{"id":-1.50e2,"method":"/ping","params":[1.0]}', b"-1.50e2", "/ping", b"1.0"),
        (b'{"id":12345678901234567890123,"method":"/ping"}', b"12345678901234567890123", "/ping", b"null"),
        (b'{"id":"\\u00e9\\/","method":"/ping"}', b'"\\u00e9\\/"', "/ping", b"null"),
        (b'{"id":"\\ud800","method":"/ping","params":["\\udc00"]}', b'"\\ud800"', "/ping", b'"\\udc00"'),
        (b'{"id":1,"method":"/a","params":[[1, "\\ud800"]]}', b"1", "/a", b'[1, "\\ud800"]'),
        ('{"id":1,"method":"/é","params":["é"]}'.encode(), b"1", "/é", '"é"'.encode()),
        (b'{"id":1,"method":"/a","params":[%b]}' % (b"[" * 512 + b"]" * 512), b"1", "/a", b"[" * 512 + b"]" * 512),
        (b'{"id":1,"method":"/\\ue000","params":["\\ud800"]}', b"1", "/\ue000", b'"\\ud800"'),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_requests(message: bytes, request_id: bytes, method: str, body: bytes) -> None:
    assert ask_one(message) == Asked(request_id, method, body)
    assert ask(b" " + message + b'\n{"method":"/x"}')[0] == Asked(request_id, method, body)


@pytest.mark.parametrize("message", [b'{"method":"/ping"}', b'{"id":null,"method":"/ping","params":[1]}'])
def test_without_an_id_it_is_a_notification(message: bytes) -> None:
    assert ask_one(message).is_notification


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        (b'{"id":1,"method":"/ping","params":[1,2]}', b"1"),
        (b'{"id":1,"method":"/ping","params":{"a":1}}', b"1"),
        (b'{"id":1,"method":"/ping","params":null}', b"1"),
        (b'{"id":1,"method":5}', b"1"),
        (b'{"id":1}', b"1"),
        (b'{"id":"a","method":"/ping","params":[NaN]}', b'"a"'),
        (b'{"id":7,"method":"/ping","params":["\xff"]}', b"7"),
        (b'{"id":7,"method":"/ping","params":["\n"]}', b"7"),
        (b'{"id":1,"method":"/ping","params":[%b]}' % (b"[" * 513 + b"]" * 513), b"1"),
        (b'{"id":1e2,"method":"/ping","params":[NaN]}', b"1e2"),
        ('{"id":"é","method":"/ping","params":[NaN]}'.encode(), '"é"'.encode()),
        (b'{"id":1,"method":"/\\ud800","params":[1]}', b"1"),
        (b'{"id":%b,"method":5}' % (b"9" * 5000), b"9" * 5000),
        (b'{"id":-%b,"method":"/ping","params":[NaN]}' % (b"1" * 5000), b"-" + b"1" * 5000),
        (b'{"id":%b.5,"method":"/ping","params":[NaN]}' % (b"1" * 300), b"1" * 300 + b".5"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_wrong_is_said_to_whoever_asked(message: bytes, request_id: bytes) -> None:
    asked = ask_one(message)
    assert asked.fault
    assert asked.id == request_id


@pytest.mark.parametrize("identity", [b"NaN", b"Infinity", b"[1]", b"true", b"{}"])
def test_an_id_that_cannot_be_echoed_is_not(identity: bytes) -> None:
    asked: list[Asked] = []
    session = CallerSession(lambda _message: None, asked.append, Bounds(1000, 1024))
    with contextlib.suppress(SessionClosed):
        session.receive(b'{"id":%b,"method":"/ping"}' % identity, False)
    assert all(one.id == b"null" and one.fault for one in asked)


@pytest.mark.parametrize("message", [b"hello", b"[]", b'{"id":1]}', b'{"result":1}', b"{}"])
def test_what_holds_no_request_closes(message: bytes) -> None:
    with pytest.raises(SessionClosed) as closed:
        ask(message)
    assert closed.value.close_code == 4400


def test_a_value_over_the_limit_closes_with_1009() -> None:
    with pytest.raises(SessionClosed) as closed:
        ask(b'{"id":1,"method":"', b"/" * 200, limit_bytes=100)
    assert closed.value.close_code == 1009


def test_requests_over_messages_and_several_in_one() -> None:
    asked = ask(b'{"id":1,"method":"/a"}{"id":2,"me', b'thod":"/b"}', b'{"id":3,"method":"/c"}')
    assert [(one.id, one.method) for one in asked] == [(b"1", "/a"), (b"2", "/b"), (b"3", "/c")]


def test_answers_echo_the_id_and_splice_the_result() -> None:
    sent: list[bytes] = []
    session = CallerSession(sent.append, lambda _asked: None, Bounds(100, 1024))
    session.answer(b'"x"', b'{"a":1.0}')
    session.refuse(b"1e2", 404, {"error": 'no "such" lambda'}, b"ray")
    assert sent[0] == b'{"id":"x","result":{"a":1.0},"error":null}'
    assert is_json(sent[1])
    assert json.loads(sent[1]) == {"id": 1e2, "result": None, "error": 'error 404: {"error":"no \\"such\\" lambda"}'}
    assert sent[1].startswith(b'{"id":1e2,')
