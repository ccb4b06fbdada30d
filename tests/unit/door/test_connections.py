"""One HTTP/1.1 connection without a socket: its order, its time limits, and that it leaves nothing behind."""

from __future__ import annotations

import weakref

import pytest
import structlog

from lambdamesh.access.local_door import LocalDoor
from lambdamesh.core.admission import Admission
from lambdamesh.core.limits import Limits
from lambdamesh.door.door import Dispatcher
from lambdamesh.door.request import Reply, Request
from lambdamesh.errors import MeshError
from tests.unit.door.connections import Line, ask, no_collector
from tests.unit.door.doors import Stage
from tests.unit.fakes import TEXT, Told

CALL = f"/lambda/{TEXT.decode()}/test"
GOOD = ask("GET", "/ping")
FOREIGN = ask("GET", "/ping", None, "Origin: https://evil.example")
MALFORMED = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n"


# -- what is refused leaves nothing alive ------------------------------------------------------------------------


def test_one_refusal_for_many_requests_does_not_grow() -> None:
    shared = Admission(LocalDoor().admit({b"host": b"evil.example"}).refusal, is_own=False)
    line = Line()
    line.door.reading.admit = lambda _fields: shared
    line.feed(*[GOOD] * 100)
    assert line.statuses() == [403] * 100
    assert shared.refusal is not None
    assert shared.refusal.__traceback__ is None
    assert shared.refusal.__context__ is None


@pytest.mark.parametrize(
    "stream",
    [
        FOREIGN,
        ask("GET", "/nowhere"),
        ask("PUT", "/ping"),
        ask("POST", CALL, b"not json"),
        ask("POST", CALL, b"1", "Content-Encoding: gzip"),
        ask("POST", CALL, b"1", "Content-Encoding: gzip", "Expect: 100-continue"),
        ask("GET", "/connect"),
        ask("GET", "/lambda?limit=x"),
        MALFORMED,
        ask("CONNECT", "/ping"),
        ask("GET", "nowhere"),
        b"\x00\x01\x02",
        ask("POST", CALL, b"x" * 300_000)[:-1],
    ],
    ids=lambda stream: repr(stream[:40]),
)
def test_a_connection_is_free_once_it_has_ended(stream: bytes) -> None:
    with no_collector():
        line = Line()
        connection = weakref.ref(line.transport.protocol)
        line.feed(GOOD, GOOD, stream)
        line.lose()
        assert connection() is None
        assert line.door.budget.used_bytes == 0


class Watching:
    """Routes that keep weak references to the requests they are asked to answer."""

    def __init__(self, routes: Dispatcher) -> None:
        self.precheck = routes.precheck
        self.requests: list[weakref.ref[Request]] = []
        self._routes = routes

    def dispatch(self, request: Request, reply: Reply) -> None:
        self.requests.append(weakref.ref(request))
        self._routes.dispatch(request, reply)


def test_refused_requests_are_free_while_their_connection_lives() -> None:
    line = Line()
    line.door.routes = watching = Watching(line.door.routes)
    with no_collector():
        line.feed(*[FOREIGN, ask("GET", "/nowhere"), ask("POST", CALL, b"x")] * 20)
        assert len(watching.requests) == 60
        assert [request() for request in watching.requests if request() is not None] == []


# -- order -------------------------------------------------------------------------------------------------------


def test_an_answer_of_a_head_alone_ends_the_connection_and_nobody_else() -> None:
    line = Line()
    with structlog.testing.capture_logs() as logs:
        line.feed(ask("POST", CALL, b"1") + ask("HEAD", "/events") + ask("POST", CALL, b"2"))
        line.stage.seat.provider.answer(1, b'"one"')
    assert not logs
    first, second = line.answers()
    assert (first.status, first.body) == (200, b'"one"')
    assert (second.status, second.body) == (200, b"")
    assert b"\r\nConnection: close" in second.head
    assert line.transport.is_finished
    # The provider heard of one call only, and goes on.
    assert [body for _, _, body in line.stage.seat.provider.calls] == [b"1"]
    told = Told()
    line.stage.world.call(told)
    line.stage.seat.provider.answer(2, b'"two"')
    assert told.raw == b'"two"'


@pytest.mark.parametrize("count", [1, 1500])
def test_upgrades_that_are_ignored_are_answered_in_order(count: int) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    line = Line(Limits(pipeline_requests=10_000))
    line.feed(b"".join(ask("GET", f"/nowhere{number}", None, *upgrade) for number in range(count)) + GOOD)
    assert line.statuses() == [404] * count + [200]


def test_an_upgrade_that_is_ignored_has_its_body_read() -> None:
    line = Line()
    upgrade = ask("POST", CALL, b"12", "Connection: Upgrade", "Upgrade: h2c")
    for number in range(1, 51):
        line.feed(upgrade)
        line.stage.seat.provider.answer(number, b"3")
    assert [body for _, _, body in line.stage.seat.provider.calls] == [b"12"] * 50
    assert line.statuses() == [200] * 50


@pytest.mark.parametrize("target", ["/ping", "localhost:80"])
def test_connect_gets_one_answer(target: str) -> None:
    line = Line()
    line.feed(ask("CONNECT", target) + GOOD, GOOD)
    assert line.statuses() == [400]
    assert line.transport.is_finished


# -- 100 Continue -------------------------------------------------------------------------------------------------

EXPECTING = ask("POST", CALL, b"22", "Expect: 100-continue")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_continue_waits_for_the_answers_before_it() -> None:
    line = Line()
    line.feed(ask("POST", CALL, b"1"), EXPECTING[:-2])
    assert not line.transport.sent
    line.stage.seat.provider.answer(1)
    assert line.transport.sent.endswith(CONTINUE)
    line.feed(b"22")
    line.stage.seat.provider.answer(2)
    assert line.transport.sent.count(CONTINUE) == 1
    assert line.statuses() == [200, 100, 200]


