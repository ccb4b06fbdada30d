"""Three NATS servers that are one, and lose one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamInfo

from tests.directories import soon
from tests.integration.directory.conftest import Joined
from tests.nats_servers import Cluster

Join = Callable[..., Awaitable[Joined]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


async def test_renewals_go_on_when_the_leader_is_killed(cluster: Cluster, join: Join) -> None:
    # One knows a single server, and must learn of the others from it.
    one = await join(cluster.servers["one"].url, 1)
    two, three = [await join(cluster.urls, machine) for machine in (2, 3)]
    nodes = (one, two, three)
    await soon(lambda: _all_see_all(nodes), "all of them", within_s=20)
    info = await _stream(cluster, "one")
    assert info.config.num_replicas == 3
    assert info.cluster is not None
    assert info.cluster.leader is not None
    cluster.servers[info.cluster.leader].kill()
    heard = {node.me.machine: one.directory.heard_at(node.me.machine) or 0.0 for node in (two, three)}
    await soon(
        lambda: all((one.directory.heard_at(machine) or 0.0) > at + 1.0 for machine, at in heard.items()),
        "renewals",
        within_s=30,
    )
    await soon(lambda: _all_see_all(nodes) and all(node.directory.complete() for node in nodes), "all", within_s=20)
    four = await join(cluster.urls, 4)
    await soon(lambda: _all_see_all((*nodes, four)), "the fourth too", within_s=20)
    assert [node.told.failures for node in nodes] == [[], [], []]


async def test_without_most_of_the_cluster_there_is_trouble_and_nobody_is_lost(cluster: Cluster, join: Join) -> None:
    one, two = [await join(cluster.servers["one"].url, machine) for machine in (1, 2)]
    await soon(lambda: one.sees(two), "it")
    cluster.servers["two"].kill()
    cluster.servers["three"].kill()
    await soon(one.directory.trouble, "trouble", within_s=20)
    assert one.directory.knows(2)
    cluster.servers["two"].start(is_ready=False)
    await soon(lambda: one.sees(two) and one.directory.complete(), "all is well again", within_s=30)


def _all_see_all(nodes: tuple[Joined, ...]) -> bool:
    return all(node.sees(other) for node in nodes for other in nodes if node is not other)


async def _stream(cluster: Cluster, name: str) -> StreamInfo:
    client = await nats.connect(cluster.servers[name].url)
    try:
        return await client.jetstream().stream_info("KV_lambdamesh")
    finally:
        await client.close()
