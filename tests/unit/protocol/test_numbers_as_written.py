"""Ids as people write them: an id is given back to the byte, and ``1.0`` is 1 where a number is looked up."""

from __future__ import annotations

import pytest

from lambdamesh.errors import BadAnswer
from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.json_rpc_caller import CallerSession
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import Told

BOUNDS = Bounds(1 << 20, 1024)


# -- callers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        (b'{"params":[{"id":1.0},NaN],"method":"/ping","id":1}', b"1"),
        (b'{"params":[{"id":1},NaN],"method":"/ping","id":1.0}', b"1.0"),
        (b'{"id":1,"method":"/ping","params":[{"id":1.0},NaN]}', b"1"),
        (b'{"id":1.0,"method":"/ping","params":[{"id":1},NaN]}', b"1.0"),
        (b'{"params":[{"id":"1"},NaN],"method":"/ping","id":1}', b"1"),
        (b'{"params":["\\"id\\":1.0",NaN],"method":"/ping","id":1}', b"1"),
        (b'{"id":2,"method":"/ping","params":[NaN],"id":1}', b"1"),
        (b'{"id":-1.50e2,"method":5}', b"-1.50e2"),
    ],
)
def test_an_unreadable_request_is_answered_with_its_own_id(message: bytes, request_id: bytes) -> None:
    asked: list[Asked] = []
    sent: list[bytes] = []
    session = CallerSession(sent.append, asked.append, BOUNDS)
    session.receive(message, False)
    (one,) = asked
    assert one.fault
    assert one.id == request_id
    session.refuse(one.id, 400, {}, b"")
    assert sent[0].startswith(b'{"id":%b,"result":null,"error":' % request_id)


# -- providers ---------------------------------------------------------------------------------------------------


def settled(message: bytes) -> tuple[Told, SessionCounters]:
    """How call 1 of two ends by ``message``, and what was counted."""
    counters = SessionCounters()
    session = Session(lambda _message: None, lambda: None, counters, BOUNDS)
    session.receive(b'{"id":0,"result":"ok"}', False)
    first, second = Told(), Told()
    session.call(Call(b"", b'"test"', b"1", 60.0), first)
    session.call(Call(b"", b'"test"', b"2", 60.0), second)
    session.receive(message, False)
    assert not second.outcomes
    return first, counters


@pytest.mark.parametrize(
    "message",
    [
        b'{"id":1.0,"result":5}',
        b'{"id":1e0,"result":5}',
        b'{"id":10e-1,"result":5,"error":null}',
        b'{"id":1,"method":null,"result":5}',
        b'{"method":null,"id":1.0,"result":5,"error":null}',
    ],
)
@pytest.mark.parametrize("beside", [b"", b' {"id":99,"result":1}'], ids=["alone", "with another"])
def test_an_answer_is_found_however_its_number_is_written(message: bytes, beside: bytes) -> None:
    told, counters = settled(message + beside)
    assert told.raw == b"5"
    assert counters.unknown_answers == bool(beside)


def test_a_surrogate_in_such_an_answer_is_kept() -> None:
    assert settled(b'{"id":1.0,"result":"\\ud800"}')[0].raw == b'"\\ud800"'


def test_an_error_in_such_an_answer_is_one() -> None:
    assert settled(b'{"id":1.0,"method":null,"error":"no"}')[0].error.message == "no"


@pytest.mark.parametrize(
    "message",
    [
        b'{"id":1.5,"result":5}',
        b'{"id":1.0000001,"result":5}',
        b'{"id":1e300,"result":5}',
        b'{"id":-1.0,"result":5}',
        b'{"id":1,"method":"x","result":5}',
        b'{"id":1.0,"method":"x","result":5}',
    ],
)
def test_what_answers_another_answers_nothing(message: bytes) -> None:
    told, counters = settled(message)
    assert not told.outcomes
    assert counters.unknown_answers == 1


@pytest.mark.parametrize("message", [b'{"id":0.0,"result":"ok"}', b'{"id":0,"method":null,"result":"ok"}'])
def test_open_is_answered_so_too(message: bytes) -> None:
    opened: list[bool] = []
    session = Session(lambda _message: None, lambda: opened.append(True), SessionCounters(), BOUNDS)
    session.receive(message, False)
    assert opened == [True]


@pytest.mark.parametrize("answer", [b'{"id":1.0,"result":NaN}', b'{"id":1e0,"result":"\xff"}'])
def test_a_bad_answer_ends_its_call_however_its_number_is_written(answer: bytes) -> None:
    told, counters = settled(answer)
    assert isinstance(told.error, BadAnswer)
    assert counters.bad_answers == 1
