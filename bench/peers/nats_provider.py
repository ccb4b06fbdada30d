"""A provider on NATS: `python -m bench.peers.nats_provider PORT` prints its id and answers calls with their body."""

import asyncio
import secrets
import sys

import nats
import uvloop
from nats.aio.msg import Msg

from bench.load.meter import say
from bench.load.provider import Opened


async def answer(message: Msg) -> None:
    """Answers one call."""
    await message.respond(message.data)


async def serve(port: int) -> None:
    """Answers until it is ended."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    name = secrets.token_urlsafe(12)
    await client.subscribe(f"lambda.{name}.*", cb=answer)
    await client.flush()
    say(Opened(name))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
