"""The connection is lost and made again: lambdas keep their ids, calls wait or are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import lambdamesh
from lambdamesh import Mesh, State
from tests.integration.client.proxy import Proxy, proxy_to
from tests.integration.client.states import States
from tests.nodes import Node, until


async def echo(body: Any) -> Any:
    return {"echo": body}


@pytest.fixture
def states() -> States:
    return States()


@pytest.fixture
async def cut_off(proxy: Proxy, states: States) -> AsyncIterator[Mesh]:
    """A client behind the proxy."""
    async with lambdamesh.connect(proxy.url, on_state=states) as mesh:
        yield mesh


async def test_a_lambda_keeps_its_id(proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh) -> None:
    fn = await cut_off.expose({"test": echo})
    fn_id = fn.id
    proxy.cut()
    await states.wait(State.OPEN, 2)
    assert fn.id == fn_id
    assert await mesh.call(fn_id, "test", 1) == {"echo": 1}
    assert states.seen[:2] == [State.CONNECTING, State.OPEN]
    assert State.WAITING in states.seen


async def test_a_call_survives(proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    runs = []

    async def slow(body: Any) -> Any:
        runs.append(body)
        began.set()
        await go_on.wait()
        return body

    fn = await cut_off.expose({"slow": slow})
    calling = asyncio.create_task(mesh.call(fn.id, "slow", "once"))
    await asyncio.wait_for(began.wait(), 5.0)
    proxy.cut()
    await states.wait(State.OPEN, 2)
    go_on.set()
    assert await asyncio.wait_for(calling, 5.0) == "once"
    assert runs == ["once"]


async def test_an_answer_from_while_it_was_away_is_sent(
    proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh
) -> None:
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(body: Any) -> Any:
        began.set()
        await go_on.wait()
        ended.set()
        return body

    fn = await cut_off.expose({"slow": slow})
    calling = asyncio.create_task(mesh.call(fn.id, "slow", "kept"))
    await asyncio.wait_for(began.wait(), 5.0)
    proxy.cut(shut=True)
    await states.wait(State.WAITING)
    go_on.set()
    await asyncio.wait_for(ended.wait(), 5.0)
    proxy.is_shut = False
    assert await asyncio.wait_for(calling, 20.0) == "kept"


async def test_calls_for_a_lambda_that_is_away_wait_for_it(node: Node, proxy: Proxy, cut_off: Mesh, mesh: Mesh) -> None:
    fn = await cut_off.expose({"test": echo})
    proxy.cut(shut=True)

    def is_waiting() -> bool:
        return bool(node.fetch("GET", f"/lambda/{fn.id}").json()["state"] == "waiting")

    await asyncio.to_thread(until, is_waiting, "the node has seen that it is away")
    calling = asyncio.create_task(mesh.call(fn.id, "test", 1))
    proxy.is_shut = False
    assert await asyncio.wait_for(calling, 20.0) == {"echo": 1}


async def test_calls_made_while_away_wait(proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    proxy.cut(shut=True)
    await states.wait(State.WAITING)
    with pytest.raises(lambdamesh.CallTimeout) as raised:
        await cut_off.call(fn.id, "test", 1, timeout=0.05)
    assert raised.value.delivered == "no"
    calling = asyncio.create_task(cut_off.call(fn.id, "test", 2))
    notifying = asyncio.create_task(cut_off.notify(fn.id, "test", 3))
    proxy.is_shut = False
    assert await asyncio.wait_for(calling, 20.0) == {"echo": 2}
    await asyncio.wait_for(notifying, 5.0)


async def test_a_lambda_that_is_exposed_while_away(proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh) -> None:
    proxy.cut(shut=True)
    await states.wait(State.WAITING)
    exposing = asyncio.create_task(cut_off.expose({"test": echo}))
    proxy.is_shut = False
    fn = await asyncio.wait_for(exposing, 20.0)
    assert await mesh.call(fn.id, "test", 1) == {"echo": 1}


async def test_calls_in_flight_are_lost(proxy: Proxy, cut_off: Mesh, mesh: Mesh) -> None:
    began = asyncio.Event()

    async def wait() -> None:
        began.set()
        await asyncio.Event().wait()

    fn = await mesh.expose({"wait": wait})
    calling = asyncio.create_task(cut_off.call(fn.id, "wait"))
    await asyncio.wait_for(began.wait(), 5.0)
    proxy.cut()
    with pytest.raises(lambdamesh.LambdaLost) as raised:
        await asyncio.wait_for(calling, 5.0)
    assert raised.value.delivered == "unknown"


async def test_a_stream_ends_with_its_socket(proxy: Proxy, cut_off: Mesh, mesh: Mesh) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    fn = await cut_off.expose({"endless": endless})
    stream = mesh.stream(fn.id, "endless")
    assert await anext(stream) == 1
    proxy.cut()
    with pytest.raises(lambdamesh.LambdaLost):
        await asyncio.wait_for(anext(stream), 5.0)
    await asyncio.wait_for(closed.wait(), 5.0)


async def test_a_call_that_ended_while_away_is_cancelled(
    proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh
) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    fn = await cut_off.expose({"wait": wait})
    calling = asyncio.create_task(mesh.call(fn.id, "wait", timeout=0.3))
    await asyncio.wait_for(began.wait(), 5.0)
    proxy.cut(shut=True)
    with pytest.raises(lambdamesh.CallTimeout):
        await calling
    assert not cancelled.is_set()
    proxy.is_shut = False
    await asyncio.wait_for(cancelled.wait(), 20.0)


async def test_a_lambda_that_is_gone_is_told_and_the_others_go_on(
    node: Node, proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh
) -> None:
    gone, stays = await cut_off.expose({"test": echo}), await cut_off.expose({"test": echo})
    proxy.cut(shut=True)
    await states.wait(State.WAITING)
    await asyncio.to_thread(node.fetch, "DELETE", f"/lambda/{gone.id}")
    proxy.is_shut = False
    end = await asyncio.wait_for(gone.wait_ended(), 20.0)
    assert end.reason
    assert stays.end is None
    assert await mesh.call(stays.id, "test", 1) == {"echo": 1}


async def test_a_node_that_restarts(start_node: Any, states: States, tmp_path: Any) -> None:
    first = start_node(state=tmp_path / "state")
    async with lambdamesh.connect(first.url, on_state=states) as mesh:
        fn = await mesh.expose({"test": echo})
        fn_id = fn.id
        await asyncio.to_thread(first.kill)
        await states.wait(State.WAITING)
        await asyncio.to_thread(start_node, state=tmp_path / "state", local=first.authority)
        await states.wait(State.OPEN, 2, within_s=30.0)
        assert await mesh.call(fn_id, "test", 1) == {"echo": 1}
        assert fn.end is None


async def test_a_node_that_drains(start_node: Any, states: States, tmp_path: Any) -> None:
    node = start_node(state=tmp_path / "state")
    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        await mesh.expose({"test": echo})
        await asyncio.to_thread(node.stop)
        await states.wait(State.WAITING)


async def test_many_lambdas_come_back(proxy: Proxy, cut_off: Mesh, states: States, mesh: Mesh) -> None:
    exposed = [await cut_off.expose({"test": echo}) for _ in range(300)]
    proxy.cut()
    await states.wait(State.OPEN, 2)
    results = await asyncio.gather(*(mesh.call(fn.id, "test", number) for number, fn in enumerate(exposed)))
    assert results == [{"echo": number} for number in range(300)]


async def test_a_deaf_connection_is_found(node: Node, states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdamesh.client.reconnector.SILENCE_S", 0.2)
    monkeypatch.setattr("lambdamesh.client.reconnector.PATIENCE_S", 0.2)
    async with proxy_to(node.port) as proxy, lambdamesh.connect(proxy.url, on_state=states) as mesh:
        proxy.is_deaf = True
        await states.wait(State.WAITING)
        proxy.is_deaf = False
        await states.wait(State.OPEN, 2)
        assert proxy.connections >= 2
        fn = await mesh.expose({"test": echo})
        assert await mesh.call(fn.id, "test", 1) == {"echo": 1}


async def test_every_call_ends_once_while_connections_are_cut_again_and_again(node: Node) -> None:
    runs: list[int] = []
    ended = asyncio.Semaphore(0)
    outcomes: dict[int, str] = {}

    async def work(number: int) -> int:
        runs.append(number)
        await asyncio.sleep(number % 7 / 1000)
        return number

    async with (
        proxy_to(node.port) as near,
        proxy_to(node.port) as far,
        lambdamesh.connect(far.url) as provider,
        lambdamesh.connect(near.url) as caller,
    ):
        fn = await provider.expose({"work": work})

        async def call(numbers: range) -> None:
            for number in numbers:
                try:
                    assert await caller.call(fn.id, "work", number, timeout=10) == number
                    outcomes[number] = "yes"
                except lambdamesh.CallError as error:
                    outcomes[number] = error.delivered
                ended.release()

        calling = asyncio.gather(*(call(range(first, first + 100)) for first in range(0, 1600, 100)))
        for turn in range(8):
            for _ in range(50):  # others are under way by then
                await ended.acquire()
            (near, far)[turn % 2].cut()
        await asyncio.wait_for(calling, 60.0)
        assert await caller.call(fn.id, "work", 1) == 1
    assert sorted(outcomes) == list(range(1600))
    assert len(runs) - 1 == len(set(runs))
    assert {number for number, delivered in outcomes.items() if delivered == "no"}.isdisjoint(runs)
    assert "yes" in outcomes.values()
