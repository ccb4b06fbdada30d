"""WebSockets that speak json-rpc-2.0, without a socket: what they say, and that they leave nothing behind.

The tests are coroutines because picows wants a running loop; nothing in them waits.
"""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from lambdamesh.core.flight import Flight, StreamFlight
from lambdamesh.core.limits import Limits
from lambdamesh.door.caller import CallerSocket
from lambdamesh.door.provider import ProviderSocket
from lambdamesh.door.question import Question
from lambdamesh.door.shared import Share, SharedLambdas
from lambdamesh.errors import LambdaLost
from lambdamesh.protocol.json_rpc_2_caller import CallerSession
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.json_rpc_2_provider import Session
from tests.unit.door.connections import SocketLine, no_collector
from tests.unit.door.doors import Stage
from tests.unit.fakes import NOW_MS, TEXT, Told
from tests.websocket import BINARY, TEXT as TEXT_FRAME, frame

SILENT = Limits(ping_interval_s=1000.0)
CODEC = "json-rpc-2.0"


def provider_line(limits: Limits | None = None, stage: Stage | None = None, target: str = "/lambda/new") -> SocketLine:
    """The socket of a provider that has not answered ``open``."""
    return SocketLine(target, limits or SILENT, stage, CODEC)


def messages(line: SocketLine) -> list[Any]:
    """What the node said since the last time."""
    found = line.heard()
    assert all(opcode == TEXT_FRAME for opcode, _ in found)
    return [json.loads(payload) for _, payload in found]


def opened(line: SocketLine, answer: bytes = b'{"meta":true}') -> dict[str, Any]:
    """Answer ``open``; return what it told."""
    (message,) = messages(line)
    assert (message["method"], message["id"]) == ("open", 0)
    line.say(b'{"jsonrpc":"2.0","id":0,"result":%b}' % answer)
    (told,) = message["params"]
    return told


# -- a provider -------------------------------------------------------------------------------------------------


async def test_a_provider_that_does_not_read_is_not_replied_to_for_ever() -> None:
    line = provider_line()
    opened(line)
    (socket,) = line.stage.door.sockets
    assert isinstance(socket, ProviderSocket)
    line.say(b"[]", b'{"jsonrpc":"2.0","id":1,"method":"$/ping"}', b'{"jsonrpc":"2.0","id":2,"method":"x"}')
    assert len(messages(line)) == 3
    socket.pause_writing()
    line.say(b"[]", b'{"jsonrpc":"2.0","id":1,"method":"$/ping"}', b'{"jsonrpc":"2.0","id":2,"method":"x"}')
    assert messages(line) == []
    socket.resume_writing()
    line.say(b"[]")
    assert len(messages(line)) == 1


async def test_open_tells_a_provider_what_it_needs_to_come_back() -> None:
    line = provider_line()
    told = opened(line)
    text = told["id"].encode()
    assert told == {
        "id": told["id"],
        "resume_key": line.stage.keys.mint(text, NOW_MS / 1000).decode(),
        "grace_s": 15.0,
        "node": "my-host",
        "pending": [],
    }
    held = line.door.registry.live[text]
    assert (held.code, held.grace_s) == (CODEC, 15.0)


async def test_a_provider_comes_back_with_the_calls_it_still_holds() -> None:
    line = provider_line()
    told = opened(line)
    text = told["id"].encode()
    tolds = [Told() for _ in range(3)]
    for one in tolds:
        line.stage.world.call(one, text=text)
    line.lose()
    target = f"/lambda/new/{told['id']}?key={told['resume_key']}"
    again = provider_line(stage=line.stage, target=target)
    assert opened(again, b'{"meta":true,"keep":[1,3]}')["pending"] == [1, 2, 3]
    again.say(b'{"jsonrpc":"2.0","id":3,"result":3}', b'{"jsonrpc":"2.0","id":1,"result":1}')
    assert [tolds[0].raw, tolds[2].raw] == [b"1", b"3"]
    assert isinstance(tolds[1].error, LambdaLost)


@pytest.mark.parametrize(("opcode", "payload"), [(TEXT_FRAME, b"hello"), (BINARY, b"\xff"), (TEXT_FRAME, b"")])
async def test_what_cannot_be_read_closes_the_socket_of_a_provider(opcode: int, payload: bytes) -> None:
    line = provider_line()
    opened(line)
    line.feed(frame(opcode, payload))
    assert line.close_code() == 4400
    assert line.door.counters.sockets_violations == 1


