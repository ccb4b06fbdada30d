"""The yardstick: `python -m bench.constant BODY` is a node that answers each call with BODY instead of relaying it.

Everything else is the node's own: its listener, parser, checks, routes and answers, over HTTP and over `/connect`.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from lambdamesh.core.flight import Flight
from lambdamesh.core.relay import Relay
from lambdamesh.door.routes import Routes
from lambdamesh.node import Node
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.call import Call
from lambdamesh.settings import Settings
from lambdamesh.state import open_state
from lambdamesh.telemetry.logs import configure


class ConstantRelay(Relay):
    """Stands in for a node's relay; answers at once, and knows no lambda."""

    __slots__ = ("_body",)

    def __init__(self, own: Relay, body: bytes) -> None:
        super().__init__(own._registry, own.wheel, own.limits, own.counters, own.budget, own.time)
        self._body = body

    def call(self, call: Call, answer: Answer, now: float) -> Flight | None:
        """Answer the call before this returns."""
        answer.result(self._body)
        return None


async def serve(body: bytes, folder: str) -> None:
    """Listen on a free port until the process is ended."""
    node = Node(Settings(local=("127.0.0.1:0",)), open_state(Path(folder)))
    node.door.relay = ConstantRelay(node.door.relay, body)
    node.door.routes = Routes(node.door)
    node.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    configure("json", "info")
    with tempfile.TemporaryDirectory() as state:
        uvloop.run(serve(sys.argv[1].encode(), state))
