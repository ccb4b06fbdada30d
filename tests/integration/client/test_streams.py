"""Generators answer with many values, as far as their reader takes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import msgspec
import pytest

import lambdamesh
from lambdamesh import Mesh
from tests.nodes import Node


class Tick(msgspec.Struct):
    n: int


async def count(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


def count_in_a_thread(n: int) -> Iterator[int]:
    yield from range(n)


async def settled(mesh: Mesh, lambda_id: str, read: Callable[[], int], least: int) -> int:
    """What ``read`` returns once it is ``least``, and once other calls on the same way have gone there and back."""
    async with asyncio.timeout(10.0):
        while read() < least:
            await mesh.call(lambda_id, "rpc.discover")
    for _ in range(50):
        await mesh.call(lambda_id, "rpc.discover")
    return read()


@pytest.mark.parametrize("function", [count, count_in_a_thread])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
async def test_every_item_comes_once(mesh: Mesh, function: Any, n: int) -> None:
    fn = await mesh.expose({"count": function})
    assert [item async for item in mesh.stream(fn.id, "count", n)] == list(range(n))


@pytest.mark.parametrize("function", [count, count_in_a_thread])
async def test_a_plain_caller_gets_an_array(node: Node, mesh: Mesh, function: Any) -> None:
    fn = await mesh.expose({"count": function})
    assert await mesh.call(fn.id, "count", 40) == list(range(40))
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/count", b"3")
    assert answer.body == b"[0,1,2]"


async def test_what_a_generator_returns_is_the_result(mesh: Mesh) -> None:
    def count_and_sum(n: int) -> Generator[int, None, dict[str, int]]:
        yield from range(n)
        return {"sum": sum(range(n))}

    def fail() -> Generator[int, None, object]:
        yield 1
        return object()

    fn = await mesh.expose({"count": count_and_sum, "fail": fail})
    stream = mesh.stream(fn.id, "count", 40)
    assert [item async for item in stream] == list(range(40))
    assert stream.result == {"sum": 780}
    assert await mesh.call(fn.id, "count", 3) == [0, 1, 2]
    with pytest.raises(lambdamesh.LambdaError, match="the result of fail is not JSON"):
        _ = [item async for item in mesh.stream(fn.id, "fail")]


async def silent() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 1


async def test_a_stream_has_one_reader(mesh: Mesh) -> None:
    fn = await mesh.expose({"silent": silent})
    stream = mesh.stream(fn.id, "silent")
    first = asyncio.create_task(anext(stream, "over"))
    await asyncio.sleep(0)  # so that it waits
    with pytest.raises(RuntimeError, match="being read already"):
        await asyncio.wait_for(anext(stream), 5.0)
    await stream.aclose()
    assert await asyncio.wait_for(first, 5.0) == "over"
    assert await anext(stream, "over") == "over"


async def test_items_have_a_type(mesh: Mesh) -> None:
    async def ticks() -> AsyncIterator[Tick]:
        yield Tick(1)
        yield Tick(2)

    fn = await mesh.expose({"ticks": ticks})
    assert [tick async for tick in mesh.stream(fn.id, "ticks", type=Tick)] == [Tick(1), Tick(2)]


async def test_a_generator_is_not_advanced_beyond_its_credit(mesh: Mesh) -> None:
    made: list[int] = []

    async def endless() -> AsyncIterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    fn = await mesh.expose({"endless": endless})
    async with mesh.stream(fn.id, "endless") as stream:
        assert await anext(stream) == 0
        assert await settled(mesh, fn.id, lambda: len(made), 16) == 16
        for _ in range(8):
            await anext(stream)
        assert await settled(mesh, fn.id, lambda: len(made), 24) == 24


async def test_a_generator_in_a_thread_is_not_advanced_beyond_its_credit(mesh: Mesh) -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    fn = await mesh.expose({"endless": endless})
    async with mesh.stream(fn.id, "endless") as stream:
        assert await anext(stream) == 0
        assert await settled(mesh, fn.id, lambda: len(made), 16) == 16


async def test_leaving_the_loop_cancels_the_generator(mesh: Mesh) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    fn = await mesh.expose({"endless": endless})
    async for _ in mesh.stream(fn.id, "endless"):
        break
    await asyncio.wait_for(closed.wait(), 5.0)


async def test_closing_cancels_a_generator_in_a_thread(mesh: Mesh) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    fn = await mesh.expose({"endless": endless})
    stream = mesh.stream(fn.id, "endless")
    assert await anext(stream) == 1
    await stream.aclose()
    assert await asyncio.to_thread(closed.wait, 5.0)


async def test_an_error_comes_after_the_items(mesh: Mesh) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("spent")

    fn = await mesh.expose({"failing": failing})
    stream = mesh.stream(fn.id, "failing")
    assert await anext(stream) == 1
    with pytest.raises(lambdamesh.LambdaError, match="ValueError: spent"):
        await anext(stream)


async def test_an_item_over_the_limit_is_an_error(mesh: Mesh) -> None:
    async def large() -> AsyncIterator[str]:
        yield "x" * 65_534
        yield "x" * 65_535

    fn = await mesh.expose({"large": large})
    stream = mesh.stream(fn.id, "large")
    assert len(await anext(stream)) == 65_534
    with pytest.raises(lambdamesh.LambdaError, match="at most 65536"):
        await anext(stream)
    assert [len(item) for item in await mesh.call(fn.id, "large")] == [65_534, 65_535]


async def test_a_plain_function_streams_nothing_but_its_result(mesh: Mesh) -> None:
    async def one() -> int:
        return 1

    fn = await mesh.expose({"one": one})
    stream = mesh.stream(fn.id, "one")
    assert [item async for item in stream] == []
    assert stream.result == 1


async def test_the_timeout_is_the_longest_silence(mesh: Mesh) -> None:
    more = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        for number in range(3):
            yield number
        await more.wait()

    fn = await mesh.expose({"slow": slow})
    stream = mesh.stream(fn.id, "slow", timeout=0.3)
    assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(lambdamesh.CallTimeout):
        await anext(stream)


async def test_a_slow_reader_slows_nobody_else(mesh: Mesh) -> None:
    fn = await mesh.expose({"count": count})
    slow = mesh.stream(fn.id, "count", 1000)
    assert await anext(slow) == 0
    assert [item async for item in mesh.stream(fn.id, "count", 500)] == list(range(500))
    assert [item async for item in slow] == list(range(1, 1000))


async def test_many_streams_at_once(mesh: Mesh) -> None:
    fn = await mesh.expose({"count": count, "threads": count_in_a_thread})

    async def read(method: str) -> int:
        return sum([item async for item in mesh.stream(fn.id, method, 500)])

    assert set(await asyncio.gather(*(read(method) for method in ["count", "threads"] * 20))) == {124750}
