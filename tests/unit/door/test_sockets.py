"""WebSockets of a door without a socket: what they hold, for how long, and that they leave nothing behind.

The tests are coroutines because picows wants a running loop; nothing in them waits.
"""

from __future__ import annotations

import gc
import json

import pytest
import structlog

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.door.caller import CallerSocket
from lambdamesh.door.provider import ProviderSocket
from lambdamesh.door.question import Question
from lambdamesh.door.request import Reply, Request
from lambdamesh.errors import LambdaLost
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.json_rpc_caller import CallerSession
from tests.unit.door.connections import SocketLine, no_collector
from tests.unit.door.doors import Stage
from tests.unit.fakes import TEXT, Told
from tests.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT as TEXT_FRAME, frame, frame_head

MIB = 1 << 20
SILENT = Limits(ping_interval_s=1000.0)
ROUTES = pytest.mark.parametrize("target", ["/lambda/new", "/connect"])


def new_lambda(limits: Limits | None = None) -> SocketLine:
    """The socket of a provider that has answered ``open``."""
    line = SocketLine("/lambda/new", limits)
    line.say(b'{"id":0,"result":"ok"}')
    assert len(line.door.registry.live) == 2
    line.heard()
    return line


def asked(request_id: bytes, method: str) -> bytes:
    return b'{"id":%b,"method":%b,"params":[1]}' % (request_id, json.dumps(method).encode())


def errors(line: SocketLine) -> dict[object, int]:
    """The status of every answer by its id; 0 for a result."""
    answers = [json.loads(payload) for opcode, payload in line.heard() if opcode == TEXT_FRAME]
    return {one["id"]: int(one["error"].split()[1].rstrip(":")) if one["error"] else 0 for one in answers}


# -- how many values a message holds -----------------------------------------------------------------------------


@ROUTES
@pytest.mark.parametrize("count", [8, 9])
async def test_a_message_holds_so_many_values(target: str, count: int) -> None:
    line = SocketLine(target, Limits(message_values=8))
    line.heard()
    line.say(b"".join(b'{"id":%d,"method":"/ping","result":1}' % number for number in range(10, 10 + count)))
    if count > 8:
        assert line.close_code() == 1009
        assert line.door.counters.sockets_cut_oversize == 1
    else:
        assert all(opcode == TEXT_FRAME for opcode, _ in line.heard())
        line.say(b'{"id":1,"method":"/ping","result":1}' * 8)
        assert all(opcode == TEXT_FRAME for opcode, _ in line.heard())


# -- pings without reading ---------------------------------------------------------------------------------------


