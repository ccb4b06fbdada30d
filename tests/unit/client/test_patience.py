"""Refusals that pass: which calls are asked again, when, and what ends that."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from lambdamesh.client.faults import ClientClosed
from lambdamesh.client.patience import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PATIENCE_S,
    RESTING_CALLS,
    Patience,
    is_passing,
)
from lambdamesh.client.requests import PLAIN, SLACK_S, Terms
from lambdamesh.errors import (
    CallTimeout,
    Draining,
    LambdaGone,
    LambdaLost,
    LambdaNotFound,
    MeshError,
    Overloaded,
    PeerUnreachable,
    Recovering,
)
from tests.nodes import ROOT
from tests.unit.client.sessions import Asked, World

PASSING = {"draining": 503, "recovering": 503, "peer_unreachable": 502}
OTHERS = {"overloaded": 503, "lambda_not_found": 404, "lambda_gone": 410, "forbidden": 403, "lambda_lost": 502}


class Call(Asked):
    """A call, which may be asked again."""

    is_repeatable = True


class Stream(Call):
    """One that is no longer asked again once an item has come."""

    @property
    def is_repeatable(self) -> bool:  # type: ignore[override]
        return not self.items


def connected(patience_s: float = PATIENCE_S, chance: Callable[[], float] = lambda: 0.5) -> World:
    world = World(patience_s, chance)
    world.connect()
    return world


def asked(world: World, call: Asked | None = None) -> Asked:
    call = call or Call()
    world.session.ask(call, 0.0)
    world.take()
    return call


def refuse(world: World, call: Asked, code: str, now: float = 0.0, delivered: str = "no") -> None:
    status = (PASSING | OTHERS)[code]
    data = {"status": status, "code": code, "delivered": delivered}
    world.say(now, id=call.number, error={"code": status, "message": code, "data": data})


def calls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are no question of the client's own."""
    return [message for message in messages if message.get("method", "").startswith("POST /lambda/")]


# -- one call's patience -----------------------------------------------------------------------------------------


def test_pauses_grow_and_never_undercut_what_the_node_asks_for() -> None:
    patience = Patience(100.0)
    away = [patience.pause_s(PeerUnreachable("x"), 0.0, 100.0, 1.0) for _ in range(6)]
    assert away == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert Patience(100.0).pause_s(Draining("x"), 0.0, 100.0, 0.0) == 1.0
    assert Patience(100.0).pause_s(PeerUnreachable("x"), 0.0, 100.0, 0.0) == 0.0


def test_the_last_try_is_at_the_end_of_the_patience() -> None:
    patience = Patience(15.0)
    assert patience.pause_s(PeerUnreachable("x"), 14.99, 100.0, 1.0) == pytest.approx(0.01)
    assert patience.pause_s(PeerUnreachable("x"), 15.0, 100.0, 1.0) is None
    assert Patience(15.0).pause_s(Draining("x"), 14.5, 100.0, 0.0) is None


def test_none_is_made_that_the_deadline_leaves_no_time_for() -> None:
    assert Patience(15.0).pause_s(Recovering("x"), 0.0, 0.9, 0.0) is None
    assert Patience(15.0).pause_s(Recovering("x"), 0.0, 1.1, 0.0) == 1.0


@pytest.mark.parametrize(
    "error",
    [
        LambdaNotFound("x"),
        LambdaGone("x"),
        Overloaded("x"),
        LambdaLost("x"),
        CallTimeout("x", delivered="no"),
        PeerUnreachable("x", delivered="unknown"),
        Draining("x", delivered="yes"),
        MeshError("x"),
    ],
    ids=lambda error: f"{error.code}-{error.delivered}",
)
def test_what_does_not_pass(error: MeshError) -> None:
    assert not is_passing(error)


# -- calls of a session ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", PASSING)
def test_a_refused_call_is_asked_again_and_its_result_is_its_only_outcome(code: str) -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, code)
    assert calls(world.take()) == []
    due_at = 0.05 if code == "peer_unreachable" else 1.05
    world.session.expire(due_at - 0.01)
    assert calls(world.take()) == []
    world.session.expire(due_at)
    [again] = calls(world.take())
    assert again["id"] == call.number
    world.say(due_at, id=call.number, result=7)
    assert (call.results, call.errors) == ([b"7"], [])


