"""Calls that nobody was given, because a node goes down, is away or has just started, wait until they can be."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lambdamesh
from lambdamesh import Mesh, State
from tests.integration.client.proxy import proxy_to
from tests.integration.client.states import States
from tests.nodes import Node, until

StartNode = Callable[..., Node]
SOON_S = 20.0


class Work:
    """A function that counts its runs, and can be held up."""

    def __init__(self) -> None:
        self.runs: list[Any] = []
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def quick(self, body: Any) -> Any:
        self.runs.append(body)
        return body

    async def slow(self, body: Any) -> Any:
        self.runs.append(body)
        self.began.set()
        await self.may_end.wait()
        return body


@pytest.fixture
def own(start_node: StartNode, tmp_path: Path) -> Node:
    return start_node(state=tmp_path / "state", drain_spread_s=0.1, close_timeout_s=1.0)


async def again(start_node: StartNode, node: Node) -> Node:
    """Start a node that has ended again."""
    return await asyncio.to_thread(start_node, state=node.state, local=node.authority, **node.settings)


async def drains(node: Node) -> None:
    await asyncio.to_thread(until, lambda: node.fetch("GET", "/readyz").status == 503, "the node drains")


async def test_a_call_waits_for_a_provider_that_is_on_its_way_back(own: Node, start_node: StartNode) -> None:
    work, states = Work(), States()
    async with (
        proxy_to(own.port) as proxy,
        lambdamesh.connect(proxy.url) as provider,
        lambdamesh.connect(own.url, on_state=states) as patient,
    ):
        fn = await provider.expose(work, only=["quick"])
        proxy.cut(shut=True)
        await asyncio.to_thread(own.kill)
        await again(start_node, own)
        await states.wait(State.OPEN, 2)
        calling = asyncio.create_task(patient.call(fn.id, "quick", 1, timeout=SOON_S))
        async with lambdamesh.connect(own.url, patience_s=0) as hasty:
            with pytest.raises(lambdamesh.Recovering) as raised:
                await hasty.call(fn.id, "quick", 2)
        assert raised.value.delivered == "no"
        with pytest.raises(lambdamesh.Recovering):
            await patient.call(fn.id, "quick", 3, timeout=0.9)
        assert not calling.done()
        proxy.is_shut = False
        assert await asyncio.wait_for(calling, SOON_S) == 1
    assert work.runs == [1]


async def test_a_call_waits_while_its_own_node_restarts(own: Node, start_node: StartNode) -> None:
    work = Work()
    async with lambdamesh.connect(own.url) as provider, lambdamesh.connect(own.url) as caller:
        fn = await provider.expose(work, only=["quick", "slow"])
        before = asyncio.create_task(caller.call(fn.id, "slow", "before"))
        await asyncio.wait_for(work.began.wait(), 5.0)
        own.signal(signal.SIGTERM)
        await drains(own)
        during = [asyncio.create_task(caller.call(fn.id, "quick", number)) for number in range(5)]
        await asyncio.to_thread(until, lambda: caller._session.is_left, "the client knows that its node goes down")
        work.may_end.set()
        async with asyncio.timeout(SOON_S):
            assert await before == "before"
            assert await asyncio.to_thread(own.wait, SOON_S) == 0
            await again(start_node, own)
            assert await asyncio.gather(*during) == list(range(5))
    assert sorted(work.runs, key=str) == [0, 1, 2, 3, 4, "before"]


async def test_a_notification_is_not_sent_to_a_node_that_goes_down(own: Node, start_node: StartNode) -> None:
    work = Work()
    async with lambdamesh.connect(own.url) as provider, lambdamesh.connect(own.url, patience_s=SOON_S) as caller:
        fn = await provider.expose(work, only=["quick", "slow"])
        before = asyncio.create_task(caller.call(fn.id, "slow", "before"))
        await asyncio.wait_for(work.began.wait(), 5.0)
        own.signal(signal.SIGTERM)
        await drains(own)
        asked = asyncio.create_task(caller.call(fn.id, "quick", "asked"))
        await asyncio.to_thread(until, lambda: caller._session.is_left, "the client knows that its node goes down")
        telling = asyncio.create_task(caller.notify(fn.id, "quick", "told"))
        await asyncio.wait({telling}, timeout=0.2)
        assert not telling.done()
        work.may_end.set()
        async with asyncio.timeout(SOON_S):
            assert await before == "before"
            assert await asyncio.to_thread(own.wait, SOON_S) == 0
            assert not telling.done()
            await again(start_node, own)
            await telling
            assert await asked == "asked"


async def test_a_stream_waits_before_its_first_item(own: Node, start_node: StartNode) -> None:
    async def count(to: int) -> Any:
        for number in range(to):
            yield number

    states = States()
    async with (
        proxy_to(own.port) as proxy,
        lambdamesh.connect(proxy.url) as provider,
        lambdamesh.connect(own.url, on_state=states) as caller,
    ):
        fn = await provider.expose({"count": count})
        proxy.cut(shut=True)
        await asyncio.to_thread(own.kill)
        await again(start_node, own)
        await states.wait(State.OPEN, 2)
        stream = caller.stream(fn.id, "count", 3)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.wait({first}, timeout=0.2)
        assert not first.done()
        proxy.is_shut = False
        assert [await asyncio.wait_for(first, SOON_S), *[item async for item in stream]] == [0, 1, 2]


async def test_a_call_that_is_cancelled_stops_trying(own: Node, start_node: StartNode) -> None:
    work, states = Work(), States()
    async with (
        proxy_to(own.port) as proxy,
        lambdamesh.connect(proxy.url) as provider,
        lambdamesh.connect(own.url, on_state=states) as caller,
    ):
        fn = await provider.expose(work, only=["quick"])
        proxy.cut(shut=True)
        await asyncio.to_thread(own.kill)
        await again(start_node, own)
        await states.wait(State.OPEN, 2)
        calling = asyncio.create_task(caller.call(fn.id, "quick", "cancelled"))
        await asyncio.wait({calling}, timeout=0.2)
        assert calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        proxy.is_shut = False
        assert await caller.call(fn.id, "quick", "behind it", timeout=SOON_S) == "behind it"
    assert work.runs == ["behind it"]


async def test_other_refusals_are_told_at_once(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": Work().quick})
    await fn.close()
    async with asyncio.timeout(0.9):  # the first pause alone is longer
        with pytest.raises(lambdamesh.LambdaGone):
            await mesh.call(fn.id, "test")
        with pytest.raises(lambdamesh.LambdaNotFound):
            await mesh.call("rhowRuuCUoE5vlcA", "test")


async def test_the_client_closes_while_a_call_rests(own: Node, start_node: StartNode) -> None:
    states = States()
    provider = await lambdamesh.connect(own.url)
    fn = await provider.expose({"test": Work().quick})
    await asyncio.to_thread(own.kill)
    await provider.close()
    await again(start_node, own)
    caller = await lambdamesh.connect(own.url, on_state=states)
    calling = asyncio.create_task(caller.call(fn.id, "test"))
    await asyncio.wait({calling}, timeout=0.2)
    await caller.close()
    with pytest.raises(lambdamesh.ClientClosed) as raised:
        await asyncio.wait_for(calling, 0.5)
    assert raised.value.delivered == "no"


def test_the_blocking_client_takes_it_too(node: Node) -> None:
    with lambdamesh.sync.connect(node.url, patience_s=0.5) as mesh:
        assert mesh.aio._session.patience_s == 0.5


@pytest.mark.parametrize("patience_s", [-1, float("inf"), float("nan")])
def test_what_is_no_patience(patience_s: float) -> None:
    with pytest.raises(ValueError, match="patience_s"):
        lambdamesh.connect(patience_s=patience_s)
