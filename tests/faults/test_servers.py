"""What the fault suite does to its NATS servers is done: the leader moves, the bucket goes, a server comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
from nats.js.errors import NotFoundError

from lambdamesh.directory.nats_bucket import NAME, STREAM
from tests.directories import LOOK_S, soon
from tests.faults.servers import NAMES, Servers


async def test_leader_bucket_and_server(tmp_path: Path) -> None:
    servers = Servers(tmp_path, None)
    client = None
    try:
        await asyncio.to_thread(servers.start)
        client = await nats.connect(servers.urls.split(","), max_reconnect_attempts=-1)
        jetstream = client.jetstream()
        await jetstream.create_key_value(bucket=NAME, replicas=3)
        first = await leader(jetstream)
        await soon(servers.move_leader, "the leader steps down", 20)
        await soon_other(jetstream, first)
        await asyncio.to_thread(servers.kill, NAMES[0])
        await asyncio.to_thread(servers.revive, NAMES[0])
        await soon(servers.wipe_bucket, "the bucket is deleted", 20)
        assert not servers.wipe_bucket()
        assert await leader(jetstream) == ""
    finally:
        if client is not None:
            await client.close()
        servers.end()


async def leader(jetstream: nats.js.JetStreamContext) -> str:
    """Who leads the bucket's stream; nobody where there is none."""
    try:
        info = await jetstream.stream_info(STREAM)
    except NotFoundError:
        return ""
    return (info.cluster.leader if info.cluster else "") or ""


async def soon_other(jetstream: nats.js.JetStreamContext, first: str) -> None:
    """Wait until another one leads."""
    for _ in range(2000):
        if await leader(jetstream) not in ("", first):
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError(f"{first} leads still")
