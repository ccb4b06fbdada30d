"""Lambdas at all workers of a node: `python -m bench.load.providers PORT WORKERS COUNT` prints the ids of so many.

The first is at the first worker, the second at the second, and so on round and round. They are the lambdas of
`bench.load.provider`, in one process.
"""

import asyncio
import sys

import msgspec
import uvloop
from picows import WSTransport, ws_connect

from bench.load.meter import say
from bench.load.provider import Echo
from lambdamesh.ids import parse_lambda_id

TRIES_EACH = 64


class AllOpened(msgspec.Struct):
    """Printed when all are open."""

    ids: list[str]


class Announced(Echo):
    """One of them."""

    def __init__(self) -> None:
        super().__init__()
        self.id: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def opened(self, lambda_id: str) -> None:
        """Keeps the id that the node has given."""
        self.id.set_result(lambda_id)


async def open_all(port: int, workers: int, count: int) -> dict[str, WSTransport]:
    """Opens lambdas, and closes those of workers that have enough, until all have; their sockets by id."""
    missing = list(range(count))
    found: dict[int, tuple[str, WSTransport]] = {}
    for _ in range(TRIES_EACH * count):
        if not missing:
            return dict(found[number] for number in range(count))
        transport, listener = await ws_connect(Announced, f"ws://127.0.0.1:{port}/lambda/new", enable_auto_pong=False)
        assert isinstance(listener, Announced)
        lambda_id = await listener.id
        worker = parse_lambda_id(lambda_id.encode()).worker % workers
        number = next((number for number in missing if number % workers == worker), None)
        if number is None:
            transport.disconnect()
        else:
            missing.remove(number)
            found[number] = (lambda_id, transport)
    sys.exit(f"of {TRIES_EACH * count} lambdas not {count} came to {workers} workers in equal parts")


async def serve(port: int, workers: int, count: int) -> None:
    """Opens the lambdas and answers until a socket of them ends."""
    transports = await open_all(port, workers, count)
    say(AllOpened(list(transports)))
    ended = [asyncio.ensure_future(transport.wait_disconnected()) for transport in transports.values()]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    sys.exit("the node closed a lambda's socket")


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:4])))
