"""The answer of a call as a stream over HTTP, byte for byte, no faster than its caller takes it."""

from __future__ import annotations

import json

import pytest

from lambdamesh.access.local_door import LocalDoor
from lambdamesh.core.limits import Limits
from lambdamesh.door.stream_forms import FORMS
from lambdamesh.errors import LambdaError, LambdaLost
from tests.unit.door.connections import HIGH_BYTES, Line, ask, no_collector
from tests.unit.door.doors import Stage
from tests.unit.fakes import TEXT, FakeProvider

CALL = f"/lambda/{TEXT.decode()}/count"
SSE = "Accept: text/event-stream"
NDJSON = "Accept: application/x-ndjson"
BOTH = pytest.mark.parametrize("accept", [SSE, NDJSON])


def stream_line(*lines: str, limits: Limits | None = None) -> Line:
    """A line whose one call, number 1, wants a stream."""
    line = Line(limits)
    line.feed(ask("POST", CALL, b"10", *lines))
    assert not line.transport.sent
    return line


def provider(line: Line) -> FakeProvider:
    return line.stage.seat.provider


def item(line: Line, raw: bytes = b"1", times: int = 1) -> None:
    for _ in range(times):
        provider(line).pending[1].item(raw)


def fault(line: Line, error: LambdaError | LambdaLost) -> None:
    provider(line).pending.pop(1).fault(error)


def body(line: Line) -> bytes:
    """What the body of the one answer says, out of its chunks, which are whole."""
    head, _, rest = bytes(line.transport.sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return rest
    found = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        found += rest[: int(size, 16)]
        assert rest[int(size, 16) :].startswith(b"\r\n")
        rest = rest[int(size, 16) + 2 :]
    return found


# -- forms ------------------------------------------------------------------------------------------------------


def test_server_sent_events_byte_for_byte() -> None:
    line = stream_line(SSE)
    item(line, b'{"a":1.0}')
    item(line, b'[1,\r\n 2,\n"\\n"]')
    provider(line).answer(1, b"{\r\n}")
    assert bytes(line.transport.sent).partition(b"\r\n\r\n")[2] == (
        b'11\r\ndata: {"a":1.0}\n\n\r\n'
        b'16\r\ndata: [1,   2, "\\n"]\n\n\r\n'
        b"1a\r\nevent: result\ndata: {  }\n\n\r\n"
        b"0\r\n\r\n"
    )


def test_lines_of_json_byte_for_byte() -> None:
    line = stream_line(NDJSON)
    item(line, b'{"a":1.0}')
    item(line, b"[1,\r\n2]")
    provider(line).answer(1, b"null")
    assert body(line) == b'{"item":{"a":1.0}}\n{"item":[1,  2]}\n{"result":null}\n'
    assert line.transport.sent.endswith(b'\r\n10\r\n{"result":null}\n\r\n0\r\n\r\n')


@pytest.mark.parametrize(("accept", "content_type"), [(SSE, b"text/event-stream"), (NDJSON, b"application/x-ndjson")])
def test_the_head_goes_out_with_the_first_item(accept: str, content_type: bytes) -> None:
    line = stream_line(accept)
    item(line)
    head = bytes(line.transport.sent).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: %b; charset=utf-8\r\n" % content_type in head
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert b"\r\nX-Ray: " in head
    assert b"Content-Length" not in head


@pytest.mark.parametrize(("accept", "expected"), [(SSE, b"event: result\ndata: 5\n\n"), (NDJSON, b'{"result":5}\n')])
def test_a_provider_without_items_still_answers_as_asked(accept: str, expected: bytes) -> None:
    line = stream_line(accept)
    provider(line).answer(1, b"5")
    assert body(line) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "Accept: text/event-stream, */*",
        "Accept: text/event-stream;q=1",
        "Accept: Text/Event-Stream",
        "Accept: */*",
        "Accept: application/json",
    ],
)
def test_nothing_else_asks_for_a_stream(accept: str) -> None:
    line = Line()
    line.feed(ask("POST", CALL, b"10", accept))
    assert provider(line).first_credits == {1: 0}
    provider(line).answer(1, b"5")
    assert line.answers()[0].body == b"5"


