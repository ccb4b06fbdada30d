"""The blocking client, used from threads; and the node and the provider that tests may have."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import lambdamesh
import lambdamesh.sync
from lambdamesh import State
from lambdamesh.sync import BlockingMesh
from lambdamesh.testing import FakeProvider, InProcessNode
from tests.integration.client.states import States
from tests.nodes import Node

pytest_plugins = ["lambdamesh.testing.plugin"]


@pytest.fixture
def blocking(node: Node) -> Iterator[BlockingMesh]:
    with lambdamesh.sync.connect(node.url) as mesh:
        yield mesh


def echo(body: Any) -> Any:
    return {"echo": body}


def test_expose_and_call(blocking: BlockingMesh) -> None:
    fn = blocking.expose({"test": echo})
    assert fn.methods == ["test"]
    assert blocking.call(fn.id, "test", 1, timeout=5) == {"echo": 1}
    fn.close()
    assert fn.wait_ended(1.0).reason == "closed"
    with pytest.raises(lambdamesh.LambdaGone):
        blocking.call(fn.id, "test", 1)


def test_many_threads_share_it(blocking: BlockingMesh) -> None:
    fn = blocking.expose({"test": echo})
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda number: blocking.call(fn.id, "test", number), range(400)))
    assert results == [{"echo": number} for number in range(400)]


def test_handlers_of_both_kinds(blocking: BlockingMesh) -> None:
    async def slowly(n: int) -> int:
        return n + 1

    @blocking.method
    def nested(n: int) -> int:
        return blocking.call(lambdamesh.current().lambda_id, "slowly", n, type=int) + 1

    blocking.method("slowly")(slowly)
    fn = blocking.expose()
    assert blocking.call(fn.id, "nested", 1) == 3


def test_a_nested_call_has_no_more_time_than_its_own(blocking: BlockingMesh) -> None:
    def outer() -> Any:
        return blocking.call(lambdamesh.current().lambda_id, "inner")

    def inner() -> float | None:
        return lambdamesh.current().remaining_s

    fn = blocking.expose({"outer": outer, "inner": inner})
    assert blocking.call(fn.id, "outer", timeout=2, type=float) <= 2.0


def test_an_async_handler_is_told_that_it_would_wait_for_itself(blocking: BlockingMesh) -> None:
    async def wrong() -> Any:
        return blocking.call("a", "b")

    fn = blocking.expose({"wrong": wrong})
    with pytest.raises(lambdamesh.LambdaError, match=r"mesh\.aio"):
        blocking.call(fn.id, "wrong")


def test_streams(blocking: BlockingMesh) -> None:
    closed = threading.Event()

    def count(n: int) -> Iterator[int]:
        try:
            yield from range(n)
        finally:
            closed.set()

    fn = blocking.expose({"count": count})
    stream = blocking.stream(fn.id, "count", 100)
    assert list(stream) == list(range(100))
    closed.clear()
    with blocking.stream(fn.id, "count", 1000) as stream:
        assert next(stream) == 0
    assert closed.wait(5.0)


def test_a_closed_client_says_so(node: Node) -> None:
    mesh = lambdamesh.sync.connect(node.url)
    mesh.close()
    mesh.close()
    with pytest.raises(lambdamesh.ClientClosed) as raised:
        mesh.call("a", "b")
    assert raised.value.delivered == "no"


def test_closing_wakes_every_thread_that_waits(node: Node) -> None:
    outcomes: set[str] = set()

    def call_until_closed(mesh: BlockingMesh, lambda_id: str) -> None:
        try:
            while True:
                mesh.call(lambda_id, "test", 1)
        except lambdamesh.ClientClosed as error:
            outcomes.add(error.delivered)

    for turn in range(30):
        mesh = lambdamesh.sync.connect(node.url)
        lambda_id = mesh.expose({"test": echo}).id
        with ThreadPoolExecutor(9) as pool:
            calling = [pool.submit(call_until_closed, mesh, lambda_id) for _ in range(8)]
            for _ in range(turn % 6):
                mesh.call(lambda_id, "test", turn)
            closing = [pool.submit(mesh.close)]
            mesh.close()
            for future in (*calling, *closing):
                assert future.result(timeout=10) is None
    assert outcomes <= {"no", "unknown"}


def test_a_stream_that_is_closed_from_another_thread(blocking: BlockingMesh) -> None:
    began = threading.Event()

    async def silent() -> AsyncIterator[int]:
        began.set()
        await asyncio.Event().wait()
        yield 1

    stream = blocking.stream(blocking.expose({"silent": silent}).id, "silent")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, stream)
        assert began.wait(5.0)
        stream.close()
        assert reading.result(timeout=5) == []


def test_errors_come_out_of_connect(node: Node) -> None:
    with pytest.raises(ValueError, match="no address"):
        lambdamesh.sync.connect("ftp://example.test")


# -- what a user's own test looks like ---------------------------------------------------------------------------


async def test_five_lines(lambdamesh_node: InProcessNode) -> None:
    async def add(a: int, b: int) -> int:
        return a + b

    async with lambdamesh.connect(lambdamesh_node.url) as mesh:
        fn = await mesh.expose({"add": add})
        assert await mesh.call(fn.id, "add", {"a": 1, "b": 2}) == 3


def test_a_provider_that_answers_what_it_is_told(
    lambdamesh_node: InProcessNode, lambdamesh_provider: Callable[[Mapping[str, Any]], FakeProvider]
) -> None:
    fake = lambdamesh_provider({"three": 3, "fail": lambdamesh.LambdaError("no"), "twice": lambda n: 2 * n})
    with lambdamesh.sync.connect(lambdamesh_node.url) as mesh:
        assert mesh.call(fake.id, "three", {"any": 1}) == 3
        assert mesh.call(fake.id, "twice", 4) == 8
        with pytest.raises(lambdamesh.LambdaError, match="no"):
            mesh.call(fake.id, "fail")
    assert fake.calls == [("three", {"any": 1}), ("twice", 4), ("fail", None)]


async def test_a_node_that_is_stopped_and_started() -> None:
    states = States()
    with lambdamesh.testing.node() as node:
        async with lambdamesh.connect(node.url, on_state=states) as mesh:
            fn = await mesh.expose(echo)
            await asyncio.to_thread(node.stop)
            await states.wait(State.WAITING)
            await asyncio.to_thread(node.start)
            assert await mesh.call(fn.id, "echo", 1, timeout=30) == {"echo": 1}
