"""A provider made with the client library: `python -m bench.load.client_provider PORT` prints its id."""

import asyncio
import sys
from typing import Any

import uvloop

import lambdamesh
from bench.load.meter import say
from bench.load.provider import Opened


async def test(body: Any) -> Any:
    """The method: what came goes back."""
    return body


async def serve(port: int) -> None:
    """Opens the lambda and answers until it is ended."""
    async with lambdamesh.connect(f"http://127.0.0.1:{port}") as mesh:
        fn = await mesh.expose({"test": test})
        say(Opened(fn.id))
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
