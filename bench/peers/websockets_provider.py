"""A provider as one writes it by hand: `python -m bench.peers.websockets_provider PORT` prints its id."""

import asyncio
import json
import sys
from typing import Any

import uvloop
import websockets

from bench.load.meter import say
from bench.load.provider import Opened


async def test(body: Any) -> Any:
    """The method: what came goes back."""
    return body


async def answer(socket: websockets.ClientConnection, call: dict) -> None:
    """Answers one call."""
    try:
        reply = {"result": await test(*call["params"])}
    except Exception as error:
        reply = {"error": str(error)}
    await socket.send(json.dumps({"id": call["id"], **reply}))


async def serve(port: int) -> None:
    """Opens the lambda and answers until its socket ends; no call waits for another."""
    running = set()
    async with websockets.connect(f"ws://127.0.0.1:{port}/lambda/new", compression=None) as socket:
        async for message in socket:
            call = json.loads(message)
            if call["method"] == "open":
                await socket.send(json.dumps({"id": call["id"], "result": "ok"}))
                say(Opened(call["params"][0]))
            else:
                task = asyncio.create_task(answer(socket, call))
                running.add(task)
                task.add_done_callback(running.discard)
    sys.exit("the node closed the lambda's socket")


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
