"""A stream of JSON-RPC 1.0 means the same however it is cut into messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.json_rpc_caller import CallerSession
from lambdamesh.protocol.scanner import ScanError, Scanner
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters
from tests.property.streams import cut, cuts, long_objects, values
from tests.unit.fakes import Told

CALLS = 4
LIMIT_BYTES = 1 << 20

spaces = st.sampled_from([b"", b" ", b"\r\n\t "])
raw_values = st.one_of(
    st.builds(lambda value, short: json.dumps(value, ensure_ascii=short).encode(), values, st.booleans()),
    st.sampled_from([b'"\\ud800"', b'["\\udc00\\\\"]', b"1e999", b'"\\ue0000\\ue001"', b"12345678901234567890123"]),
    st.sampled_from([b"NaN", b'"\n"', b'"\xff"', b'"\xed\xa0\x80"', b"[" * 513 + b"]" * 513]),
)
ids = st.integers(-1, CALLS + 1).map(lambda number: b"%d" % number) | st.sampled_from(
    [b"null", b'"1"', b"true", b"1.5"]
)
fields = st.lists(st.tuples(st.sampled_from([b"result", b"error", b"more"]), raw_values), max_size=3)


def written(members: list[tuple[bytes, bytes]], space: bytes) -> bytes:
    """Write an object with white space wherever it may be."""
    comma = space + b"," + space
    return b"{" + space + comma.join(b'"%b"%b:%b' % (name, space, raw) for name, raw in members) + space + b"}"


@st.composite
def objects(draw: st.DrawFn, names: st.SearchStrategy[list[tuple[bytes, bytes]]]) -> bytes:
    """An object with an id somewhere in it, or without one."""
    members = draw(names)
    if draw(st.integers(0, 9)):
        members.insert(draw(st.integers(0, len(members))), (b"id", draw(ids)))
    return draw(spaces) + written(members, draw(spaces)) + draw(spaces)


rubbish = st.sampled_from([b"[]", b"x", b'{"id":1,}', b"{]", b'"'])


def streams(one: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Several of ``one``, and now and then what cannot be read."""
    whole = st.lists(one, max_size=6).map(b"".join)
    return whole | st.tuples(whole, rubbish, whole).map(b"".join)


def told_by(messages: list[bytes]) -> tuple[Any, ...]:
    """What a session made of ``messages``: how each call ended, what was counted, and how it closed."""
    counters = SessionCounters()
    session = Session(lambda _message: None, lambda: None, counters, Bounds(LIMIT_BYTES, 1024))
    session.receive(b'{"id":0,"result":"ok"}', True)
    tolds = [Told() for _ in range(CALLS)]
    for told in tolds:
        session.call(Call(b"", b'"test"', b"1", 60.0), told)
    close_code = 0
    try:
        for message in messages:
            session.receive(message, False)
    except SessionClosed as closed:
        close_code = closed.close_code
    outcomes = [(told.results, [(type(fault), fault.message) for fault in told.faults]) for told in tolds]
    assert all(told.outcomes == (number not in session.pending) for number, told in enumerate(tolds, 1))
    return outcomes, counters.bad_answers, counters.unknown_answers, close_code


@given(streams(objects(fields)), cuts)
@settings(max_examples=300)
def test_answers_mean_the_same_however_they_are_cut(stream: bytes, at: list[int]) -> None:
    assert told_by(cut(stream, at)) == told_by([stream])


@given(st.lists(objects(fields), max_size=6))
@settings(max_examples=200)
def test_answers_mean_the_same_one_a_message(answers: list[bytes]) -> None:
    assert told_by(answers) == told_by([b"".join(answers)])


@given(st.permutations(range(1, CALLS + 1)), st.lists(values, min_size=CALLS, max_size=CALLS), cuts)
def test_every_answer_finds_its_call(order: list[int], results: list[Any], at: list[int]) -> None:
    raws = [json.dumps(result).encode() for result in results]
    stream = b"".join(b'{"id":%d,"result":%b}' % (number, raws[number - 1]) for number in order)
    outcomes, *counted = told_by(cut(stream, at))
    assert outcomes == [([raw], []) for raw in raws]
    assert counted == [0, 0, 0]


requests = st.lists(
    st.tuples(st.just(b"method"), st.sampled_from([b'"/ping"', b'"POST /lambda/ID/a"', b'"/\xc3\xa9"', b"5"]))
    | st.tuples(
        st.just(b"params"), raw_values.map(lambda raw: b"[" + raw + b"]") | st.sampled_from([b"[]", b"[1,2]", b"{}"])
    ),
    max_size=3,
)


def asked_by(messages: list[bytes]) -> tuple[list[Asked], int]:
    """What a caller asked with ``messages``, and how its session closed."""
    asked: list[Asked] = []
    session = CallerSession(lambda _message: None, asked.append, Bounds(LIMIT_BYTES, 1024))
    try:
        for message in messages:
            session.receive(message, False)
    except SessionClosed as closed:
        return asked, closed.close_code
    return asked, 0


@given(streams(objects(requests)), cuts)
@settings(max_examples=300)
def test_requests_mean_the_same_however_they_are_cut(stream: bytes, at: list[int]) -> None:
    assert asked_by(cut(stream, at)) == asked_by([stream])


@given(st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=6), spaces, cuts)
def test_a_scanner_finds_every_object(found: list[dict[str, Any]], space: bytes, at: list[int]) -> None:
    texts = [json.dumps(one, ensure_ascii=False).encode() for one in found]
    scanner = Scanner(LIMIT_BYTES)
    stream = space + space.join(texts) + space
    assert [value for piece in cut(stream, at) for value in scanner.feed(piece)] == texts
    assert scanner.pending_bytes == 0


@given(
    st.lists(long_objects, max_size=3),
    spaces,
    st.lists(st.integers(0, 1 << 20), max_size=12),
    st.booleans(),
)
@settings(deadline=None)
def test_a_scanner_finds_long_objects_wherever_its_blocks_fall(
    found: list[dict[str, Any]], space: bytes, at: list[int], is_ascii: bool
) -> None:
    texts = [json.dumps(one, ensure_ascii=is_ascii).encode() for one in found]
    scanner = Scanner(1 << 23)
    stream = space + space.join(texts) + space
    assert [value for piece in cut(stream, at) for value in scanner.feed(piece)] == texts
    assert scanner.pending_bytes == 0


@given(
    st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=3), st.sampled_from('[]}",1x\x00'), cuts
)
def test_a_scanner_stops_at_anything_else(found: list[dict[str, Any]], rubbish_begins: str, at: list[int]) -> None:
    texts = [json.dumps(one).encode() for one in found]
    scanner, values_found = Scanner(LIMIT_BYTES), []
    with pytest.raises(ScanError):  # noqa: PT012 -- what came before counts too
        for piece in cut(b"".join(texts) + rubbish_begins.encode() + b"{}", at):
            for value in scanner.feed(piece):
                values_found.append(value)
    assert values_found == texts
