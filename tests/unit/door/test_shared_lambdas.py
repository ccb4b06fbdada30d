"""Lambdas that a caller opens over its own socket, without a socket."""

from __future__ import annotations

import json

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.errors import LambdaLost
from tests.unit.door.doors import Stage
from tests.unit.door.sharing import Socket, call, key_of
from tests.unit.fakes import NOW_MS, TEXT, an_id

RAY = "0057be39815282ea-MYH"


# -- opening ----------------------------------------------------------------------------------------------------


def test_opening_tells_all_that_its_provider_has_to_know() -> None:
    stage = Stage()
    told = Socket(stage).open()
    assert told == {"id": told["id"], "resume_key": key_of(stage, told["id"]), "grace_s": 15.0, "pending": []}
    held = stage.door.registry.live[told["id"].encode()]
    assert (held.state, held.code, held.grace_s) == ("open", "json-rpc-2.0", 15.0)
    assert stage.world.events[-1] == (held.id, "open", "new")


@pytest.mark.parametrize("params", [None, [], {}, [{}], [None], {"more": [1]}])
def test_nothing_has_to_be_said(params: object) -> None:
    assert Socket(Stage()).ask_for("lambda.open", params)["result"]["grace_s"] == 15.0


def test_its_headers_are_those_of_the_socket() -> None:
    stage = Stage()
    text = Socket(stage, lines=((b"User-Agent", b"me"), (b"Cookie", b"secret"))).open()["id"]
    headers = json.loads(stage.door.registry.live[text.encode()].headers)
    assert headers["User-Agent"] == ["me"]
    assert headers["Sec-Websocket-Protocol"] == ["json-rpc-2.0"]
    assert headers["X-Ray"] == [RAY]
    assert "Cookie" not in headers


@pytest.mark.parametrize(
    ("wanted", "grace_s"), [({"grace_s": 0}, 0.0), ({"grace_s": 300}, 300.0), ({"grace_s": None}, 15.0)]
)
def test_a_grace_may_be_asked_for(wanted: dict[str, object], grace_s: float) -> None:
    stage = Stage()
    told = Socket(stage).open(**wanted)
    assert told["grace_s"] == grace_s
    assert stage.door.registry.live[told["id"].encode()].grace_s == grace_s


@pytest.mark.parametrize(
    "params",
    [
        {"grace_s": -1},
        {"grace_s": 301},
        {"grace_s": "5"},
        {"id": 5},
        {"id": "nonsense"},
        {"keep": 5},
        {"keep": ["1"]},
        [5],
        ["x"],
        [[1]],
    ],
)
def test_what_makes_no_sense_is_refused(params: object) -> None:
    stage = Stage()
    assert Socket(stage).refusal("lambda.open", params) == (400, "bad_request")
    assert len(stage.door.registry.live) == 1


def test_it_is_callable_as_soon_as_the_answer_is_out_and_the_call_is_behind_it() -> None:
    stage = Stage()
    socket = Socket(stage)
    text = an_id(9).decode()
    stage.world.leave(stage.world.open(an_id(9), grace_s=15.0), text=an_id(9))
    waiting = call(stage, text)
    socket.say(
        b'{"jsonrpc":"2.0","id":1,"method":"lambda.open","params":{"id":"%b","key":"%b"}}'
        % (text.encode(), key_of(stage, text).encode())
    )
    answer, sent = socket.heard()
    assert answer["result"]["id"] == text
    assert sent["id"] == f"{text}.1"
    socket.say(b'{"jsonrpc":"2.0","id":"%b.1","result":5}' % text.encode())
    assert waiting.raw == b"5"


def test_calls_always_carry_meta() -> None:
    stage = Stage()
    socket = Socket(stage)
    text = socket.open()["id"]
    call(stage, text, credit=16)
    call(stage, text)
    first, second = socket.heard()
    assert first["id"] == f"{text}.1"
    assert first["meta"] == {"deadline_ms": 60_000, "ray": "", "lambda": text, "stream": True, "credit": 16}
    assert second["id"] == f"{text}.2"
    assert second["meta"]["stream"] is False