@ROUTES
async def test_whoever_pings_without_reading_is_sent_a_bounded_lot_and_cut(target: str) -> None:
    limits = Limits(ping_interval_s=1000.0, queue_bytes=8192, write_deadline_s=3.0, open_timeout_s=1000.0)
    line = SocketLine(target, limits)
    line.transport.is_stuck = True
    ping = frame(PING, b"x" * 100)
    for _ in range(20):
        line.feed(ping * 100)
    assert 8192 < line.transport.waiting_bytes < 8192 + 4096
    assert not line.ended()
    for _ in range(5):
        line.feed(ping)
        line.pass_time(1.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1


@ROUTES
async def test_whoever_pings_and_reads_is_answered(target: str) -> None:
    line = SocketLine(target, SILENT)
    line.heard()
    line.feed(frame(PING, b"1") + frame(PING, b"2"))
    assert line.heard() == [(PONG, b"1"), (PONG, b"2")]


@ROUTES
async def test_who_has_closed_is_not_pinged_any_more(target: str) -> None:
    line = SocketLine(target, Limits(ping_interval_s=1.0, open_timeout_s=1000.0))
    line.heard()
    # Both within one turn of the loop: the close has come, and the ping is due.
    room = line.transport.protocol.get_buffer(-1)
    close = frame(CLOSE, b"\x03\xe8")
    room[: len(close)] = close
    line.transport.protocol.buffer_updated(len(close))
    line.door.clock.now += 1.5
    line.door.wheel.sweep(line.door.clock.now)
    assert line.heard() == [(CLOSE, b"\x03\xe8")]
    assert line.transport.is_finished


# -- a slow but steady reader ------------------------------------------------------------------------------------


async def test_a_caller_that_takes_a_large_answer_slowly_is_not_silent() -> None:
    line = SocketLine("/connect", Limits(ping_interval_s=1.0, ping_misses=2, write_deadline_s=3.0))
    line.say(asked(b"1", f"POST /lambda/{TEXT.decode()}/test"))
    line.transport.is_stuck = True
    line.stage.seat.provider.answer(1, b'"' + b"x" * (4 * MIB) + b'"')
    for _ in range(10):
        line.pass_time(2.0)
        assert not line.ended()
        line.transport.take(MIB // 2)
    line.transport.is_stuck = False
    line.pass_time(4.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_silent == 1


async def test_a_caller_that_stops_taking_it_is_cut() -> None:
    line = SocketLine("/connect", Limits(ping_interval_s=1.0, ping_misses=2, write_deadline_s=3.0))
    line.say(asked(b"1", f"POST /lambda/{TEXT.decode()}/test"))
    line.transport.is_stuck = True
    line.stage.seat.provider.answer(1, b'"' + b"x" * (4 * MIB) + b'"')
    line.transport.take(MIB)
    line.pass_time(6.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1


# -- what a caller may ask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "status"), [(100, 404), (1000, 404), (1001, 431), (100_000, 431)])
async def test_a_method_is_no_longer_than_a_head(size: int, status: int) -> None:
    line = SocketLine("/connect", Limits(head_bytes=1000))
    line.say(asked(b"7", ("GET /" + "x" * size)[:size]), asked(b"8", "/ping"))
    assert errors(line) == {7: status, 8: 0}


@pytest.mark.parametrize("method", ["POST junk/ping", "POST junk", "GET ping", "ping", "POST ", "POST http://a/ping"])
async def test_a_target_is_a_path(method: str) -> None:
    line = SocketLine("/connect")
    line.say(asked(b"1", method), asked(b"2", "/ping"))
    assert errors(line) == {1: 400, 2: 0}


@pytest.mark.parametrize("limit", ["9" * 5000, "1" + "0" * 4500, "0" * 5000])
async def test_a_number_of_thousands_of_digits_is_no_limit(limit: str) -> None:
    line = SocketLine("/connect")
    with structlog.testing.capture_logs() as logs:
        line.say(asked(b"1", f"GET /lambda?limit={limit}"), asked(b"2", "/ping"))
    assert errors(line) == {1: 400, 2: 0}
    assert not logs


class Broken:
    """Routes of which ``/broken`` has a bug."""

    def __init__(self, stage: Stage) -> None:
        self.precheck = stage.routes.precheck
        self._routes = stage.routes

    def dispatch(self, request: Request, reply: Reply) -> None:
        if request.target == b"/broken":
            raise ZeroDivisionError
        self._routes.dispatch(request, reply)


async def test_a_bug_in_one_question_does_not_end_the_others() -> None:
    line = SocketLine("/connect")
    line.door.routes = Broken(line.stage)
    call = f"POST /lambda/{TEXT.decode()}/test"
    with structlog.testing.capture_logs() as logs:
        line.say(asked(b"1", call), asked(b"2", "GET /broken"), asked(b"3", "/ping"))
        line.say(asked(b"2", "GET /broken") + asked(b"4", "/ping"))
    assert errors(line) == {2: 500, 3: 0, 4: 0}
    assert [(one["event"], one["log_level"]) for one in logs] == [("internal_error", "error")] * 2
    line.stage.seat.provider.answer(1)
    assert errors(line) == {1: 0}


@pytest.mark.parametrize("method", ["5", "null", '"GET /ping","params":[1,2]'])
async def test_a_bad_request_of_an_id_of_thousands_of_digits(method: str) -> None:
    line = SocketLine("/connect")
    digits = b"7" * 5000
    with structlog.testing.capture_logs() as logs:
        line.say(b'{"id":%b,"method":%b}' % (digits, method.encode()))
    assert not logs
    ((opcode, payload),) = line.heard()
    assert opcode == TEXT_FRAME
    assert payload.startswith(b'{"id":%b,"result":null,"error":"error 400: ' % digits)
    line.say(asked(b"2", "/ping"))
    assert errors(line) == {2: 0}


# -- what is not yet whole ---------------------------------------------------------------------------------------


def held_bytes(line: SocketLine) -> int:
    return line.door.budget.used_bytes


@ROUTES
@pytest.mark.parametrize("ending", ["lost", "closed"])
async def test_an_unfinished_frame_counts_until_the_socket_ends(target: str, ending: str) -> None:
    line = SocketLine(target, SILENT)
    line.feed(frame_head(BINARY, 2 * MIB) + b"x" * MIB)
    assert MIB <= held_bytes(line) <= 2 * MIB
    if ending == "closed":
        line.door.sockets.copy().popitem()[0].close(4503, "draining")
        line.pass_time(6.0)
        assert line.ended() == "abort"
    line.lose()
    assert held_bytes(line) == 0


@ROUTES
async def test_fragments_count_until_the_socket_ends(target: str) -> None:
    line = SocketLine(target, SILENT)
    line.feed(frame(BINARY, b"x" * (MIB // 2), fin=False), frame(CONTINUATION, b"x" * MIB, fin=False))
    assert held_bytes(line) >= 3 * MIB // 2
    line.lose()
    assert held_bytes(line) == 0


@ROUTES
async def test_small_messages_cost_nothing(target: str) -> None:
    line = SocketLine(target, SILENT)
    line.feed(frame(BINARY, b" " * 1000, fin=False), *[frame(CONTINUATION, b" " * 1000, fin=False)] * 100)
    line.feed(frame_head(CONTINUATION, 100_000) + b"x" * 99_000)
    assert held_bytes(line) == 0


TOO_MUCH = {
    "a frame": frame_head(BINARY, 4 * MIB) + b"x" * 2 * MIB,
    "a whole frame": frame(BINARY, b"x" * 2 * MIB),
    "fragments": frame(BINARY, b"x" * 200_000, fin=False) + frame(CONTINUATION, b"x" * 200_000, fin=False) * 10,
}


@ROUTES
@pytest.mark.parametrize("stream", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_too_much_of_it_is_refused(target: str, stream: bytes) -> None:
    line = SocketLine(target, Limits(buffered_bytes=MIB, ping_interval_s=1000.0))
    line.feed(stream)
    assert line.close_code() == 4429
    assert line.door.counters.overloaded_buffers == 1
    assert held_bytes(line) <= MIB
    line.lose()
    assert held_bytes(line) == 0


# -- what is left of it ------------------------------------------------------------------------------------------


KINDS = (CallerSession, CallerSocket, Flight, ProviderSocket, Question, Session)


def alive() -> list[str]:
    """What there is of sockets and their sessions, by kind."""
    return sorted(type(one).__name__ for one in gc.get_objects() if type(one) in KINDS)


@pytest.mark.parametrize("ending", ["lost", "peer closes", "node closes", "bad message", "deleted"])
@pytest.mark.parametrize("is_mid_message", [False, True])
async def test_nothing_is_left_of_a_provider(ending: str, is_mid_message: bool) -> None:
    with no_collector():
        before = alive()
        line = new_lambda(SILENT)
        assert len(alive()) == len(before) + 2
        text = next(text for text in line.door.registry.live if text != TEXT)
        told = Told()
        line.stage.world.call(told, text=text)
        if is_mid_message:
            line.say(b'{"id":99,"resu')
        end(line, ending, text)
        line.lose()
        assert isinstance(told.error, LambdaLost)
        assert alive() == before
        assert not line.door.sockets


@pytest.mark.parametrize("ending", ["lost", "peer closes", "node closes", "bad message"])
@pytest.mark.parametrize("is_mid_message", [False, True])
@pytest.mark.parametrize("is_calling", [False, True])
async def test_nothing_is_left_of_a_caller(ending: str, is_mid_message: bool, is_calling: bool) -> None:
    with no_collector():
        before = alive()
        line = SocketLine("/connect", SILENT)
        line.say(asked(b"2", "/ping"), asked(b"3", "/nowhere"))
        if is_calling:
            line.say(asked(b"1", f"POST /lambda/{TEXT.decode()}/test"))
        assert len(alive()) == len(before) + 2 + 2 * is_calling
        if is_mid_message:
            line.say(b'{"id":99,"meth')
        end(line, ending, TEXT)
        line.lose()
        assert not line.door.sockets
        assert not line.stage.seat.provider.pending
        assert alive() == before


def end(line: SocketLine, ending: str, text: bytes) -> None:
    """Have a socket end, but for its connection."""
    if ending == "peer closes":
        line.feed(frame(8, b"\x03\xe8"))
    elif ending == "node closes":
        line.door.sockets.copy().popitem()[0].close(4503, "draining")
        line.feed(frame(8, b"\x11\x97"))
    elif ending == "bad message":
        line.say(b"}")
    elif ending == "deleted":
        line.door.registry.delete(text, line.door.clock.now, line.door.clock.unix_ms)
