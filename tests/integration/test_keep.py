"""A ``json-rpc-2.0`` lambda whose socket ends and comes back, on a socket of its own and on a shared one.

Nothing is sent twice; what was sent and kept is answered by whoever comes back; what came meanwhile is sent then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import pytest

from tests.integration.calling import call
from tests.integration.reopening import KEY_HEADER, refusal
from tests.json_rpc_2 import Client2, Message, Provider2, calling
from tests.nodes import Node, until
from tests.wire import Closing, RawHttp, refused

StartNode = Callable[..., Node]

GRACE_S = 5.0


class Own(Closing):
    """A lambda on a socket of its own. ``pending`` is what the node said of its open calls."""

    id: str
    key: str
    pending: list[int]

    def __init__(
        self, node: Node, grace_s: float = GRACE_S, before: Own | None = None, keep: tuple[int, ...] = ()
    ) -> None:
        self.node = node
        self.grace_s = grace_s
        target = f"/lambda/new?grace={grace_s}"
        if before is not None:
            target = f"/lambda/new/{before.id}?key={before.key}&grace={grace_s}"
        self.talking = Provider2(node, target)
        self.id, self.key, self.pending = self.talking.id, self.talking.key, self.talking.opened["pending"]
        self.talking.accept({"meta": True, "keep": list(keep)})
        # What it holds and nobody waits for any more is cancelled.
        for number in keep:
            if number not in self.pending:
                cancel = self.talking.next()
                assert (cancel["method"], cancel["params"]) == ("$/cancelRequest", {"id": number})

    @staticmethod
    def number(call: Message) -> int:
        number: int = call["id"]
        return number

    def again(self, keep: tuple[int, ...] = (), node: Node | None = None) -> Self:
        """Come back, still holding ``keep``."""
        return type(self)(node or self.node, self.grace_s, self, keep)

    def close(self) -> None:
        self.talking.close()


class Shared(Own):
    """The same on a `/connect` socket."""

    def __init__(
        self, node: Node, grace_s: float = GRACE_S, before: Own | None = None, keep: tuple[int, ...] = ()
    ) -> None:
        self.node = node
        self.grace_s = grace_s
        self.talking: Client2 = Client2(node)  # type: ignore[assignment] # the other kind of socket
        params: dict[str, object] = {"grace_s": grace_s}
        if before is not None:
            params |= {"id": before.id, "key": before.key, "keep": list(keep)}
        opened = self.talking.open_lambda(**params)
        self.id, self.key, self.pending = opened["id"], opened["resume_key"], opened["pending"]

    @staticmethod
    def number(call: Message) -> int:
        return int(call["id"].partition(".")[2])


KINDS = pytest.mark.parametrize("kind", [Own, Shared])


def waiting(provider: Own, how: str = "reset") -> None:
    """End the provider's socket, without a word or with a code; return when its lambda waits."""
    ws = provider.talking.ws
    if how == "reset":
        ws.http.reset()
    elif how == "fin":
        ws.http.close()
    else:
        ws.send_close(int(how))
        ws.close_code()
    shown = f"/lambda/{provider.id}"
    until(lambda: provider.node.fetch("GET", shown).json().get("state") == "waiting", "the lambda waits")


def works(provider: Own) -> bool:
    """Whether a call comes here, and back."""
    with calling(provider.node, provider.id, "works") as caller:
        provider.talking.answer(provider.talking.call("works"), "here")
        return bool(caller.answer().json() == "here")


def held_back(node: Node, lambda_id: str, method: str = "m") -> RawHttp:
    """A caller whose call waits."""
    caller = calling(node, lambda_id, method)
    assert caller.quiet(for_s=0.05)
    return caller


@KINDS
@pytest.mark.parametrize("how", ["reset", "fin", "1001", "3000"])
def test_kept_calls_are_answered_and_those_of_the_gap_are_sent(node: Node, kind: type[Own], how: str) -> None:
    first = kind(node)
    with calling(node, first.id, "one") as one, calling(node, first.id, "two") as two:
        held = [first.talking.call("one"), first.talking.call("two")]
        assert [kind.number(message) for message in held] == [1, 2]
        waiting(first, how)
        with held_back(node, first.id, "three") as three, first.again(keep=(1, 2)) as second:
            assert second.pending == [1, 2]
            late = second.talking.call("three")
            assert kind.number(late) == 3
            second.talking.answer(held[1], "b")
            assert two.answer().json() == "b"
            second.talking.answer(late, "c")
            assert three.answer().json() == "c"
            second.talking.answer(held[0], "a")
            assert one.answer().json() == "a"
            second.talking.settle()
            assert works(second)


