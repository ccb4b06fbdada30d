"""A node as one would write it in an afternoon with aiohttp: `python -m bench.peers.aiohttp_node` prints its port.

The same relay for the same providers and callers - sockets by id, calls by number, a future each - without ids that
hold across machines, deadlines, limits or any check of who asks. It runs on uvloop, as the node does.
"""

import asyncio
import functools
import json
import secrets
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

routes = web.RouteTableDef()
lambdas: dict[str, "Lambda"] = {}
dumps = functools.partial(json.dumps, separators=(",", ":"))
answer_json = functools.partial(web.json_response, dumps=dumps)


class Lambda:
    """One provider's socket and the calls that it has not answered."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.pending: dict[int, asyncio.Future[Any]] = {}
        self.number = 0

    async def send(self, method: str, body: Any) -> asyncio.Future[Any]:
        """Sends a numbered request; its answer ends the future."""
        number, self.number = self.number, self.number + 1
        future = self.pending[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_str(dumps({"method": method, "params": [body], "id": number}))
        return future

    def receive(self, text: str) -> None:
        """Takes an answer."""
        answer = json.loads(text)
        future = self.pending.pop(answer["id"], None)
        if future is None or future.done():
            return
        if answer.get("error") is None:
            future.set_result(answer.get("result"))
        else:
            future.set_exception(RuntimeError(str(answer["error"])))

    def end(self) -> None:
        """Ends what is unanswered."""
        for future in self.pending.values():
            if not future.done():
                future.set_exception(ConnectionError("the lambda is gone"))


@routes.get("/lambda/new")
async def open_lambda(request: web.Request) -> web.WebSocketResponse:
    """Opens a lambda and keeps it until its socket ends."""
    socket = web.WebSocketResponse(heartbeat=10, compress=False)
    await socket.prepare(request)
    name, provider = secrets.token_urlsafe(12), Lambda(socket)
    opened = await provider.send("open", name)
    opened.add_done_callback(lambda future: future.exception() or lambdas.update({name: provider}))
    try:
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                provider.receive(message.data)
    finally:
        lambdas.pop(name, None)
        provider.end()
    return socket


@routes.get("/lambda")
async def list_lambdas(request: web.Request) -> web.Response:
    """The ids, or how many there are."""
    return answer_json({"count": len(lambdas)} if "count" in request.query else {name: {} for name in lambdas})


@routes.post("/lambda/{id}/{method}")
async def call(request: web.Request) -> web.Response:
    """One call."""
    provider = lambdas.get(request.match_info["id"])
    if provider is None:
        return answer_json({"error": "no such lambda"}, status=404)
    try:
        return answer_json(await (await provider.send(request.match_info["method"], await request.json())))
    except json.JSONDecodeError:
        return answer_json({"error": "not JSON"}, status=400)
    except RuntimeError as error:
        return answer_json({"error": str(error)}, status=400)
    except ConnectionError as error:
        return answer_json({"error": str(error)}, status=502)


async def serve() -> None:
    """Listens on a free port until the process is ended."""
    app = web.Application(client_max_size=16 << 20)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
