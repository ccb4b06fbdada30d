"""Open many lambdas on one connection, to see what they cost: `many.py 10000`."""

import asyncio
import sys

import lambdamesh

AT_ONCE = 100


async def echo(body):
    return body


async def main(count):
    async with lambdamesh.connect() as mesh:
        held = []
        while len(held) < count:
            held += await asyncio.gather(*(mesh.expose({"echo": echo}) for _ in range(min(AT_ONCE, count - len(held)))))
        print(len(held), "are open, the last one is", flush=True)
        print("id", held[-1].id, flush=True)
        await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