async def test_an_array_does_not() -> None:
    line = provider_line()
    opened(line)
    line.say(b"[]")
    (answer,) = messages(line)
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)


# -- a caller ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [
        (TEXT_FRAME, b"hello", -32700),
        (BINARY, b"\xff", -32700),
        (TEXT_FRAME, b"[]", -32600),
        (TEXT_FRAME, b"{}", -32600),
    ],
)
async def test_what_cannot_be_read_is_answered_so_to_a_caller(opcode: int, payload: bytes, code: int) -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.feed(frame(opcode, payload))
    line.say(b'{"jsonrpc":"2.0","id":1,"method":"GET /ping"}')
    refused, answered = messages(line)
    assert (refused["id"], refused["error"]["code"]) == (None, code)
    assert answered == {"jsonrpc": "2.0", "id": 1, "result": "my-host"}


def call(meta: str = "", request_id: str = "7") -> bytes:
    return f'{{"jsonrpc":"2.0","id":{request_id},"method":"POST /lambda/{TEXT.decode()}/count"{meta}}}'.encode()


async def test_a_stream_over_a_socket() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.say(call(',"meta":{"stream":true,"credit":2,"timeout_ms":1500}', '"a"'))
    provider = line.stage.seat.provider
    assert (provider.first_credits, provider.timeouts_s) == ({1: 2}, {1: 1.5})
    provider.pending[1].item(b"[1.0]")
    line.say(b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":"a","add":8}}')
    assert provider.credits == [(1, 8)]
    provider.answer(1, b"null")
    assert [payload for _, payload in line.heard()] == [
        b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":"a","value":[1.0]}}',
        b'{"jsonrpc":"2.0","id":"a","result":null}',
    ]


async def test_credit_waits_for_a_caller_that_does_not_take_what_is_there() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    (socket,) = line.stage.door.sockets
    assert isinstance(socket, CallerSocket)
    line.say(call(',"meta":{"stream":true}', '"a"'))
    socket.pause_writing()
    line.say(*[b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":"a","add":2.0}}'] * 3)
    assert line.stage.seat.provider.credits == []
    socket.resume_writing()
    assert line.stage.seat.provider.credits == [(1, 6)]


async def test_whoever_floods_the_node_waits_for_its_turn() -> None:
    line = provider_line()
    opened(line)
    line.transport.pauses = 0
    line.say(*[b'{"id":5}'] * 100)
    assert line.transport.pauses == 0
    line.say(*[b'{"id":5}'] * 3000)
    assert line.transport.pauses == 2  # each 16 KiB
    assert line.transport.is_reading


async def test_who_does_not_take_its_answers_is_not_read_when_its_turn_comes() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    (socket,) = line.stage.door.sockets
    assert isinstance(socket, CallerSocket)
    socket.pause_writing()
    line.say(*[b'{"method":"$/cancelRequest","params":{"id":5}}'] * 500)
    assert line.transport.pauses > 1
    assert not line.transport.is_reading
    socket.resume_writing()
    assert line.transport.is_reading


async def test_what_a_provider_keeps_and_nobody_waits_for_is_cancelled() -> None:
    stage = Stage()
    line = provider_line(stage=stage)
    text = opened(line)["id"].encode()
    told = Told()
    stage.world.call(told, text=text, timeout_s=1.0)
    key = stage.keys.mint(text, NOW_MS / 1000).decode()
    line.lose()
    stage.world.pass_time(2.0)
    assert told.outcomes == 1
    again = provider_line(stage=stage, target=f"/lambda/new/{text.decode()}?key={key}")
    opened(again, b'{"meta":true,"keep":[1]}')
    assert [(one["method"], one["params"]) for one in messages(again)] == [("$/cancelRequest", {"id": 1})]


async def test_a_request_that_is_cancelled_gets_no_answer_and_frees_its_id() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.say(call(), b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}')
    assert line.stage.seat.provider.cancelled == [1]
    assert not messages(line)
    line.say(call())
    line.stage.seat.provider.answer(2, b"2")
    assert messages(line) == [{"jsonrpc": "2.0", "id": 7, "result": 2}]


async def test_an_id_in_use_gets_an_error_and_the_first_its_answer() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.say(call(), call())
    (refused,) = messages(line)
    assert (refused["id"], refused["error"]["code"]) == (7, 400)
    line.stage.seat.provider.answer(1, b"1")
    assert messages(line) == [{"jsonrpc": "2.0", "id": 7, "result": 1}]


async def test_a_notification_gets_no_answer_at_all() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    target = f"POST /lambda/{TEXT.decode()}/seen"
    line.say(json.dumps({"jsonrpc": "2.0", "method": target, "params": [42]}).encode())
    line.say(b'{"jsonrpc":"2.0","method":"GET /ping"}', b'{"jsonrpc":"2.0","method":"GET /nowhere"}')
    assert line.stage.seat.provider.notifications == [(b'"seen"', b"42")]
    assert not messages(line)


@pytest.mark.parametrize("timeout_ms", ["0", "-1", "-0.0"])
async def test_a_time_that_is_none(timeout_ms: str) -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.say(call(f',"meta":{{"timeout_ms":{timeout_ms}}}'))
    (answer,) = messages(line)
    assert answer["error"]["code"] == 400


async def test_what_an_error_says_over_a_socket() -> None:
    line = SocketLine("/connect", SILENT, codec=CODEC)
    line.say(call().replace(TEXT, b"rhowRuuCUoE5vlcA"))
    (answer,) = messages(line)
    found = answer["error"]["data"].pop("ray")
    assert found.endswith("-MYH")
    assert answer["error"]["code"] == 404
    assert answer["error"]["data"] == {"status": 404, "code": "lambda_not_found", "delivered": "no"}


# -- what is left of it -----------------------------------------------------------------------------------------

KINDS = (
    CallerSession,
    CallerSocket,
    Flight,
    LambdaCalls,
    ProviderSocket,
    Question,
    Session,
    Share,
    SharedLambdas,
    StreamFlight,
)


def alive() -> list[str]:
    """What there is of sockets and their sessions, by kind."""
    return sorted(type(one).__name__ for one in gc.get_objects() if type(one) in KINDS)


def end(line: SocketLine, ending: str, texts: list[bytes]) -> None:
    """Have a socket end, but for its connection."""
    if ending == "peer closes":
        line.feed(frame(8, b"\x03\xe8"))
    elif ending == "node closes":
        line.door.sockets.copy().popitem()[0].close(4503, "draining")
        line.feed(frame(8, b"\x11\x97"))
    elif ending == "deleted":
        for text in texts:
            line.door.registry.delete(text, line.door.clock.now, line.door.clock.unix_ms)


ENDINGS = pytest.mark.parametrize("ending", ["lost", "peer closes", "node closes", "deleted"])


@ENDINGS
async def test_nothing_is_left_of_a_provider_after_its_grace(ending: str) -> None:
    with no_collector():
        before = alive()
        line = provider_line()
        text = opened(line)["id"].encode()
        tolds = [Told(), Told()]
        line.stage.world.call(tolds[0], text=text)
        line.stage.world.call(tolds[1], text=text, credit=16)
        end(line, ending, [text])
        line.lose()
        line.pass_time(15.2)
        assert [told.outcomes for told in tolds] == [1, 1]
        assert alive() == before


@ENDINGS
async def test_nothing_is_left_of_a_caller_and_its_lambdas_after_their_grace(ending: str) -> None:
    with no_collector():
        before = alive()
        line = SocketLine("/connect", SILENT, codec=CODEC)
        line.say(call(',"meta":{"stream":true}'), call(request_id="8"))
        line.heard()
        line.say(*[b'{"jsonrpc":"2.0","id":1,"method":"lambda.open"}'] * 3)
        shown = [message["result"] for message in messages(line)]
        texts = [told["id"].encode() for told in shown]
        again = {"id": shown[0]["id"], "key": shown[0]["resume_key"]}
        line.say(json.dumps({"id": 2, "method": "lambda.open", "params": again}).encode())
        line.say(b'{"id":3,"method":"lambda.close","params":{"id":"%b"}}' % texts[1])
        told = Told()
        line.stage.world.call(told, text=texts[2])
        end(line, ending, [texts[0], texts[2]])
        line.lose()
        line.pass_time(15.2)
        assert told.outcomes == 1
        assert not line.stage.seat.provider.pending
        assert tuple(line.door.registry.live) == (TEXT,)
        assert alive() == before


async def test_what_a_takeover_leaves_behind_is_free_at_once() -> None:
    with no_collector():
        line = provider_line()
        told = opened(line)
        kept = Told()
        line.stage.world.call(kept, text=told["id"].encode())
        before = alive()
        again = provider_line(stage=line.stage, target=f"/lambda/new/{told['id']}?key={told['resume_key']}")
        opened(again, b'{"meta":true,"keep":[1]}')
        assert line.close_code() == 4409
        line.lose()
        assert alive() == before
        again.say(b'{"id":1,"result":5}')
        assert kept.raw == b"5"
