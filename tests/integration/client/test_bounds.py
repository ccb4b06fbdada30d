"""What may grow does so up to a bound, and whoever is beyond it is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import lambdamesh
from lambdamesh import Mesh
from tests.integration.client.proxy import Proxy
from tests.nodes import Node


async def echo(body: Any) -> Any:
    return body


async def test_calls_wait_for_a_socket_that_takes_nothing(proxy: Proxy, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    await fn.close()
    async with lambdamesh.connect(proxy.url) as slow:
        connection = slow._reconnector.connection
        assert connection is not None
        proxy.may_read.clear()
        calls = [asyncio.create_task(slow.call(fn.id, "test", "x" * 1_000_000)) for _ in range(100)]
        await asyncio.sleep(0)
        assert connection.is_congested
        assert len(slow._session.requests) < 50
        notice = asyncio.create_task(slow.notify(fn.id, "test"))
        await asyncio.sleep(0)
        assert not notice.done()
        proxy.may_read.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {lambdamesh.LambdaGone}
        await notice


async def test_no_more_functions_run_at_once_than_there_are_threads(node: Node, mesh: Mesh) -> None:
    running, most, lock = 0, 0, threading.Lock()
    full, release = threading.Event(), threading.Event()

    def block() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 3:
                full.set()
        release.wait(10.0)
        with lock:
            running -= 1

    async with lambdamesh.connect(node.url, threads=3) as bounded:
        fn = await bounded.expose({"block": block})
        calls = [asyncio.create_task(mesh.call(fn.id, "block")) for _ in range(10)]
        assert await asyncio.to_thread(full.wait, 5.0)
        release.set()
        await asyncio.gather(*calls)
    assert most == 3


async def test_calls_beyond_the_threads_and_their_queue_are_told(
    node: Node, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdamesh.client.threads.QUEUED_CALLS", 1)
    began, release = threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        release.wait(10.0)

    async with lambdamesh.connect(node.url, threads=1) as bounded:
        fn = await bounded.expose({"block": block})
        calls = [asyncio.create_task(mesh.call(fn.id, "block")) for _ in range(3)]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=5.0)
        (refused,) = done
        assert isinstance(refused.exception(), lambdamesh.LambdaError)
        assert "waiting for a thread" in str(refused.exception())
        release.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results.count(None) == 2


async def test_no_more_notifications_run_at_once_than_may(
    node: Node, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdamesh.client.serving.RUNNING_NOTIFICATIONS", 2)
    seen: list[int] = []
    release = asyncio.Event()

    async def note(number: int) -> None:
        seen.append(number)
        await release.wait()

    async def count() -> int:
        return len(seen)

    fn = await mesh.expose({"note": note, "count": count})
    for number in range(5):
        await mesh.notify(fn.id, "note", number)
    assert await mesh.call(fn.id, "count") == 2
    release.set()
    await mesh.call(fn.id, "count")
    await mesh.notify(fn.id, "note", 5)
    await mesh.call(fn.id, "count")
    assert seen == [0, 1, 5]


async def test_a_handler_that_cancels_itself_is_an_error_of_its_own(mesh: Mesh) -> None:
    async def leave() -> None:
        raise asyncio.CancelledError

    fn = await mesh.expose({"leave": leave})
    with pytest.raises(lambdamesh.LambdaError, match="CancelledError"):
        await mesh.call(fn.id, "leave", timeout=5)


async def test_calls_beyond_the_lambdas_own_cap_are_told(mesh: Mesh) -> None:
    release = asyncio.Event()

    async def wait() -> None:
        await release.wait()

    fn = await mesh.expose({"wait": wait})
    calls = [asyncio.create_task(mesh.call(fn.id, "wait")) for _ in range(257)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=5.0)
    (refused,) = done
    error = refused.exception()
    assert isinstance(error, lambdamesh.Overloaded)
    assert (error.delivered, error.retryable) == ("no", True)
    release.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results.count(None) == 256
