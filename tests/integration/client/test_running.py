"""What runs for a call: how it is stopped, what it knows, what becomes of its errors."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import lambdamesh
from lambdamesh import Mesh
from tests.nodes import Node


async def echo(body: Any) -> Any:
    return {"echo": body}


async def test_what_a_handler_raises_is_said_in_short(mesh: Mesh) -> None:
    async def fail() -> None:
        raise ValueError("too small")

    async def choose() -> None:
        raise lambdamesh.LambdaError("no such order", rpc_code=42, data={"order": 7})

    async def unfit() -> Any:
        return object()

    fn = await mesh.expose({"fail": fail, "choose": choose, "unfit": unfit})
    with pytest.raises(lambdamesh.LambdaError) as raised:
        await mesh.call(fn.id, "fail")
    assert (raised.value.message, raised.value.rpc_code, raised.value.data) == ("ValueError: too small", -32000, None)
    with pytest.raises(lambdamesh.LambdaError) as raised:
        await mesh.call(fn.id, "choose")
    assert (raised.value.message, raised.value.rpc_code, raised.value.data) == ("no such order", 42, {"order": 7})
    with pytest.raises(lambdamesh.LambdaError, match="the result of unfit is not JSON"):
        await mesh.call(fn.id, "unfit")


async def test_a_handler_that_leaves_ends_its_call_and_nothing_else(mesh: Mesh) -> None:
    async def leave() -> None:
        sys.exit(3)

    async def leave_in_the_middle() -> AsyncIterator[int]:
        yield 1
        sys.exit(3)

    def leave_in_a_thread() -> None:
        sys.exit(3)

    fn = await mesh.expose({"leave": leave, "stream": leave_in_the_middle, "thread": leave_in_a_thread, "echo": echo})
    for method in ("leave", "stream", "thread"):
        with pytest.raises(lambdamesh.LambdaError, match="SystemExit: 3"):
            await mesh.call(fn.id, method)
    assert await mesh.call(fn.id, "echo", 1) == {"echo": 1}


async def test_closing_tells_each_call_whether_it_was_sent(node: Node, mesh: Mesh) -> None:
    began = asyncio.Event()

    async def wait() -> None:
        began.set()
        await asyncio.Event().wait()

    fn = await mesh.expose({"wait": wait})
    closed = await lambdamesh.connect(node.url)
    calling = asyncio.create_task(closed.call(fn.id, "wait"))
    await asyncio.wait_for(began.wait(), 5.0)
    await closed.close()
    with pytest.raises(lambdamesh.ClientClosed) as raised:
        await asyncio.wait_for(calling, 5.0)
    assert raised.value.delivered == "unknown"
    with pytest.raises(lambdamesh.ClientClosed) as raised:
        await closed.call(fn.id, "wait")
    assert raised.value.delivered == "no"


async def test_a_connection_whose_task_is_cancelled_has_ended(node: Node) -> None:
    states: list[lambdamesh.State] = []
    mesh = await lambdamesh.connect(node.url, on_state=states.append)
    fn = await mesh.expose({"echo": echo})
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "lambdamesh connection")
    task.cancel()
    assert (await asyncio.wait_for(fn.wait_ended(), 5.0)).code == 1000
    assert mesh.state is states[-1] is lambdamesh.State.CLOSED
    with pytest.raises(lambdamesh.ClientClosed):
        await mesh.call(fn.id, "echo", 1)
    await asyncio.wait_for(mesh.close(), 5.0)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unusual(BaseException):
    """What no handler should raise."""


@pytest.mark.parametrize("raised", [ValueError("\ud800"), lambdamesh.LambdaError("a\ud800"), Mute(), Unusual("x")])
async def test_whatever_is_raised_the_call_is_answered(mesh: Mesh, raised: BaseException) -> None:
    def fail() -> None:
        raise raised

    async def fail_async() -> None:
        raise raised

    def items() -> Iterator[int]:
        yield 1
        raise raised

    async def items_async() -> AsyncIterator[int]:
        yield 1
        raise raised

    fn = await mesh.expose({"a": fail, "b": fail_async, "c": items, "d": items_async})
    for method in "abcd":
        with pytest.raises(lambdamesh.LambdaError):
            await mesh.call(fn.id, method, timeout=5)


async def test_debug_sends_the_traceback(node: Node, mesh: Mesh) -> None:
    async def fail() -> None:
        raise ValueError("too small")

    async with lambdamesh.connect(node.url, debug=True) as debugged:
        fn = await debugged.expose({"fail": fail})
        with pytest.raises(lambdamesh.LambdaError) as raised:
            await mesh.call(fn.id, "fail")
    assert "raise ValueError" in raised.value.data["traceback"]


async def test_the_timeout_passes(mesh: Mesh) -> None:
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    fn = await mesh.expose({"wait": wait})
    began_at = time.monotonic()
    with pytest.raises(lambdamesh.CallTimeout) as raised:
        await mesh.call(fn.id, "wait", timeout=0.2)
    assert 0.19 < time.monotonic() - began_at < 2.0
    assert raised.value.delivered == "unknown"
    await asyncio.wait_for(cancelled.wait(), 5.0)


async def test_a_cancelled_call_cancels_the_handler(mesh: Mesh) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    fn = await mesh.expose({"wait": wait})
    calling = asyncio.create_task(mesh.call(fn.id, "wait"))
    await asyncio.wait_for(began.wait(), 5.0)
    calling.cancel()
    await asyncio.wait_for(cancelled.wait(), 5.0)


async def test_functions_run_in_threads_and_block_nobody(mesh: Mesh) -> None:
    release, names = threading.Event(), []

    def block() -> str:
        names.append(threading.current_thread().name)
        release.wait(10.0)
        return lambdamesh.current().method

    fn = await mesh.expose({"block": block, "test": echo})
    calling = asyncio.create_task(mesh.call(fn.id, "block"))
    assert await mesh.call(fn.id, "test", 1) == {"echo": 1}
    release.set()
    assert await calling == "block"
    assert names[0].startswith("lambdamesh")


async def test_a_thread_sees_that_nobody_waits(mesh: Mesh) -> None:
    began, seen = threading.Event(), threading.Event()

    def watch() -> None:
        call = lambdamesh.current()
        began.set()
        ends_at = time.monotonic() + 10.0
        while not call.cancelled and time.monotonic() < ends_at:
            seen.wait(0.005)
        if call.cancelled:
            seen.set()

    fn = await mesh.expose({"watch": watch})
    calling = asyncio.create_task(mesh.call(fn.id, "watch"))
    assert await asyncio.to_thread(began.wait, 5.0)
    calling.cancel()
    assert await asyncio.to_thread(seen.wait, 5.0)


async def test_a_handler_knows_its_call_and_passes_its_time_on(mesh: Mesh) -> None:
    told: dict[str, lambdamesh.Call] = {}

    async def inner() -> float | None:
        told["inner"] = lambdamesh.current()
        return lambdamesh.current().remaining_s

    async def outer() -> float | None:
        told["outer"] = lambdamesh.current()
        result: float | None = await mesh.call(fn.id, "inner", timeout=50)
        return result

    fn = await mesh.expose({"inner": inner, "outer": outer})
    left_s = await mesh.call(fn.id, "outer", timeout=3, type=float)
    assert 0 < left_s <= 3.0
    assert told["outer"].lambda_id == fn.id
    assert told["outer"].ray != told["inner"].ray
    with pytest.raises(LookupError):
        lambdamesh.current()


async def test_what_goes_on_after_the_answer_has_its_own_time(mesh: Mesh) -> None:
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    answered = asyncio.Event()
    tasks = []

    async def later() -> None:
        began_by = lambdamesh.current()
        await answered.wait()
        await asyncio.sleep(began_by.remaining_s or 0.0)
        assert not began_by.remaining_s
        ended.set_result(await mesh.call(fn.id, "test", 1))

    async def begin() -> None:
        tasks.append(asyncio.create_task(later()))

    fn = await mesh.expose({"begin": begin, "test": echo})
    await mesh.call(fn.id, "begin", timeout=0.1)
    answered.set()
    assert await asyncio.wait_for(ended, 5.0) == {"echo": 1}


async def test_a_traceparent_goes_along(node: Node, mesh: Mesh) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen: list[str | None] = []

    async def inner() -> None:
        seen.append(lambdamesh.current().traceparent)

    async def outer() -> None:
        seen.append(lambdamesh.current().traceparent)
        await mesh.call(fn.id, "inner")

    fn = await mesh.expose({"inner": inner, "outer": outer})
    head = ((b"traceparent", traceparent.encode()),)
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/outer", b"", _fields(head))
    assert answer.status == 200, answer
    assert [text and text.split("-")[1] for text in seen] == [traceparent.split("-")[1]] * 2


def _fields(fields: tuple[tuple[bytes, bytes], ...]) -> Any:
    return tuple((name.decode(), value.decode()) for name, value in fields)


async def test_a_handler_may_close_its_own_client(node: Node, mesh: Mesh) -> None:
    other = await lambdamesh.connect(node.url)
    fn = await other.expose({"leave": other.close})
    with pytest.raises(lambdamesh.LambdaLost):
        await mesh.call(fn.id, "leave")
    end = await asyncio.wait_for(fn.wait_ended(), 5.0)
    assert "closed" in end.reason


async def test_a_function_that_returns_an_awaitable(mesh: Mesh) -> None:
    fn = await mesh.expose({"test": lambda body: echo(body)})
    assert await mesh.call(fn.id, "test", 1) == {"echo": 1}


async def test_everything_ends_with_the_client(node: Node, mesh: Mesh) -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    other = await lambdamesh.connect(node.url)
    fn = await other.expose({"wait": wait})
    calling = asyncio.create_task(mesh.call(fn.id, "wait"))
    await asyncio.wait_for(began.wait(), 5.0)
    own = asyncio.create_task(other.call(fn.id, "wait"))
    await asyncio.sleep(0)
    await other.close()
    assert ended.is_set()
    assert fn.end is not None
    with pytest.raises(lambdamesh.LambdaLost):
        await calling
    with pytest.raises(lambdamesh.CallError):
        await own
    with pytest.raises(lambdamesh.ClientClosed, match="closed"):
        await other.call(fn.id, "wait")
