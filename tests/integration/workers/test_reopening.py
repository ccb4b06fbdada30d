"""Re-opening on any worker: the home decides, whichever worker the new socket has come to."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.integration.reopening import KEY_HEADER, refusal, spoiled
from tests.integration.workers.conftest import SHARED
from tests.integration.workers.crew import (
    client_at,
    entry,
    home_of,
    moved_to,
    provider_2_at,
    provider_at,
    worker_of,
)
from tests.json_rpc_2 import Provider2
from tests.lambda_ids import NEEDS_KEY, Id, parse
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, refused, request

TRIES = 12
"""So many connections come to more than one worker, all but surely."""
OTHERS = [(0, 1), (1, 2), (2, 0)]


def works(node: Node, provider: Provider2) -> None:
    """Check that calls from every worker come to it."""
    for worker in range(SHARED):
        with entry(node, worker) as http:
            http.send(request("POST", f"/lambda/{provider.id}/m", b"1"))
            provider.answer(provider.call(), worker)
            assert http.answer().json() == worker


@pytest.mark.parametrize(("home", "holder"), OTHERS)
def test_a_lambda_moves_to_another_worker_and_back(trio: Node, home: int, holder: int) -> None:
    with provider_2_at(trio, home) as first, moved_to(holder, first) as second:
        assert (second.id, home_of(second.id, SHARED)) == (first.id, home)
        works(trio, second)
        assert list(trio.fetch("GET", "/lambda").json()).count(first.id) == 1
        with moved_to(home, second) as last:
            works(trio, last)


@pytest.mark.parametrize(("home", "holder"), OTHERS)
def test_calls_go_on_over_a_move_and_their_numbers_too(trio: Node, home: int, holder: int) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(provider_2_at(trio, home))
        callers = [stack.enter_context(entry(trio, worker)) for worker in range(SHARED)]
        held = []
        for number, caller in enumerate(callers, 1):
            caller.send(request("POST", f"/lambda/{first.id}/m", b"%d" % number))
            held.append(first.call())
            assert held[-1]["id"] == number
        second = stack.enter_context(moved_to(holder, first, (1, 2)))
        assert refused(callers[2].answer(), 502, "lambda_lost").delivered == "unknown"
        for caller, call in zip(callers[:2], held, strict=False):
            second.answer(call, call["params"][0])
            assert caller.answer().json() == call["params"][0]
        callers[2].send(request("POST", f"/lambda/{first.id}/m", b"4"))
        call = second.call()
        assert (call["id"], call["params"]) == (4, [4])
        second.answer(call)
        assert callers[2].answer().status == 200


@pytest.mark.parametrize(("home", "holder"), OTHERS)
def test_calls_wait_through_the_grace_wherever_it_ends(trio: Node, home: int, holder: int) -> None:
    with provider_2_at(trio, home, "/lambda/new?grace=30") as first, entry(trio, (home + 1) % SHARED) as caller:
        first.ws.http.reset()
        until(lambda: trio.fetch("GET", f"/lambda/{first.id}").json().get("state") == "waiting", "it waits")
        caller.send(request("POST", f"/lambda/{first.id}/m", b"7"))
        until(lambda: b"lambdamesh_calls_in_flight 0.0" not in trio.fetch("GET", "/metrics").body, "the call waits")
        second = first.again()
        call = second.call()
        second.answer(call, call["params"])
        assert caller.answer().json() == [7]
        with moved_to(holder, second) as last:
            works(trio, last)
            last.ws.send_close(1000)
            until(lambda: trio.fetch("GET", f"/lambda/{first.id}").status == 410, "it is gone")


def test_the_key_in_the_head_of_1_0_is_right_at_any_worker(trio: Node) -> None:
    with ExitStack() as stack:
        last = stack.enter_context(Provider(trio.address).accept())
        lambda_id, seen = last.id, {worker_of(last.ws.handshake)}
        for _ in range(TRIES):
            how = [(KEY_HEADER, last.key)]
            again = stack.enter_context(Provider(trio.address, f"/lambda/new/{lambda_id}", headers=how)).accept()
            assert last.ws.close_code() == 4409
            last = again
            seen.add(worker_of(last.ws.handshake))
        assert len(seen) > 1
        with RawHttp(trio.address) as http:
            http.send(request("POST", f"/lambda/{lambda_id}/m", b"1"))
            last.answer(last.next_call(), b'"here"')
            assert http.answer().json() == "here"


def test_a_wrong_key_is_refused_by_every_worker_and_the_owner_notices_nothing(trio: Node) -> None:
    with provider_2_at(trio, 1) as mine, provider_2_at(trio, 1) as foreign:
        for key in (*spoiled(mine.key)[:4], foreign.key):
            for _ in range(4):
                assert refusal(trio, f"/lambda/new/{mine.id}?key={key}", subprotocols=("json-rpc-2.0",))[0] == 403
        works(trio, mine)


def test_without_a_key_nothing_that_is_held_waits_or_needs_one_is_given(trio: Node) -> None:
    with (
        provider_at(trio, 1) as held,
        provider_2_at(trio, 2) as needs,
        provider_at(trio, 0, "/lambda/new?grace=30") as waits,
    ):
        waits.ws.http.reset()
        until(lambda: trio.fetch("GET", f"/lambda/{waits.id}").json().get("state") == "waiting", "it waits")
        assert parse(needs.id).field & NEEDS_KEY
        for lambda_id in (held.id, needs.id, waits.id):
            for _ in range(TRIES // 2):
                assert refusal(trio, f"/lambda/new/{lambda_id}") == (403, "forbidden")
        assert trio.fetch("DELETE", f"/lambda/{waits.id}").status == 200
        future = Id(parse(held.id).machine, int(time.time() * 1000) + 60_000, field=1)
        assert refusal(trio, f"/lambda/new/{future}") == (403, "forbidden")


def test_without_a_key_one_that_has_ended_is_given_by_any_worker(trio: Node) -> None:
    with provider_at(trio, 1) as first:
        lambda_id = first.id
    seen = set()
    for _ in range(TRIES):
        until(lambda: trio.fetch("GET", f"/lambda/{lambda_id}").status == 410, "it is gone")
        with Provider(trio.address, f"/lambda/new/{lambda_id}").accept() as again:
            assert again.id == lambda_id
            seen.add(worker_of(again.ws.handshake))
    assert len(seen) > 1


def test_a_deleted_one_is_given_by_nobody(trio: Node) -> None:
    with provider_2_at(trio, 2) as first, moved_to(0, first) as second:
        with entry(trio, 1) as http:
            assert http.ask("DELETE", f"/lambda/{first.id}").status == 200
        assert second.ws.close_code() == 4410
        for _ in range(TRIES // 2):
            target = f"/lambda/new/{first.id}?key={second.key}"
            assert refusal(trio, target, subprotocols=("json-rpc-2.0",))[0] in (403, 404, 410)


def test_a_shared_socket_re_opens_what_another_worker_is_home_to(trio: Node) -> None:
    with provider_2_at(trio, 0) as first, client_at(trio, 2) as client:
        opened = client.open_lambda(id=first.id, key=first.key)
        assert opened["id"] == first.id
        assert first.ws.close_code() == 4409
        with entry(trio, 1) as http:
            http.send(request("POST", f"/lambda/{first.id}/m", b"3"))
            call = client.call()
            client.answer(call, "shared")
            assert http.answer().json() == "shared"
        assert client.result("lambda.close", {"id": first.id}) == {}
        until(lambda: trio.fetch("GET", f"/lambda/{first.id}").status == 410, "it is gone")


def test_of_many_that_re_open_at_once_one_has_it(trio: Node) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(provider_2_at(trio, 1))
        target = f"/lambda/new/{first.id}?key={first.key}&grace=0"
        rivals = [stack.enter_context(Provider2(trio, target)) for _ in range(8)]
        for rival in rivals:
            rival.send(id=0, result={"meta": True})
        assert first.ws.close_code() == 4409
        until(lambda: sum(rival.ws.http.quiet() for rival in rivals) == 1, "all but one have lost")
        [winner] = [rival for rival in rivals if rival.ws.http.quiet()]
        for rival in rivals:
            assert rival is winner or rival.ws.close_code() == 4409
        works(trio, winner)
