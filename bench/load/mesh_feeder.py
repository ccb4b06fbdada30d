"""Many nodes that are not there: `python -m bench.load.mesh_feeder nats|hearsay`.

Reads a FeedSpec. For each further line, a number of turns, it tells of every one of its nodes so many times and prints
a Fed; after the last turn, of one node more, whose machine id says which line that was. `nats` writes keys into the
bucket as nodes do, `hearsay` is a node that tells of third ones over a link.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import nats
import uvloop

from bench.load.hearsay import Gossip
from bench.load.meter import CLOCK, read_spec, say
from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.nats_bucket import key_of

FIRST_MACHINE = 0x10000000
MARK = 0x20000000
Tell = Callable[[list[NodeRecord]], Awaitable[None]]


class FeedSpec(msgspec.Struct, frozen=True):
    """How many nodes, and to whom: the URL of NATS, or the node's mesh door and the secret of the mesh."""

    nodes: int
    address: str
    secret_file: str = ""


class Fed(msgspec.Struct, frozen=True):
    """Printed when all was sent: how many updates, in how many seconds."""

    fed: int
    seconds: float


def record_of(machine: int, started_at: float) -> NodeRecord:
    """What a node tells of itself, at the usual length. Nothing listens at its address."""
    return NodeRecord(
        machine=machine,
        instance=f"{machine:016x}",
        host=f"node-{machine:08x}",
        address="127.0.0.1:9",
        version="0.1.0",
        started_at=started_at,
    )


@contextlib.asynccontextmanager
async def by_nats(spec: FeedSpec) -> AsyncIterator[Tell]:
    """Writes each record under its key. Nobody else writes it, so nothing is compared."""
    client = await nats.connect(spec.address)

    async def tell(records: list[NodeRecord]) -> None:
        for record in records:
            await client.publish(key_of(record.machine), msgspec.json.encode(record))
        await client.flush()

    yield tell
    await client.close()


@contextlib.asynccontextmanager
async def by_hearsay(spec: FeedSpec) -> AsyncIterator[Tell]:
    """Says hello as a node of the mesh, and tells of the others in words of as many as a node puts into one."""
    gossip = await Gossip.join(spec.address, spec.secret_file)
    yield gossip.tell
    gossip.leave()


FEEDERS = {"nats": by_nats, "hearsay": by_hearsay}


async def run(spec: FeedSpec, kind: str) -> None:
    """Tells for every line of standard input; ends with it."""
    started_at = time.time()
    records = [record_of(FIRST_MACHINE + number, started_at) for number in range(spec.nodes)]
    loop, lines = asyncio.get_running_loop(), 0
    async with FEEDERS[kind](spec) as tell:
        say(Fed(0, 0.0))
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            begun_at = CLOCK()
            for _ in range(int(line)):
                await tell(records)
            await tell([record_of(MARK + lines, started_at)])
            lines += 1
            say(Fed(int(line) * len(records), CLOCK() - begun_at))


if __name__ == "__main__":
    uvloop.run(run(read_spec(FeedSpec), sys.argv[1]))