@pytest.mark.parametrize("behind", [b"", GOOD], ids=["alone", "with another behind"])
def test_no_continue_where_the_body_came_unasked(behind: bytes) -> None:
    line = Line()
    line.feed(ask("POST", CALL, b"1"), EXPECTING[:-2], b"22" + behind)
    line.stage.seat.provider.answer(1)
    line.stage.seat.provider.answer(2)
    assert CONTINUE not in line.transport.sent
    assert line.statuses() == [200, 200] + [200] * bool(behind)


@pytest.mark.parametrize("body_bytes", [0, 1])
def test_no_continue_for_a_request_that_was_given_up(body_bytes: int) -> None:
    line = Line(Limits(body_grace_s=1.0))
    line.feed(ask("POST", CALL, b"1"), EXPECTING[: len(EXPECTING) - 2 + body_bytes])
    line.transport.protocol._reader.refuse(MeshError("enough"))
    line.stage.seat.provider.answer(1)
    assert CONTINUE not in line.transport.sent
    assert line.statuses() == [200, 500]


def test_no_continue_behind_the_last_answer() -> None:
    line = Line()
    line.feed(ask("POST", CALL, b"1"), EXPECTING[:-2])
    line.transport.protocol.drain()
    line.stage.seat.provider.answer(1)
    line.pass_time(0.1)
    assert CONTINUE not in line.transport.sent
    assert line.statuses() == [200]


# -- time limits -------------------------------------------------------------------------------------------------

LARGE = b'"' + b"x" * 12_000_000 + b'"'


def closing_line(limits: Limits) -> Line:
    """A line that has a large last answer to take."""
    line = Line(limits)
    line.feed(ask("POST", CALL, b"1", "Connection: close"))
    line.transport.is_stuck = True
    line.stage.seat.provider.answer(1, LARGE)
    assert line.transport.waiting_bytes > len(LARGE)
    return line


def test_a_last_answer_reaches_a_slow_but_steady_reader() -> None:
    line = closing_line(Limits(close_timeout_s=1.0, write_deadline_s=2.0))
    for _ in range(12):
        line.pass_time(1.0)
        assert not line.ended()
        line.transport.take(1_000_100)
    assert line.transport.waiting_bytes == 0
    assert line.answers()[0].body == LARGE
    line.pass_time(0.5)
    assert not line.ended()
    line.pass_time(4.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 0


def test_a_last_answer_does_not_wait_for_who_takes_nothing() -> None:
    line = closing_line(Limits(close_timeout_s=1.0, write_deadline_s=2.0))
    line.transport.take(1_000_000)
    line.pass_time(6.5)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1


def full_line(limits: Limits) -> Line:
    """A line whose pipeline is full, with the beginning of one more head read behind it."""
    line = Line(limits)
    calls = [ask("POST", CALL, b"%d" % number) for number in range(1 + limits.pipeline_requests)]
    line.feed(b"".join(calls) + b"GET /ping HTTP/1.1\r\nHo")
    assert not line.transport.is_reading
    line.pass_time(9.0)
    assert not line.ended()
    for number in range(1, 2 + limits.pipeline_requests):
        line.stage.seat.provider.answer(number)
    assert line.transport.is_reading
    assert line.statuses() == [200] * (1 + limits.pipeline_requests)
    return line


@pytest.mark.parametrize("silent_s", [0.0, 1.9])
def test_a_head_behind_a_full_pipeline_has_its_time_from_when_reading_goes_on(silent_s: float) -> None:
    line = full_line(Limits(pipeline_requests=2, head_timeout_s=2.0))
    line.pass_time(silent_s)
    line.feed(b"st: localhost\r\n\r\n")
    assert line.statuses() == [200] * 4


def test_a_head_behind_a_full_pipeline_has_no_more_than_that() -> None:
    line = full_line(Limits(pipeline_requests=2, head_timeout_s=2.0))
    line.pass_time(2.2)
    assert line.statuses() == [200] * 3 + [408]


# -- each request speaks for itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [MALFORMED, b"GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", b"\x00"])
def test_a_broken_request_has_no_headers_for_the_page_of_the_one_before(broken: bytes) -> None:
    line = Line(stage=Stage(access=LocalDoor(origins=("https://app.example",))))
    line.feed(ask("GET", "/ping", None, "Origin: https://app.example"), broken)
    first, second = line.answers()
    assert (first.status, second.status) == (200, 400)
    assert b"Access-Control-Allow-Origin: https://app.example" in first.head
    assert b"Access-Control" not in second.head


def test_a_head_that_came_in_time_behind_a_page_has_none_either() -> None:
    line = Line(
        Limits(head_timeout_s=1.0), Stage(Limits(head_timeout_s=1.0), LocalDoor(origins=("https://app.example",)))
    )
    line.feed(ask("GET", "/ping", None, "Origin: https://app.example"), b"GET /ping HTTP/1.1\r\nHost: lo")
    line.pass_time(1.2)
    first, second = line.answers()
    assert (first.status, second.status) == (200, 408)
    assert b"Access-Control" not in second.head


def test_whoever_floods_the_node_waits_for_its_turn() -> None:
    line = Line()
    line.feed(ask("GET", "/ping") * 100)
    assert line.transport.pauses == 0
    line.feed(ask("GET", "/ping") * 1000)
    assert line.transport.pauses == 1
    assert line.transport.is_reading
    assert bytes(line.transport.sent).count(b"HTTP/1.1 200") == 1100