def test_a_page_of_another_origin_may_read_it() -> None:
    line = Line(stage=Stage(access=LocalDoor(origins=("https://app.example",))))
    line.feed(ask("POST", CALL, b"10", SSE, "Origin: https://app.example"))
    item(line)
    assert b"\r\nAccess-Control-Allow-Origin: https://app.example\r\n" in line.transport.sent


# -- errors -----------------------------------------------------------------------------------------------------


@BOTH
def test_an_error_before_the_first_item_keeps_its_status(accept: str) -> None:
    line = stream_line(accept)
    fault(line, LambdaError("boom"))
    (answer,) = line.answers()
    assert answer.status == 400
    assert b"Content-Type: application/json" in answer.head
    assert json.loads(answer.body) == {"error": "boom", "code": "lambda_error", "delivered": "yes"}


@BOTH
def test_so_does_one_without_a_lambda(accept: str) -> None:
    line = Line()
    line.feed(ask("POST", CALL.replace(TEXT.decode(), "rhowRuuCUoE5vlcA"), b"1", accept), ask("GET", "/ping"))
    assert line.statuses() == [404, 200]


BOOM = b'{"error":"boom","code":"lambda_error","delivered":"yes","rpc_code":-32000,"data":[1.0]}'


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (SSE, b"data: 1\n\nevent: error\ndata: %b\n\n" % BOOM),
        (NDJSON, b'{"item":1}\n%b\n' % BOOM),
    ],
)
def test_one_behind_it_is_the_end_of_the_stream(accept: str, expected: bytes) -> None:
    line = stream_line(accept)
    item(line)
    fault(line, LambdaError("boom", rpc_code=-32000, data=b"[1.0]"))
    assert body(line) == expected
    assert line.transport.sent.endswith(b"\r\n0\r\n\r\n")


@BOTH
def test_a_lambda_that_is_lost_is_told_too(accept: str) -> None:
    line = stream_line(accept)
    item(line)
    fault(line, LambdaLost("gone"))
    assert b'"code":"lambda_lost","delivered":"unknown"' in body(line)


# -- pings ------------------------------------------------------------------------------------------------------


def test_a_silent_stream_of_events_says_something_now_and_then() -> None:
    line = stream_line(SSE, limits=Limits(stream_ping_s=1.0))
    line.pass_time(3.0)
    assert not line.transport.sent
    item(line)
    line.pass_time(2.6)
    assert body(line) == b"data: 1\n\n: ping\n\n: ping\n\n"
    provider(line).answer(1, b"5")
    said = len(line.transport.sent)
    line.pass_time(5.0)
    assert len(line.transport.sent) == said


def test_lines_of_json_have_no_place_for_that() -> None:
    line = stream_line(NDJSON, limits=Limits(stream_ping_s=1.0))
    item(line)
    line.pass_time(5.0)
    assert body(line) == b'{"item":1}\n'


def test_no_ping_reaches_the_answer_behind_the_stream() -> None:
    line = stream_line(SSE, limits=Limits(stream_ping_s=1.0))
    item(line)
    provider(line).answer(1, b"5")
    line.transport.sent.clear()
    line.feed(ask("POST", CALL, b"1", SSE))
    provider(line).pending[2].item(b"1")
    line.pass_time(1.5)
    assert body(line) == b"data: 1\n\n: ping\n\n"


def test_who_reads_nothing_is_not_pinged() -> None:
    line = stream_line(SSE, limits=Limits(stream_ping_s=1.0))
    line.transport.is_stuck = True
    item(line, b'"%b"' % (b"x" * HIGH_BYTES))
    line.pass_time(3.0)
    assert b"ping" not in line.transport.sent


# -- credit -----------------------------------------------------------------------------------------------------


@BOTH
def test_so_many_items_may_come_unasked(accept: str) -> None:
    assert provider(stream_line(accept)).first_credits == {1: 16}


@BOTH
def test_credit_is_given_back_as_items_are_taken(accept: str) -> None:
    line = stream_line(accept)
    item(line, times=7)
    assert not provider(line).credits
    item(line, times=9)
    assert provider(line).credits == [(1, 8), (1, 8)]