@pytest.mark.parametrize("code", OTHERS)
def test_other_errors_are_told_at_once(code: str) -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, code, delivered="unknown" if code == "lambda_lost" else "no")
    assert [error.code for error in call.errors] == [code]
    assert world.take() == []


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("delivered", ["yes", "unknown"])
def test_what_may_have_been_delivered_is_never_asked_again(code: str, delivered: str) -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, code, delivered=delivered)
    assert [error.delivered for error in call.errors] == [delivered]


@pytest.mark.parametrize("code", PASSING)
def test_without_patience_every_refusal_is_told_at_once(code: str) -> None:
    world = connected(patience_s=0.0)
    call = asked(world)
    refuse(world, call, code)
    assert [error.code for error in call.errors] == [code]
    assert world.take() == []


def test_what_is_no_call_is_not_asked_again() -> None:
    world = connected()
    word = asked(world, Asked())
    refuse(world, word, "recovering")
    assert [error.code for error in word.errors] == ["recovering"]


def test_each_try_is_told_the_time_that_is_left() -> None:
    world = connected()
    call = asked(world, Call(Terms(10.0)))
    plain = asked(world, Call(PLAIN))
    for one in (call, plain):
        refuse(world, one, "recovering", now=2.0)
    world.session.expire(4.0)
    assert [message["meta"]["timeout_ms"] for message in calls(world.take())] == [6_000, 56_000]
    world.session.expire(10.0 + SLACK_S - 0.01)
    assert call.errors == []
    world.session.expire(10.0 + SLACK_S)
    assert [error.delivered for error in call.errors] == ["unknown"]


def test_patience_ends_with_the_last_refusal() -> None:
    world = connected(patience_s=2.0)
    call = asked(world)
    now, tries = 0.0, 1
    while not call.errors:
        world.alarms.clear()
        refuse(world, call, "peer_unreachable", now)
        if not call.errors:
            now = world.alarms[-1]
            world.session.expire(now)
            tries += len(calls(world.take()))
    assert [error.code for error in call.errors] == ["peer_unreachable"]
    assert now == 2.0
    assert 4 <= tries <= 8


def test_a_stream_is_asked_again_before_its_first_item_only() -> None:
    world = connected()
    early, late = asked(world, Stream(Terms(9.0, 16))), asked(world, Stream(Terms(9.0, 16)))
    world.say(method="$/progress", params={"token": late.number, "value": 1})
    for stream in (early, late):
        refuse(world, stream, "recovering")
    assert (early.outcomes, late.outcomes) == (0, 1)
    world.session.expire(3.0)
    assert len(calls(world.take())) == 1


def test_a_call_that_is_withdrawn_stops_trying() -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, "recovering")
    world.session.withdraw(call)
    world.session.expire(60.0)
    assert world.take() == []
    assert call.outcomes == 0


def test_a_call_that_rests_is_told_that_the_client_closes() -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, "recovering")
    world.session.close(ClientClosed("closed"))
    assert [(error.code, error.delivered) for error in call.errors] == [("closed", "no")]


def test_a_call_whose_time_comes_while_there_is_no_connection_waits_for_one() -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, "peer_unreachable")
    world.session.disconnected("gone")
    world.session.expire(1.0)
    assert call.outcomes == 0
    world.connect()
    world.session.flush(2.0)
    assert len(calls(world.take())) == 1


def test_a_call_that_was_sent_when_the_connection_ended_is_lost_though_it_was_refused_before() -> None:
    world = connected()
    call = asked(world)
    refuse(world, call, "peer_unreachable")
    world.session.expire(1.0)
    world.session.disconnected("gone")
    assert [(error.code, error.delivered) for error in call.errors] == [("lambda_lost", "unknown")]


def test_so_many_rest_and_no_more() -> None:
    world = connected()
    many = [asked(world) for _ in range(RESTING_CALLS + 1)]
    for call in many:
        refuse(world, call, "recovering")
    assert [call.outcomes for call in many] == [0] * RESTING_CALLS + [1]


# -- a node that goes down ---------------------------------------------------------------------------------------


def look(world: World) -> int:
    """The id of the question whether the node goes down, of which there is one."""
    [question] = [message for message in world.take() if message["method"] == "GET /readyz"]
    return int(question["id"])


def going_down(world: World, question: int) -> None:
    data = {"status": 503, "code": "draining"}
    world.say(id=question, error={"code": 503, "message": "this node is going down", "data": data})