def test_one_socket_opens_so_many() -> None:
    stage = Stage(Limits(socket_lambdas=2))
    socket = Socket(stage)
    texts = [socket.open()["id"] for _ in range(2)]
    assert socket.refusal("lambda.open", {}) == (429, "overloaded")
    assert stage.world.counters.overloaded_socket == 1
    assert Socket(stage).open()
    socket.ask_for("lambda.close", {"id": texts[0]})
    assert socket.open()


def test_a_full_socket_may_re_open_what_it_has() -> None:
    stage = Stage(Limits(socket_lambdas=1))
    socket = Socket(stage)
    told = socket.open()
    assert socket.open(id=told["id"], key=told["resume_key"])["id"] == told["id"]


def test_a_node_that_goes_down_opens_none() -> None:
    stage = Stage()
    stage.door.is_ready = False
    assert Socket(stage).refusal("lambda.open", {}) == (503, "draining")


@pytest.mark.parametrize("method", ["lambda.other", "ping", "open", "", "lambda.open "])
def test_any_other_method_is_none(method: str) -> None:
    socket = Socket(Stage())
    error = socket.ask_for(method)["error"]
    assert (error["code"], error["data"]["status"], error["data"]["code"]) == (-32601, 404, "not_found")
    assert "delivered" not in error["data"]


# -- re-opening -------------------------------------------------------------------------------------------------


def test_a_lambda_is_re_opened_from_another_socket_with_its_key() -> None:
    stage = Stage()
    old, new = Socket(stage), Socket(stage)
    told = old.open()
    kept, lost = call(stage, told["id"]), call(stage, told["id"])
    old.heard()
    again = new.open(id=told["id"], key=told["resume_key"], grace_s=3, keep=[1, 7, 1])
    assert (again["id"], again["grace_s"], again["pending"]) == (told["id"], 3.0, [1])
    assert old.heard() == [
        {
            "jsonrpc": "2.0",
            "method": "lambda.closed",
            "params": {"id": told["id"], "code": 4409, "reason": "superseded by a newer socket"},
        }
    ]
    assert isinstance(lost.error, LambdaLost)
    old.say(b'{"id":"%b.1","result":"late"}' % told["id"].encode())
    new.say(b'{"id":"%b.1","result":"right"}' % told["id"].encode())
    assert kept.raw == b'"right"'
    assert old.refusal("lambda.close", {"id": told["id"]}) == (404, "lambda_not_found")


def test_a_lambda_is_re_opened_on_its_own_socket_without_a_word_of_its_end() -> None:
    stage = Stage()
    socket = Socket(stage)
    told = socket.open()
    kept = call(stage, told["id"])
    socket.heard()
    socket.say(
        json.dumps(
            {"id": 1, "method": "lambda.open", "params": {"id": told["id"], "key": told["resume_key"], "keep": [1]}}
        ).encode()
    )
    (answer,) = socket.heard()
    assert answer["result"]["pending"] == [1]
    socket.say(b'{"id":"%b.1","result":5}' % told["id"].encode())
    assert kept.raw == b"5"
    call(stage, told["id"])
    assert [message["id"] for message in socket.heard()] == [f"{told['id']}.2"]
    socket.ended("lost", False)
    assert stage.door.registry.live[told["id"].encode()].state == "waiting"


def test_after_the_end_of_its_socket_it_waits_for_its_grace() -> None:
    stage = Stage()
    old, new = Socket(stage), Socket(stage)
    told = old.open()
    kept = call(stage, told["id"])
    old.ended("lost", False)
    assert stage.door.registry.live[told["id"].encode()].state == "waiting"
    assert kept.outcomes == 0
    assert new.open(id=told["id"], key=told["resume_key"], keep=[1])["pending"] == [1]
    new.say(b'{"id":"%b.1","result":5}' % told["id"].encode())
    assert kept.raw == b"5"


def test_a_socket_that_was_closed_for_good_leaves_none_waiting() -> None:
    stage = Stage()
    socket = Socket(stage)
    texts = [socket.open()["id"] for _ in range(3)]
    tolds = [call(stage, text) for text in texts]
    socket.ended("closed", True)
    assert [type(told.error) for told in tolds] == [LambdaLost] * 3
    assert tuple(stage.door.registry.live) == (TEXT,)