@KINDS
def test_what_is_not_kept_is_lost_at_once(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    with calling(node, first.id, "one") as one, calling(node, first.id, "two") as two:
        held = [first.talking.call("one"), first.talking.call("two")]
        waiting(first)
        assert one.quiet(for_s=0.1)
        with first.again(keep=(2,)) as second:
            assert refused(one.answer(), 502, "lambda_lost").delivered == "unknown"
            second.talking.answer(held[0], "too late")
            second.talking.answer(held[1], "b")
            assert two.answer().json() == "b"
            assert works(second)


@pytest.mark.parametrize("result", ["ok", None, 7, {"keep": [1]}, {"meta": False}], ids=str)
def test_a_plain_answer_keeps_only_what_it_names(node: Node, result: object) -> None:
    first = Own(node)
    with calling(node, first.id) as caller:
        held = first.talking.call()
        waiting(first)
        with Provider2(node, f"/lambda/new/{first.id}?key={first.key}") as second:
            assert second.opened["pending"] == [1]
            second.accept(result if result is not None else "ok")
            if result == {"keep": [1]}:
                second.answer(held, "kept")
                assert caller.answer().json() == "kept"
            else:
                assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"


@KINDS
def test_a_takeover_hands_the_calls_over(node: Node, kind: type[Own]) -> None:
    """The first socket is still there: the second has the lambda when it has answered."""
    with kind(node) as first, calling(node, first.id, "one") as one, calling(node, first.id, "two") as two:
        first.talking.call("one")
        held = first.talking.call("two")
        with first.again(keep=(2,)) as second:
            assert second.pending in ([1, 2], [2])
            assert refused(one.answer(), 502, "lambda_lost").delivered == "unknown"
            second.talking.answer(held, "from the second")
            assert two.answer().json() == "from the second"
            assert works(second)


@KINDS
def test_a_stream_is_never_kept(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    with calling(node, first.id, headers=[("Accept", "text/event-stream")]) as caller:
        call = first.talking.call()
        first.talking.item(call, 0)
        assert caller.head().status == 200
        assert caller.chunk() == b"data: 0\n\n"
        waiting(first)
        assert b'"lambda_lost"' in caller.chunk()
        assert caller.chunk() == b""
        with first.again(keep=(1,)) as second:
            assert second.pending == []
            second.talking.item(call, 1)
            assert works(second)


@KINDS
def test_a_stream_that_waits_begins_when_the_provider_is_back(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    waiting(first)
    with calling(node, first.id, headers=[("Accept", "text/event-stream")]) as caller, first.again() as second:
        call = second.talking.call()
        assert (call["meta"]["stream"], call["meta"]["credit"]) == (True, 16)
        second.talking.item(call, 0)
        second.talking.answer(call, None)
        assert caller.answer().body == b"data: 0\n\nevent: result\ndata: null\n\n"


@KINDS
def test_deadlines_pass_in_the_gap(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    began_at = time.monotonic()
    with calling(node, first.id, "sent?timeout=1") as sent:
        call = first.talking.call("sent")
        waiting(first)
        with calling(node, first.id, "waits?timeout=0.5") as waits:
            assert refused(waits.answer(), 504, "timeout").delivered == "no"
        assert refused(sent.answer(), 504, "timeout").delivered == "unknown"
        assert time.monotonic() - began_at >= 1.0
        with first.again(keep=(1,)) as second:
            assert second.pending == []
            second.talking.answer(call, "late")
            assert works(second)


@KINDS
def test_what_waited_is_sent_with_the_time_that_is_left(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    waiting(first)
    with held_back(node, first.id, "m?timeout=5") as caller, first.again() as second:
        call = second.talking.call()
        assert 0 < call["meta"]["deadline_ms"] < 5000
        second.talking.answer(call)
        assert caller.answer().status == 200


@KINDS
def test_callers_that_leave_in_the_gap_are_forgotten(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    sent = calling(node, first.id, "sent")
    first.talking.call("sent")
    waiting(first)
    waits = held_back(node, first.id, "waits")
    sent.close()
    waits.close()
    with held_back(node, first.id, "last") as last, first.again() as second:
        assert second.pending == []
        second.talking.answer(second.talking.call("last"), 1)
        assert last.answer().json() == 1


@KINDS
@pytest.mark.parametrize("how", ["leaves", "deadline"])
def test_a_kept_call_is_cancelled_where_it_is_now(node: Node, kind: type[Own], how: str) -> None:
    first = kind(node)
    with calling(node, first.id, "m?timeout=1" if how == "deadline" else "m") as caller:
        call = first.talking.call()
        waiting(first)
        with first.again(keep=(1,)) as second:
            if how == "leaves":
                caller.close()
            assert second.talking.cancelled() == call["id"]
            if how == "deadline":
                assert refused(caller.answer(), 504, "timeout").delivered == "unknown"
            second.talking.answer(call, "late")
            assert works(second)


def test_a_lambda_is_opened_again_on_the_same_socket(node: Node) -> None:
    """Its client is told of no end, and keeps what it names."""
    with Shared(node) as shared, calling(node, shared.id, "one") as one, calling(node, shared.id, "two") as two:
        talking = shared.talking
        talking.call("one")
        held = talking.call("two")
        assert isinstance(talking, Client2)
        opened = talking.open_lambda(id=shared.id, key=shared.key, keep=[2])
        assert (opened["id"], opened["pending"]) == (shared.id, [2])
        assert refused(one.answer(), 502, "lambda_lost").delivered == "unknown"
        talking.answer(held, "b")
        assert two.answer().json() == "b"
        assert works(shared)


@KINDS
def test_the_grace_ends(node: Node, kind: type[Own]) -> None:
    first = kind(node, grace_s=0.6)
    with calling(node, first.id, "sent") as sent:
        first.talking.call("sent")
        began_at = time.monotonic()
        waiting(first)
        with held_back(node, first.id, "waits") as waits:
            assert refused(waits.answer(), 410, "lambda_gone").delivered == "no"
            assert refused(sent.answer(), 502, "lambda_lost").delivered == "unknown"
        assert time.monotonic() - began_at >= 0.6
    refused(node.fetch("GET", f"/lambda/{first.id}"), 410, "lambda_gone")
    # The key still opens it, as that of a lambda that has closed.
    with first.again() as second:
        assert second.pending == []
        assert works(second)


@KINDS
def test_a_close_with_1000_has_no_grace(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    with calling(node, first.id) as caller:
        first.talking.call()
        first.talking.ws.send_close(1000)
        first.talking.ws.close_code()
        assert refused(caller.answer(), 502, "lambda_lost").delivered == "unknown"
    refused(call(node, first.id), 410, "lambda_gone")


@KINDS
def test_it_may_come_and_go_often(node: Node, kind: type[Own]) -> None:
    provider = kind(node)
    with calling(node, provider.id, "patient") as caller:
        held = provider.talking.call("patient")
        for _ in range(5):
            waiting(provider)
            provider = provider.again(keep=(1,))
            assert provider.pending == [1]
            assert works(provider)
        provider.talking.answer(held, "after all")
        assert caller.answer().json() == "after all"
    with calling(node, provider.id) as caller:
        assert kind.number(provider.talking.call()) == 7
    provider.close()


@KINDS
def test_no_call_is_sent_twice(node: Node, kind: type[Own]) -> None:
    first = kind(node)
    callers = [calling(node, first.id, f"m{number}") for number in range(20)]
    seen = [first.talking.call(f"m{number}")["id"] for number in range(20)]
    waiting(first)
    callers += [held_back(node, first.id, f"m{number}") for number in range(20, 25)]
    with first.again(keep=tuple(range(1, 21))) as second:
        seen += [second.talking.call(f"m{number}")["id"] for number in range(20, 25)]
        second.talking.settle()
        assert [kind.number({"id": one}) for one in seen] == list(range(1, 26))
        for one in seen:
            second.talking.send(id=one, result=one)
        assert [caller.answer().json() for caller in callers] == seen
    for caller in callers:
        caller.close()


@KINDS
def test_a_key_outlives_the_node(start_node: StartNode, kind: type[Own]) -> None:
    own = start_node()
    first = kind(own)
    with calling(own, first.id) as caller:
        first.talking.call()
        own.kill()
        assert caller.rest() == b""
    again = start_node(state=own.state)
    refused(call(again, first.id), 503, "recovering")
    with first.again(keep=(1,), node=again) as second:
        assert (second.id, second.pending) == (first.id, [])
        assert works(second)


def test_the_key_is_in_open_and_not_in_the_head(node: Node) -> None:
    with Provider2(node) as provider:
        assert provider.ws.handshake.header(KEY_HEADER) is None
        assert provider.opened["grace_s"] == 15.0
        provider.accept()
        assert refusal(node, f"/lambda/new/{provider.id}", subprotocols=("json-rpc-2.0",)) == (403, "forbidden")
        provider.settle()


def test_a_key_travels_as_a_subprotocol_too(node: Node) -> None:
    with Provider2(node) as first:
        first.accept().ws.http.reset()
        entries = [("Sec-WebSocket-Protocol", f"key.{first.key}")]
        with Provider2(node, f"/lambda/new/{first.id}", headers=entries) as second:
            assert second.id == first.id
            assert second.opened["resume_key"]
