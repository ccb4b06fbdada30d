"""What lambdas and requests do to the socket that they share: its queue, and its end."""

from __future__ import annotations

from lambdamesh.core.limits import Limits
from lambdamesh.errors import Overloaded
from tests.unit.door.doors import Stage
from tests.unit.door.sharing import Socket, call
from tests.unit.fakes import TEXT, Told

KIB = 1024


# -- its part of the queue --------------------------------------------------------------------------------------


def overloads(told: Told) -> bool:
    return bool(told.faults) and isinstance(told.error, Overloaded)


def test_one_lambda_fills_no_more_than_its_part_of_the_queue() -> None:
    stage = Stage(Limits(queue_bytes=64 * KIB))
    socket = Socket(stage)
    greedy, modest = socket.open()["id"], socket.open()["id"]
    body = b'"%b"' % (b"x" * 10 * KIB)
    assert not overloads(call(stage, greedy, body=body))
    socket.waiting = 17 * KIB
    assert not overloads(call(stage, greedy, body=body))
    over = call(stage, greedy, body=body)
    assert overloads(over)
    assert over.error.delivered == "no"
    assert not overloads(call(stage, modest))
    # The other side has caught up.
    socket.waiting = 16 * KIB
    assert not overloads(call(stage, greedy, body=body))


def test_a_queue_that_all_have_filled_together_is_full_for_all() -> None:
    stage = Stage(Limits(queue_bytes=64 * KIB))
    socket = Socket(stage)
    texts = [socket.open()["id"] for _ in range(7)]
    socket.waiting = 17 * KIB
    body = b'"%b"' % (b"x" * 12 * KIB)
    assert [overloads(call(stage, text, body=body)) for text in texts] == [False] * 6 + [True]
    assert overloads(call(stage, texts[0]))
    assert stage.world.counters.overloaded_queue == 2
    socket.waiting = 0
    assert not any(overloads(call(stage, text)) for text in texts)


def test_one_long_call_leaves_the_others_their_part() -> None:
    stage = Stage(Limits(queue_bytes=64 * KIB))
    socket = Socket(stage)
    long, short = socket.open()["id"], socket.open()["id"]
    assert not overloads(call(stage, long, body=b'"%b"' % (b"x" * 1000 * KIB)))
    socket.waiting, socket.congested = 1000 * KIB, True
    assert overloads(call(stage, long))
    assert not overloads(call(stage, short))


# -- calls of its own -------------------------------------------------------------------------------------------


def test_a_socket_may_call_what_it_has_opened() -> None:
    stage = Stage()
    socket = Socket(stage)
    text = socket.open()["id"]
    socket.say(b'{"id":"a","method":"POST /lambda/%b/echo","params":[{"b":1.0}]}' % text.encode())
    (sent,) = socket.heard()
    assert (sent["method"], sent["params"], sent["id"]) == ("echo", [{"b": 1.0}], f"{text}.1")
    socket.say(b'{"jsonrpc":"2.0","id":"%b.1","result":{"b":1.0}}' % text.encode())
    assert socket.sent == [b'{"jsonrpc":"2.0","id":"a","result":{"b":1.0}}']


def test_its_calls_end_with_it() -> None:
    stage = Stage()
    socket = Socket(stage)
    socket.say(b'{"id":1,"method":"POST /lambda/%b/test"}' % TEXT)
    socket.ended("lost", False)
    assert stage.seat.provider.cancelled == [1]
    assert not socket.questions