def test_who_keeps_a_stream_is_told_that_it_has_ended() -> None:
    stage = Stage()
    old, new = Socket(stage), Socket(stage)
    told = old.open()
    stream = call(stage, told["id"], credit=16)
    assert new.open(id=told["id"], key=told["resume_key"], keep=[1])["pending"] == []
    assert isinstance(stream.error, LambdaLost)


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"id": TEXT.decode()}, (403, "forbidden")),
        ({"id": TEXT.decode(), "key": "wrong"}, (403, "forbidden")),
        ({"id": TEXT.decode(), "key": "\u00e9"}, (403, "forbidden")),
        ({"id": an_id(7, needs_key=True).decode()}, (403, "forbidden")),
        ({"id": an_id(machine=7).decode()}, (404, "lambda_not_found")),
        ({"id": an_id(7).decode()}, None),
    ],
)
def test_the_rules_are_those_of_a_socket_of_its_own(wanted: dict[str, object], refusal: tuple[int, str] | None) -> None:
    stage = Stage()
    socket = Socket(stage)
    if refusal is None:
        assert socket.open(**wanted)["id"] == wanted["id"]
    else:
        assert socket.refusal("lambda.open", wanted) == refusal
        assert stage.world.counters.reopens_refused == 1
    assert stage.seat.closed == []


def test_a_deleted_one_stays_deleted() -> None:
    stage = Stage()
    socket = Socket(stage)
    told = socket.open()
    stage.door.registry.delete(told["id"].encode(), stage.world.now, NOW_MS)
    assert socket.heard()[-1]["params"] == {"id": told["id"], "code": 4410, "reason": "deleted"}
    assert socket.refusal("lambda.open", {"id": told["id"], "key": told["resume_key"]}) == (410, "lambda_gone")
    assert socket.refusal("lambda.close", {"id": told["id"]}) == (404, "lambda_not_found")


def test_a_page_of_another_origin_opens_and_re_opens_with_the_key_only() -> None:
    stage = Stage()
    page = Socket(stage, foreign=True)
    told = page.open()
    closed = an_id(7).decode()
    assert page.refusal("lambda.open", {"id": closed}) == (403, "forbidden")
    assert page.open(id=closed, key=key_of(stage, closed))["id"] == closed
    assert page.open(id=told["id"], key=told["resume_key"])["id"] == told["id"]


# -- closing ----------------------------------------------------------------------------------------------------


def test_closing_ends_it_at_once() -> None:
    stage = Stage()
    socket = Socket(stage)
    text = socket.open()["id"]
    told = call(stage, text)
    socket.heard()
    assert socket.ask_for("lambda.close", {"id": text}) == {"result": {}}
    assert isinstance(told.error, LambdaLost)
    assert text.encode() not in stage.door.registry.live
    assert stage.world.events[-1] == (text.encode(), "close", "closed")
    socket.say(b'{"id":"%b.1","result":5}' % text.encode())
    assert socket.heard() == []
    assert stage.door.sessions.unknown_answers == 1


@pytest.mark.parametrize("params", [None, {}, {"id": 5}, [], [5]])
def test_closing_wants_an_id(params: object) -> None:
    assert Socket(Stage()).refusal("lambda.close", params) == (400, "bad_request")


@pytest.mark.parametrize("text", [TEXT.decode(), "nonsense", an_id(7).decode()])
def test_only_its_own_lambdas_are_closed(text: str) -> None:
    stage = Stage()
    assert Socket(stage).refusal("lambda.close", {"id": text}) == (404, "lambda_not_found")
    assert TEXT in stage.door.registry.live


def test_the_end_of_the_socket_tells_nobody_twice() -> None:
    stage = Stage()
    socket = Socket(stage)
    socket.open()
    socket.ended("lost", False)
    socket.say(b'{"id":1,"method":"lambda.open"}', b"hello")
    assert len(stage.door.registry.live) == 2
    assert not socket.sent
