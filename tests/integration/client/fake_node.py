"""A node that does what a test says: it accepts, refuses, opens lambdas, drops connections, keeps silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.lambda_ids import EPOCH_MS, Id

Json = dict[str, Any]
PATIENCE_S = 5.0


def lambda_id(sequence: int) -> str:
    return str(Id(0x46301AAE, EPOCH_MS + 86_400_000, 0, sequence))


class Link:
    """One connection of a client, from the node's side."""

    def __init__(self, node: FakeNode, ws: ServerConnection) -> None:
        self._node = node
        self.ws = ws
        self.requests: asyncio.Queue[Json] = asyncio.Queue()
        self.answers: asyncio.Queue[Json] = asyncio.Queue()

    @property
    def head(self) -> Request:
        assert self.ws.request is not None
        return self.ws.request

    async def request(self, method: str = "") -> Json:
        """The next message with a method, or the next one of ``method``."""
        while True:
            message = await asyncio.wait_for(self.requests.get(), PATIENCE_S)
            if not method or message["method"] == method:
                return message

    async def answer(self) -> Json:
        """The next answer to a call of ours."""
        return await asyncio.wait_for(self.answers.get(), PATIENCE_S)

    async def send(self, **message: Any) -> None:
        await self.ws.send(json.dumps({"jsonrpc": "2.0", **message}))

    async def call(self, lambda_id: str, number: int, method: str, body: Any = None, **meta: Any) -> None:
        meta = {"deadline_ms": 60_000, "ray": "0057be39815282ea-MYH", "lambda": lambda_id, "stream": False, **meta}
        await self.send(method=method, params=[body], id=f"{lambda_id}.{number}", meta=meta)

    async def cut(self) -> None:
        """Lose the connection without a word."""
        self.ws.transport.abort()
        await self.ws.wait_closed()


class FakeNode:
    """``links`` are the connections in their order. ``open`` decides about each ``lambda.open``, given its params."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.came: asyncio.Queue[Link] = asyncio.Queue()
        self.refusals: list[HTTPStatus] = []
        self.because = "because\n"
        self.attempts = 0
        self.port = 0
        self.pending: list[int] = []
        self.open: Callable[[Json], Json | None] = lambda params: None
        self.answers_pings = True
        self.greet: Callable[[Link], Awaitable[None]] | None = None
        self._opened = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def link(self) -> Link:
        """The next connection."""
        return await asyncio.wait_for(self.came.get(), PATIENCE_S)

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        return connection.respond(self.refusals.pop(0), self.because) if self.refusals else None

    async def serve(self, ws: ServerConnection) -> None:
        link = Link(self, ws)
        self.links.append(link)
        self.came.put_nowait(link)
        if self.greet is not None:
            await self.greet(link)
        try:
            async for message in ws:
                await self._take(link, json.loads(message))
        except ConnectionClosed:
            pass

    async def _take(self, link: Link, message: Json) -> None:
        method = message.get("method")
        if method is None:
            link.answers.put_nowait(message)
        elif method == "lambda.open":
            link.requests.put_nowait(message)
            await self._open(link, message)
        elif method == "$/ping":
            link.requests.put_nowait(message)
            if self.answers_pings:
                await link.send(id=message["id"], result=None)
        else:
            link.requests.put_nowait(message)

    async def _open(self, link: Link, message: Json) -> None:
        params = message["params"]
        error = self.open(params)
        if error is not None:
            await link.send(id=message["id"], error=error)
            return
        self._opened += "id" not in params
        known = params.get("id") or lambda_id(self._opened)
        pending = [number for number in params.get("keep", []) if number in self.pending]
        opened = {"id": known, "resume_key": f"key-{len(self.links)}", "grace_s": 15.0, "pending": pending}
        await link.send(id=message["id"], result=opened)


@asynccontextmanager
async def fake_node() -> AsyncIterator[FakeNode]:
    node = FakeNode()
    async with serve(
        node.serve,
        "127.0.0.1",
        0,
        subprotocols=["json-rpc-2.0"],  # type: ignore[list-item]
        process_request=node.refuse,
        ping_interval=None,
        max_size=None,
        compression=None,
    ) as server:
        node.port = next(iter(server.sockets)).getsockname()[1]
        yield node


def refusal(status: int, code: str, message: str = "no", **data: Any) -> Json:
    """The error object of a 2.0 answer."""
    return {"code": status, "message": message, "data": {"status": status, "code": code, **data}}
