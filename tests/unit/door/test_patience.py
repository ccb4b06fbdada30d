"""Who is slow is waited for as long as something moves, and who does nothing is not: connections without a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lambdamesh.core.limits import Limits
from tests.unit.door.connections import HIGH_BYTES, Line, SocketLine, ask
from tests.unit.fakes import TEXT
from tests.websocket import BINARY, frame_head

MIB = 1 << 20
CALL = f"/lambda/{TEXT.decode()}/test"
EXPECTING = ask("POST", CALL, b"22", "Expect: 100-continue")
ROUTES = pytest.mark.parametrize("target", ["/lambda/new", "/connect"])


# -- a body that was asked for late ------------------------------------------------------------------------------


def asked_late(limits: Limits) -> Line:
    """A line that is asked for a body long after its head came, as an answer stood in between."""
    line = Line(limits)
    line.feed(ask("POST", CALL, b"1"), EXPECTING[:-2])
    line.pass_time(3 * limits.body_grace_s)
    assert line.statuses() == []
    line.stage.seat.provider.answer(1)
    assert line.statuses() == [200, 100]
    return line


@pytest.mark.parametrize("after_s", [0.0, 0.9])
def test_a_body_has_its_time_from_when_it_was_asked_for(after_s: float) -> None:
    line = asked_late(Limits(body_grace_s=1.0))
    line.pass_time(after_s)
    line.feed(b"2")
    line.pass_time(0.05)
    line.feed(b"2")
    line.stage.seat.provider.answer(2)
    assert line.statuses() == [200, 100, 200]
    assert [body for _, _, body in line.stage.seat.provider.calls] == [b"1", b"22"]


@pytest.mark.parametrize("piece", [b"", b"2"])
def test_a_body_has_no_more_than_that(piece: bytes) -> None:
    line = asked_late(Limits(body_grace_s=1.0))
    line.feed(*[piece] * bool(piece))
    line.pass_time(1.2)
    assert line.statuses() == [200, 100, 408]


# -- large frames that take their time ---------------------------------------------------------------------------

LIVELY = Limits(ping_interval_s=1.0, ping_misses=2, body_rate_bytes=1024, open_timeout_s=1000.0)


def in_a_frame(target: str) -> SocketLine:
    """A socket inside of a large frame, where no pong can come."""
    line = SocketLine(target, LIVELY)
    line.feed(frame_head(BINARY, 4 * MIB))
    return line


@ROUTES
@pytest.mark.parametrize("each_bytes", [600, 5000])
async def test_a_large_frame_that_comes_slowly_but_steadily_is_no_silence(target: str, each_bytes: int) -> None:
    line = in_a_frame(target)
    for _ in range(60):
        line.feed(b" " * each_bytes)
        line.pass_time(0.5)
        assert not line.ended()
    assert line.door.counters.sockets_cut_silent == 0


@ROUTES
async def test_a_large_frame_that_trickles_is_silence(target: str) -> None:
    line = in_a_frame(target)
    for _ in range(10):
        line.feed(b" ")
        line.pass_time(0.5)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_silent == 1


@ROUTES
async def test_a_large_frame_that_stops_is_silence(target: str) -> None:
    line = in_a_frame(target)
    line.feed(b" " * MIB)
    line.pass_time(5.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_silent == 1


# -- answers that wait for a caller of /connect ------------------------------------------------------------------

ANSWER = b'"' + b"x" * MIB + b'"'


def with_answers(count: int, limits: Limits) -> SocketLine:
    """A caller that takes nothing yet of so many large answers."""
    line = SocketLine("/connect", limits)
    line.say(*(b'{"id":%d,"method":"POST %b","params":[1]}' % (one, CALL.encode()) for one in range(1, 1 + count)))
    line.transport.is_stuck = True
    for number in range(1, 1 + count):
        line.stage.seat.provider.answer(number, ANSWER)
    return line


async def test_a_caller_that_takes_large_answers_steadily_gets_them_all() -> None:
    line = with_answers(6, Limits(ping_interval_s=1.0, ping_misses=2, write_deadline_s=2.0, queue_bytes=MIB))
    assert line.transport.waiting_bytes > 6 * MIB
    for _ in range(12):
        assert line.door.budget.used_bytes >= 6 * MIB
        assert not line.transport.is_reading
        line.pass_time(1.0)
        assert not line.ended()
        line.transport.take(MIB // 4)
    line.transport.take(6 * MIB)
    assert line.door.budget.used_bytes == 0
    assert line.transport.is_reading
    assert [payload[:8] for opcode, payload in line.heard() if opcode == 1] == [
        b'{"id":%d,' % number for number in range(1, 7)
    ]


@pytest.mark.parametrize("ending", ["lost", "stuck", "closed"])
async def test_what_waits_for_a_caller_is_given_back_with_it(ending: str) -> None:
    line = with_answers(3, Limits(ping_interval_s=1000.0, write_deadline_s=2.0, queue_bytes=MIB))
    assert line.door.budget.used_bytes >= 3 * MIB
    if ending == "stuck":
        line.pass_time(4.0)
        assert line.ended() == "abort"
        assert line.door.counters.sockets_cut_stuck == 1
    elif ending == "closed":
        line.door.sockets.copy().popitem()[0].close(4503, "draining")
    line.lose()
    assert line.door.budget.used_bytes == 0


async def test_answers_that_wait_are_bounded_together() -> None:
    line = with_answers(6, Limits(ping_interval_s=1000.0, queue_bytes=MIB, buffered_bytes=4 * MIB))
    assert line.ended() == "abort"
    assert line.door.counters.overloaded_buffers == 1
    line.lose()
    assert line.door.budget.used_bytes == 0


# -- streams -----------------------------------------------------------------------------------------------------

PIECE = b": " + b"x" * 4094


def streaming(limits: Limits) -> Line:
    """A line that reads events, for which more wait than it takes at once."""
    line = Line(limits)
    line.feed(ask("GET", "/events"))
    line.transport.is_stuck = True
    while line.transport.waiting_bytes <= HIGH_BYTES:
        line.transport.protocol.send(PIECE)
    return line


def test_a_reader_of_a_stream_that_takes_while_more_comes_is_not_stuck() -> None:
    line = streaming(Limits(write_deadline_s=2.0, queue_bytes=MIB))
    for _ in range(30):
        line.transport.take(len(PIECE))
        line.transport.protocol.send(PIECE)
        line.pass_time(1.0)
        assert not line.ended()
    assert line.transport.waiting_bytes > HIGH_BYTES


@pytest.mark.parametrize("more", [b"", PIECE])
def test_a_reader_of_a_stream_that_takes_nothing_is_stuck(more: bytes) -> None:
    line = streaming(Limits(write_deadline_s=2.0, queue_bytes=MIB))
    line.pass_time(1.0)
    line.transport.protocol.send(more)
    assert not line.ended()
    line.pass_time(2.2)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1


# -- kept-alive connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_bytes", [10, 10_000])
def test_an_idle_connection_that_does_not_take_its_answer_ends(size_bytes: int) -> None:
    line = Line(Limits(silent_timeout_s=1.0, idle_timeout_s=3.0, write_deadline_s=2.0, close_timeout_s=1.0))
    line.transport.is_stuck = True
    line.feed(ask("POST", CALL, b"1"))
    line.stage.seat.provider.answer(1, b"1" * size_bytes)
    line.pass_time(2.9)
    assert not line.ended()
    line.pass_time(4.0)
    assert line.ended() == "abort"
    assert line.door.counters.sockets_cut_stuck == 1


def test_an_idle_connection_that_takes_its_answer_late_gets_it() -> None:
    line = Line(Limits(silent_timeout_s=1.0, idle_timeout_s=3.0, write_deadline_s=2.0, close_timeout_s=1.0))
    line.transport.is_stuck = True
    line.feed(ask("POST", CALL, b"1"))
    line.stage.seat.provider.answer(1)
    line.pass_time(4.0)
    assert not line.ended()
    line.transport.take(1000)
    line.pass_time(4.0)
    assert line.ended()
    assert line.door.counters.sockets_cut_stuck == 0


# -- who leaves while nothing is read ----------------------------------------------------------------------------


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets: the node's and the caller's."""
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


def test_a_caller_that_leaves_a_full_pipeline_is_noticed(
    monkeypatch: pytest.MonkeyPatch, ends: tuple[socket.socket, socket.socket]
) -> None:
    line = Line(Limits(pipeline_requests=1))
    monkeypatch.setattr(line.transport, "get_extra_info", lambda _name, _default=None: ends[0])
    line.feed(ask("POST", CALL, b"1"), ask("POST", CALL, b"2"))
    ends[1].send(b"more that is not read")
    line.pass_time(10.0)
    assert not line.transport.is_reading
    assert not line.ended()
    ends[1].close()
    line.pass_time(1.2)
    assert line.ended() == "abort"
    line.lose()
    assert line.door.counters.calls_cancelled == 1
    assert [body for _, _, body in line.stage.seat.provider.calls] == [b"1"]