@BOTH
def test_a_caller_that_takes_nothing_lets_nothing_more_come(accept: str) -> None:
    line = stream_line(accept)
    line.transport.is_stuck = True
    raw = b'"%b"' % (b"x" * (HIGH_BYTES // 4))
    item(line, raw, times=16)
    assert not provider(line).credits
    line.transport.take(HIGH_BYTES)
    assert not provider(line).credits
    line.transport.take(1 << 20)
    assert provider(line).credits == [(1, 16)]


@pytest.mark.parametrize("credit", [1, 2, 3, 7, 8, 100])
def test_however_few_may_come_unasked_the_stream_goes_on(credit: int) -> None:
    line = stream_line(SSE, limits=Limits(stream_credit=credit))
    left = credit
    for _ in range(500):
        assert left > 0
        item(line)
        left += sum(add for _, add in provider(line).credits) - 1
        provider(line).credits.clear()
    provider(line).answer(1)
    assert body(line).count(b"data: 1\n\n") == 500


def test_an_item_behind_the_end_of_the_caller_gives_no_credit() -> None:
    line = stream_line(SSE)
    answer = provider(line).pending[1]
    item(line)
    line.lose()
    for _ in range(20):
        answer.item(b"1")
    assert not provider(line).credits


# -- the connection ---------------------------------------------------------------------------------------------


@BOTH
def test_the_next_request_is_answered_behind_the_stream(accept: str) -> None:
    line = stream_line(accept)
    line.feed(ask("GET", "/ping"))
    item(line)
    assert b'"my-host"' not in line.transport.sent
    provider(line).answer(1, b"5")
    assert line.transport.sent.endswith(b'"my-host"')
    assert b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n" in line.transport.sent
    assert not line.transport.is_finished


@BOTH
def test_http_1_0_has_no_chunks_and_ends_with_the_connection(accept: str) -> None:
    line = Line()
    line.feed(ask("POST", CALL, b"10", accept, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
    item(line)
    provider(line).answer(1, b"5")
    head, _, rest = bytes(line.transport.sent).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close" in head
    form = FORMS[accept.encode().partition(b": ")[2]]
    assert rest == form.item % b"1" + form.result % b"5"
    assert line.transport.is_finished


def test_who_asks_for_the_end_of_the_connection_gets_it_behind_the_stream() -> None:
    line = stream_line(SSE, "Connection: close")
    item(line)
    assert not line.transport.is_finished
    provider(line).answer(1, b"5")
    assert line.transport.is_finished


@BOTH
@pytest.mark.parametrize("items", [0, 1])
def test_a_caller_that_goes_cancels_the_stream(accept: str, items: int) -> None:
    line = stream_line(accept, limits=Limits(stream_ping_s=1.0))
    item(line, times=items)
    line.lose()
    assert provider(line).cancelled == [1]
    line.pass_time(3.0)
    assert line.door.counters.calls_cancelled == 1


@BOTH
def test_nothing_of_it_is_left(accept: str) -> None:
    line = stream_line(accept)
    item(line)
    with no_collector():
        line.lose()
        assert not provider(line).pending
        assert not line.door.connections


def test_a_deadline_ends_a_stream_that_is_silent() -> None:
    line = stream_line(NDJSON, "Prefer: wait=1")
    item(line)
    line.pass_time(0.9)
    item(line)
    line.pass_time(0.9)
    assert b"timeout" not in body(line)
    line.pass_time(0.3)
    assert b'"code":"timeout","delivered":"unknown"' in body(line)
    assert line.transport.sent.endswith(b"0\r\n\r\n")


def test_a_drain_ends_the_connection_behind_the_stream() -> None:
    line = stream_line(NDJSON)
    item(line)
    line.transport.protocol.drain()
    item(line)
    provider(line).answer(1, b"5")
    assert body(line) == b'{"item":1}\n{"item":1}\n{"result":5}\n'
    assert line.transport.is_finished


# -- patience ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_over", [False, True])
def test_a_caller_may_be_as_slow_as_it_likes_until_it_has_taken_the_last(is_over: bool) -> None:
    line = stream_line(SSE, limits=Limits(write_deadline_s=2.0, stream_stall_s=100.0))
    line.transport.is_stuck = True
    item(line, b'"%b"' % (b"x" * HIGH_BYTES), times=8)
    line.pass_time(20.0)
    if is_over:
        provider(line).answer(1, b"5")
    line.pass_time(20.0)
    assert not line.ended()
    line.pass_time(100.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1
