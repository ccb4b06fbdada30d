"""Calls in flight from coroutines: `python -m bench.load.python_caller client|websockets`.

Reads a LoadSpec, prints a Sample. `client` is the client library, `websockets` the
same written by hand on that package.
"""

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import uvloop
import websockets

import lambdamesh
from bench.load.meter import CLOCK, LoadSpec, Sample, Stopwatch, read_spec, say

Call = Callable[[object], Awaitable[object]]


@contextlib.asynccontextmanager
async def by_client(spec: LoadSpec) -> AsyncIterator[Call]:
    """The client library."""
    lambda_id = spec.path.split("/")[2]
    async with lambdamesh.connect(f"http://127.0.0.1:{spec.port}") as mesh:
        yield lambda body: mesh.call(lambda_id, "test", body)


@contextlib.asynccontextmanager
async def by_hand(spec: LoadSpec) -> AsyncIterator[Call]:
    """A dictionary of futures, and a task that reads."""
    waiting: dict[int, asyncio.Future[object]] = {}
    numbers = itertools.count(1)
    async with websockets.connect(f"ws://127.0.0.1:{spec.port}/connect", compression=None) as socket:

        async def read() -> None:
            async for message in socket:
                answer = json.loads(message)
                future = waiting.pop(answer["id"])
                if answer["error"] is None:
                    future.set_result(answer["result"])
                else:
                    future.set_exception(RuntimeError(answer["error"]))

        async def call(body: object) -> object:
            number = next(numbers)
            future = waiting[number] = asyncio.get_running_loop().create_future()
            await socket.send(json.dumps({"id": number, "method": f"POST {spec.path}", "params": [body]}))
            return await future

        reader = asyncio.create_task(read())
        yield call
        reader.cancel()


CALLERS = {"client": by_client, "websockets": by_hand}


async def run(spec: LoadSpec, kind: str) -> Sample:
    """Keeps every slot busy, warms up, measures."""
    body = json.loads(spec.body)
    latencies_s: list[float] = []
    errors: list[str] = []

    async def keep_calling(call: Call) -> None:
        while True:
            sent_at = CLOCK()
            try:
                answer = await call(body)
            except Exception as error:
                errors.append(repr(error))
            else:
                if answer != body:
                    errors.append(f"wrong answer: {answer!r}")
            latencies_s.append(CLOCK() - sent_at)

    async with CALLERS[kind](spec) as call:
        slots = [asyncio.create_task(keep_calling(call)) for _ in range(spec.connections)]
        await asyncio.sleep(spec.warm_up_s)
        latencies_s.clear()
        watch = Stopwatch(spec)
        await asyncio.sleep(spec.seconds)
        sample = watch.sample(latencies_s, len(errors), errors[0] if errors else "")
        for slot in slots:
            slot.cancel()
        await asyncio.wait(slots)
    return sample


if __name__ == "__main__":
    say(uvloop.run(run(read_spec(LoadSpec), sys.argv[1])))