def test_nothing_more_is_sent_to_a_node_that_goes_down() -> None:
    world = connected()
    first, second = asked(world), asked(world)
    refuse(world, first, "draining")
    question = look(world)
    refuse(world, second, "draining")
    assert world.take() == [], "it is asked once"
    going_down(world, question)
    third = Call()
    world.session.ask(third, 0.0)
    world.session.expire(5.0)
    assert calls(world.take()) == []
    world.session.disconnected("4503")
    world.connect()
    world.session.flush(6.0)
    assert len(calls(world.take())) == 3
    assert [call.outcomes for call in (first, second, third)] == [0, 0, 0]


def test_a_node_that_says_so_itself_is_answered_and_left() -> None:
    world = connected()
    world.say(method="node.draining", id="$/end")
    assert world.take() == [{"jsonrpc": "2.0", "id": "$/end", "result": None}]
    call = Call()
    world.session.ask(call, 0.0)
    assert world.take() == []
    word = Asked()
    world.session.ask(word, 0.0)
    assert len(world.take()) == 1


def test_without_patience_it_is_not_left() -> None:
    world = connected(patience_s=0.0)
    world.say(method="node.draining", id="$/end")
    world.take()
    world.session.ask(Call(), 0.0)
    assert len(world.take()) == 1


def test_another_node_that_goes_down_changes_nothing_here() -> None:
    world = connected()
    refuse(world, asked(world), "draining")
    world.say(id=look(world), result={"status": "ready"})
    world.session.ask(Call(), 0.0)
    assert len(calls(world.take())) == 1


def test_a_late_answer_that_it_stays_does_not_unsay_that_it_goes() -> None:
    world = connected()
    refuse(world, asked(world), "draining")
    question = look(world)
    world.say(method="node.draining", id="$/end")
    world.say(id=question, result={"status": "ready"})
    world.take()
    world.session.ask(Call(), 0.0)
    assert calls(world.take()) == []


def test_what_waited_for_a_connection_is_not_sent_to_a_node_that_goes_down_at_once() -> None:
    world = World()
    call, word = Call(), Asked()
    for request in (call, word):
        world.session.ask(request, 0.0)
    world.connect()
    world.say(method="node.draining", id="$/end")
    world.take()
    world.session.flush(1.0)
    assert [message["id"] for message in world.take()] == [word.number]
    world.session.disconnected("4503")
    world.connect()
    world.session.flush(2.0)
    assert [message["id"] for message in world.take()] == [call.number]
    assert call.outcomes == 0


def test_what_waits_for_a_node_that_stays_ends_with_its_patience_or_its_deadline() -> None:
    world = connected(patience_s=3.0)
    world.say(method="node.draining", id="$/end")
    short, long = Call(Terms(1.0)), Call()
    for call in (short, long):
        world.session.ask(call, 0.0)
    world.session.expire(1.0)
    assert [error.code for error in short.errors] == ["draining"]
    assert long.outcomes == 0
    world.session.expire(3.0)
    assert [(error.code, error.delivered) for error in long.errors] == [("draining", "no")]


def test_the_next_connection_is_to_a_node_that_is_asked_anew() -> None:
    world = connected()
    world.say(method="node.draining", id="$/end")
    world.session.disconnected("4503")
    world.connect()
    world.take()
    world.session.ask(Call(), 0.0)
    assert len(calls(world.take())) == 1


def test_calls_that_wait_have_the_next_connection_made_soon() -> None:
    world = World()
    assert world.session.awaited_s > PATIENCE_S
    world.session.ask(Call(), 0.0)
    assert world.session.awaited_s == PATIENCE_S / 2


def test_the_other_client_is_as_patient() -> None:
    source = (ROOT / "clients/js/src/patience.ts").read_text("utf-8")
    told = {name: int(text.replace("_", "")) for name, text in re.findall(r"const (\w+) = ([\d_]+);", source)}
    assert told == {
        "PATIENCE_MS": PATIENCE_S * 1000,
        "RESTING_LIMIT": RESTING_CALLS,
        "FIRST_PAUSE_MS": FIRST_PAUSE_S * 1000,
        "LONGEST_PAUSE_MS": LONGEST_PAUSE_S * 1000,
    }
    waits = {code: int(text.replace("_", "")) for code, text in re.findall(r'\["(\w+)", ([\d_]+)\]', source)}
    kinds = (Draining, Recovering, PeerUnreachable)
    assert waits == {kind.code: (kind.retry_after_s or 0) * 1000 for kind in kinds}
