"""The conversation with a node, across its connections."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from lambdamesh.client import session as session_module
from lambdamesh.client.hosting import End
from lambdamesh.client.requests import SLACK_S, Terms
from lambdamesh.errors import CallTimeout, Forbidden, LambdaLost, LambdaNotFound, Overloaded
from tests.unit.client.sessions import ID, Asked, World


@pytest.fixture
def world() -> World:
    world = World()
    world.connect()
    return world


# -- requests ----------------------------------------------------------------------------------------------------


def test_a_request_and_its_result(world: World) -> None:
    asked = Asked(body=b'{"a":1}')
    world.session.ask(asked, 0.0)
    (sent,) = world.take()
    assert sent == {"jsonrpc": "2.0", "id": 1, "method": f"POST /lambda/{ID}/test", "params": [{"a": 1}]}
    world.say(id=1, result=[1, None])
    assert asked.results == [b"[1, null]"]
    world.say(id=1, result=2)
    assert asked.outcomes == 1


def test_an_answer_without_a_result_is_null(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.say(id=1)
    assert asked.results == [b"null"]


def test_a_null_error_is_none(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.say(id=1, result=3, error=None)
    assert asked.results == [b"3"]


def test_an_error(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    data = {"status": 404, "code": "lambda_not_found", "delivered": "no", "ray": "r"}
    world.say(id=1, error={"code": 404, "message": "no such lambda", "data": data})
    (error,) = asked.errors
    assert isinstance(error, LambdaNotFound)
    assert (error.message, error.ray) == ("no such lambda", "r")


def test_terms_travel_in_meta(world: World) -> None:
    world.session.ask(Asked(Terms(5.0, 16, "00-a-b-01"), 100.0), 101.5)
    (sent,) = world.take()
    assert sent["meta"] == {"timeout_ms": 3500, "stream": True, "credit": 16, "traceparent": "00-a-b-01"}


def test_items_go_to_their_request(world: World) -> None:
    asked = Asked(Terms(None, 16))
    world.session.ask(asked, 0.0)
    world.say(method="$/progress", params={"token": 1, "value": {"x": 1}})
    world.say(method="$/progress", params={"token": 2, "value": 5})
    assert asked.items == [b'{"x": 1}']
    world.take()
    world.session.grant(asked, 8)
    assert world.take() == [{"jsonrpc": "2.0", "method": "$/credit", "params": {"id": 1, "add": 8}}]


def test_a_withdrawn_request_has_no_outcome(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.take()
    world.session.withdraw(asked)
    world.session.withdraw(asked)
    assert world.take() == [{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}}]
    world.say(id=1, result=1)
    world.session.disconnected("gone")
    assert asked.outcomes == 0


def test_requests_in_flight_are_lost_with_the_connection(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.session.disconnected("gone")
    (error,) = asked.errors
    assert isinstance(error, LambdaLost)
    assert error.delivered == "unknown"


def test_requests_wait_for_a_connection() -> None:
    world = World()
    asked = Asked(Terms(5.0), 0.0)
    world.session.ask(asked, 0.0)
    assert world.take() == []
    world.connect()
    world.session.flush(2.0)
    assert world.take()[0]["meta"] == {"timeout_ms": 3000}
    world.say(id=1, result=1)
    assert asked.results == [b"1"]


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "WAITING_REQUESTS", 2)
    world = World()
    for _ in range(2):
        world.session.ask(Asked(), 0.0)
    with pytest.raises(Overloaded) as raised:
        world.session.ask(Asked(), 0.0)
    assert raised.value.delivered == "no"


def test_a_withdrawn_request_does_not_wait() -> None:
    world = World()
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.session.withdraw(asked)
    world.connect()
    world.session.flush(0.0)
    assert world.take() == []


def test_the_end_tells_everybody_why() -> None:
    world = World()
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.session.close(Forbidden("not you"))
    assert [error.message for error in asked.errors] == ["not you"]
    with pytest.raises(Forbidden, match="not you"):
        world.session.ask(Asked(), 0.0)


# -- deadlines ---------------------------------------------------------------------------------------------------


def test_the_alarm_is_set_for_the_earliest_deadline() -> None:
    world = World()
    world.session.ask(Asked(Terms(5.0)), 0.0)
    world.session.ask(Asked(Terms(9.0)), 0.0)
    world.session.ask(Asked(Terms(2.0)), 0.0)
    assert world.alarms == [5.0, 2.0]


def test_who_waits_for_a_connection_is_told_in_time() -> None:
    world = World()
    late, early = Asked(Terms(5.0)), Asked(Terms(2.0))
    world.session.ask(late, 0.0)
    world.session.ask(early, 0.0)
    world.session.expire(2.0)
    (error,) = early.errors
    assert isinstance(error, CallTimeout)
    assert error.delivered == "no"
    assert late.outcomes == 0
    assert world.alarms[-1] == 5.0


def test_a_request_in_flight_waits_for_the_nodes_word_a_little_longer(world: World) -> None:
    asked = Asked(Terms(2.0))
    world.session.ask(asked, 0.0)
    world.take()
    world.session.expire(2.0)
    assert asked.outcomes == 0
    world.session.expire(2.0 + SLACK_S)
    (error,) = asked.errors
    assert isinstance(error, CallTimeout)
    assert error.delivered == "unknown"
    assert world.take()[0]["method"] == "$/cancelRequest"


# -- calls -------------------------------------------------------------------------------------------------------


def test_a_call_and_its_answer(world: World) -> None:
    hosted = world.open()
    meta: dict[str, Any] = {"deadline_ms": 2000, "ray": "r", "traceparent": "00-a-b-01", "stream": False, "sub": "me"}
    served = world.call(3, **meta)
    assert served is not None
    assert world.served[-1][1:] == ("TEST", b"[3]")
    assert (served.deadline_at, served.ray, served.traceparent, served.sub) == (2.0, "r", "00-a-b-01", "me")
    assert hosted.unanswered() == [3]
    served.result(b"5")
    served.result(b"6")
    assert world.take() == [{"jsonrpc": "2.0", "id": f"{ID}.3", "result": 5}]
    assert hosted.unanswered() == []


def test_an_error_is_an_answer(world: World) -> None:
    world.open()
    served = world.call(1)
    assert served is not None
    served.error(b'{"code":-32000,"message":"no"}')
    assert world.take() == [{"jsonrpc": "2.0", "id": f"{ID}.1", "error": {"code": -32000, "message": "no"}}]


def test_a_method_that_is_not_there(world: World) -> None:
    world.open()
    assert world.call(1, "other") is None
    assert world.call(None, "other") is None
    (sent,) = world.take()
    assert sent["error"]["code"] == -32601


def test_a_notification_is_never_answered(world: World) -> None:
    world.open()
    served = world.call(None)
    assert served is not None
    assert served.is_notification
    served.result(b"1")
    assert world.take() == []


def test_a_cancelled_call_is_not_answered(world: World) -> None:
    world.open()
    served = world.call(1)
    assert served is not None
    stopped: list[int] = []
    served.stop = lambda _served: stopped.append(1)
    world.say(method="$/cancelRequest", params={"id": f"{ID}.1"})
    served.result(b"1")
    assert (served.cancelled, stopped, world.take()) == (True, [1], [])


def test_items_by_credit(world: World) -> None:
    world.open()
    served = world.call(1, stream=True, credit=2)
    assert served is not None
    more: list[int] = []
    served.more = lambda: more.append(served.credit)
    served.item(b"1")
    assert world.take() == [{"jsonrpc": "2.0", "method": "$/progress", "params": {"token": f"{ID}.1", "value": 1}}]
    assert served.credit == 1
    world.say(method="$/credit", params={"id": f"{ID}.1", "add": 4})
    assert (served.credit, more) == (5, [5])


def test_an_answer_waits_for_its_lambda(world: World) -> None:
    hosted = world.open()
    first, second, third = (world.call(number) for number in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert third is not None
    world.session.disconnected("gone")
    first.result(b'"one"')
    world.connect()
    second.result(b'"two"')
    assert world.take() == []
    assert hosted.unanswered() == [1, 2, 3]
    world.session.reseat(hosted, "newer", [1, 3])
    assert [message["result"] for message in world.take()] == ["one"]
    assert (hosted.key, hosted.unanswered()) == ("newer", [3])
    third.result(b'"three"')
    assert [message["result"] for message in world.take()] == ["three"]


def test_a_call_that_is_not_pending_any_more_is_cancelled(world: World) -> None:
    hosted = world.open()
    served = world.call(1)
    assert served is not None
    world.session.disconnected("gone")
    assert not served.cancelled
    world.connect()
    world.session.reseat(hosted, "key", [])
    assert served.cancelled


def test_a_stream_does_not_outlive_its_socket(world: World) -> None:
    hosted = world.open()
    served = world.call(1, stream=True, credit=2)
    assert served is not None
    world.session.disconnected("gone")
    assert served.cancelled
    assert hosted.unanswered() == []


def test_no_more_answers_are_kept_than_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "KEPT_ANSWERS", 2)
    hosted = world.open()
    calls = [world.call(number) for number in (1, 2, 3)]
    world.session.disconnected("gone")
    for served in calls:
        assert served is not None
        served.result(b"1")
    assert hosted.unanswered() == [1, 2]
    world.connect()
    world.session.reseat(hosted, "key", [1, 2])
    world.session.disconnected("gone")
    served = world.served[0][0]
    hosted.calls[9] = served
    served.number = 9
    served.result(b"1")
    assert hosted.unanswered() == [9]


def test_kept_answers_have_a_bound_in_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "KEPT_BYTES", 1000)
    hosted = world.open()
    calls = [world.call(number) for number in (1, 2)]
    world.session.disconnected("gone")
    for served in calls:
        assert served is not None
        served.result(b'"%b"' % (b"x" * 800))
    assert hosted.unanswered() == [1]


def test_the_node_closes_one_lambda(world: World) -> None:
    hosted, other = world.open(), world.open("rhowRgEAAACXSQEA")
    ended: list[int] = []
    hosted.on_end = lambda: ended.append(1)
    served = world.call(1)
    assert served is not None
    world.say(method="lambda.closed", params={"id": ID, "code": 4410, "reason": "deleted"})
    assert hosted.end == End(4410, "deleted")
    assert (ended, served.cancelled, other.end) == ([1], True, None)
    world.call(2)
    assert world.take()[-1]["error"]["code"] == -32601


def test_both_sides_may_ping(world: World) -> None:
    world.say(method="$/ping", id="x")
    world.say(method="$/ping")
    assert world.take() == [{"jsonrpc": "2.0", "id": "x", "result": None}]


def test_words_that_are_not_known(world: World) -> None:
    world.say(method="$/news", params={})
    world.say(method="$/news", id=5)
    (sent,) = world.take()
    assert (sent["id"], sent["error"]["code"]) == (5, -32601)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"5", b'{"id":[]}', b'{"method":5}', b"[" * 5000])
def test_what_is_no_message(world: World, raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        world.session.receive(raw, 0.0)


def test_lone_surrogates_pass(world: World) -> None:
    asked = Asked()
    world.session.ask(asked, 0.0)
    world.session.receive(rb'{"jsonrpc":"2.0","id":1,"result":"\ud800"}', 0.0)
    assert asked.results == [rb'"\ud800"']


def test_the_smallest_grace_counts_and_none_does_not() -> None:
    world = World()
    assert world.session.awaited_s == inf
    for lambda_id, given_s in (("a", 30.0), ("b", 15.0), ("c", 0.0)):
        world.open(lambda_id).given_s = given_s
    assert world.session.awaited_s == 15.0
