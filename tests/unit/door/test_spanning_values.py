"""WebSockets of a door: values that span messages count, and a method that is no text costs nobody a socket."""

from __future__ import annotations

import json

import pytest

from lambdamesh.core.limits import Limits
from tests.unit.door.connections import SocketLine
from tests.unit.fakes import TEXT
from tests.websocket import BINARY, frame

KIB = 1024
MIB = 1 << 20
SILENT = Limits(ping_interval_s=1000.0, open_timeout_s=1000.0)
ROUTES = pytest.mark.parametrize("target", ["/lambda/new", "/connect"])
BEGINNING = b'{"id":77,"method":"/ping","result":"'
PIECE = b"x" * (100 * KIB)


def used_bytes(line: SocketLine) -> int:
    return line.door.budget.used_bytes


@ROUTES
async def test_a_value_that_spans_messages_counts_until_the_socket_ends(target: str) -> None:
    line = SocketLine(target, SILENT)
    line.say(BEGINNING, PIECE)
    assert used_bytes(line) == 0
    line.say(*[PIECE] * 10)
    assert 11 * len(PIECE) <= used_bytes(line) <= 12 * len(PIECE)
    line.lose()
    assert used_bytes(line) == 0


@ROUTES
@pytest.mark.parametrize("is_binary", [False, True])
async def test_too_much_of_it_is_refused(target: str, is_binary: bool) -> None:
    line = SocketLine(target, Limits(buffered_bytes=MIB, ping_interval_s=1000.0, open_timeout_s=1000.0))
    line.say(BEGINNING)
    for _ in range(12):
        line.feed(frame(BINARY if is_binary else 1, PIECE))
    assert line.close_code() == 4429
    assert line.door.counters.overloaded_buffers == 1
    assert used_bytes(line) <= MIB
    line.lose()
    assert used_bytes(line) == 0


@ROUTES
async def test_a_value_that_spans_messages_is_read_all_the_same(target: str) -> None:
    line = SocketLine(target, SILENT)
    line.heard()
    line.say(BEGINNING, *[PIECE] * 10, b'"}')
    if target == "/connect":
        ((_, payload),) = line.heard()
        assert json.loads(payload)["id"] == 77
    else:
        assert not line.heard()
        line.say(b'{"id":0,"result":"ok"}')
        assert len(line.door.registry.live) == 2
    assert not line.ended()
    line.lose()
    assert used_bytes(line) == 0


@pytest.mark.parametrize(
    "method",
    [
        "\\ud800",
        "/\\udc00",
        "GET /\\ud800",
        "GET\\ud800 /ping",
        f"POST /lambda/{TEXT.decode()}/\\udfff",
        "\\ud800 /ping",
    ],
)
@pytest.mark.parametrize("params", ["", ',"params":[1]', ',"params":["\\ud800"]'])
async def test_a_method_with_a_lone_surrogate_is_refused_and_no_more(method: str, params: str) -> None:
    line = SocketLine("/connect", SILENT)
    line.say(b'{"id":7,"method":"%b"%b}' % (method.encode(), params.encode()), b'{"id":8,"method":"/ping"}')
    first, second = (json.loads(payload) for _, payload in line.heard())
    assert (first["id"], first["result"]) == (7, None)
    assert first["error"].startswith("error 400: ")
    assert (second["id"], second["error"]) == (8, None)
    assert not line.ended()
    assert not line.stage.seat.provider.calls
