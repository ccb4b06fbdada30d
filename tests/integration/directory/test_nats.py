"""Nodes that find each other in a real NATS server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import nats
import nats.js
import pytest
import pytest_asyncio
import structlog
import uvloop

from lambdamesh.core.peering import Directory, NodeRecord
from lambdamesh.directory.nats import Nats
from lambdamesh.directory.nats_access import NatsAccess
from lambdamesh.directory.pace import Pace
from tests.directories import Probing, Told, record, soon
from tests.integration.directory.conftest import FAST, Joined
from tests.nats_servers import NatsProcess
from tests.unit.directory.conformance import ME, Conformance

Join = Callable[..., Awaitable[Joined]]


class TestNats(Conformance):
    @pytest_asyncio.fixture
    async def directory(self, server: NatsProcess, join: Join) -> Directory:
        return (await join(server.url, ME.machine, ME.instance, pace=Pace())).directory


class TestNatsThatIsNotThere(Conformance):
    @pytest_asyncio.fixture
    async def directory(self, join: Join) -> Directory:
        return (await join("nats://127.0.0.1:1", ME.machine, ME.instance, is_awaited=False, pace=Pace())).directory


async def test_the_first_node_makes_the_bucket(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    node = await join(server.url, 0xAE, started_at=1.5)
    assert node.directory.trouble() is None
    status = await (await jetstream.key_value("lambdamesh")).status()
    assert (status.history, status.ttl) == (1, 100.0)
    entry = await (await jetstream.key_value("lambdamesh")).get("000000ae")
    assert json.loads(entry.value or b"") == msgspec.to_builtins(node.me)


async def test_nodes_see_each_other(server: NatsProcess, join: Join) -> None:
    one, two, three = [await join(server.url, machine) for machine in (1, 2, 3)]
    nodes = (one, two, three)
    await soon(lambda: all(len(node.directory.nodes()) == 2 for node in nodes), "all of them")
    assert all(node.sees(other) for node in nodes for other in nodes if node is not other)
    heard_at = one.directory.heard_at(2)
    assert heard_at is not None
    assert abs(heard_at - time.time()) < 10
    assert one.told.changes


async def test_a_newcomer_knows_all_when_it_is_complete(server: NatsProcess, join: Join) -> None:
    others = [await join(server.url, machine) for machine in range(2, 12)]
    node = await join(server.url)
    assert all(node.sees(other) for other in others)


async def test_a_node_that_stops_is_gone_at_once_and_still_known(server: NatsProcess, join: Join) -> None:
    one, two = await join(server.url, 1, pace=replace(FAST, dead_after_s=60)), await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")
    changes = one.told.changes
    await two.directory.stop()
    await soon(lambda: not one.directory.is_alive(2, 0), "it is gone")
    assert one.told.changes == changes + 1
    assert one.directory.knows(2)


async def test_a_node_that_comes_back_is_another_instance(server: NatsProcess, join: Join) -> None:
    one, two = await join(server.url, 1), await join(server.url, 2, "first", started_at=1.0)
    await soon(lambda: one.sees(two), "it")
    await two.directory.stop()
    second = await join(server.url, 2, "second", started_at=2.0)
    await soon(lambda: one.sees(second), "its second life")


async def test_a_node_that_falls_silent_dies_by_the_own_clock(server: NatsProcess, join: Join) -> None:
    one, two, three = [await join(server.url, machine) for machine in (1, 2, 3)]
    await soon(lambda: one.sees(two) and one.sees(three), "them")
    changes, begun_at = one.told.changes, time.monotonic()
    await two.crash()
    await soon(lambda: not one.directory.is_alive(2, 0), "its death")
    assert time.monotonic() - begun_at > FAST.dead_after_s - FAST.heartbeat_s - 0.1
    await soon(lambda: one.told.changes > changes, "to be told")
    assert one.sees(three)
    assert one.directory.knows(2)


async def test_a_silent_node_that_speaks_again_is_alive_again(server: NatsProcess, join: Join) -> None:
    one, two = await join(server.url, 1), await join(server.url, 2, "same")
    await soon(lambda: one.sees(two), "it")
    changes = one.told.changes
    await two.crash()
    await soon(lambda: one.told.changes > changes and not one.directory.is_alive(2, 0), "its death")
    changes = one.told.changes
    two = await join(server.url, 2, "same")
    await soon(lambda: one.sees(two), "its return")
    assert one.told.changes > changes


async def test_what_is_not_a_node_in_the_bucket_does_not_matter(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one = await join(server.url, 1)
    bucket = await jetstream.key_value("lambdamesh")
    await bucket.put("notes", b"hands off")
    await bucket.put("00000002", b"{")
    await bucket.put("00000003", b'{"machine": 4}')
    await bucket.put("00000000", b'{"machine": 0}')
    await bucket.put("00000005", b'{"machine": 5, "address": "10.0.0.5:1", "of_a_later_version": [1]}')
    await soon(lambda: one.directory.knows(5), "the one that is one")
    assert [node.machine for node in one.directory.nodes()] == [5]
    later = await join(server.url, 7)
    assert sorted(node.machine for node in later.directory.nodes()) == [1, 5]
    # Its own key was full of nonsense.
    two = await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")


async def test_what_cannot_be_used_of_a_node_is_ignored(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one = await join(server.url, 1)
    bucket = await jetstream.key_value("lambdamesh")
    with structlog.testing.capture_logs() as lines:
        await bucket.put("00000002", b'{"machine": 2, "address": ":7631"}')
        await bucket.put("00000003", b'{"machine": 3, "address": "10.0.0.1:99999"}')
        for machine in (4, 5):
            await bucket.put(f"{machine:08x}", b'{"machine": %d, "later": "%b"}' % (machine, b"x" * 4096))
        await bucket.put("00000006", b'{"machine": 6, "started_at": 1e300, "address": "10.0.0.6:1"}')
        await soon(lambda: one.directory.knows(6), "the one that is one")
    assert one.directory.nodes() == (NodeRecord(machine=6, address="10.0.0.6:1"),)
    assert {line["size_bytes"] for line in lines if line["event"] == "nats_value_ignored"} == {4096 + 27}
    # A claim that is nonsense is taken over like one of a node that has died.
    six = await join(server.url, 5)
    await soon(lambda: one.sees(six), "it")


async def test_whoever_starts_anew_is_listed_over_its_former_hello(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one = await join(server.url, 1)
    now_s = time.time()
    said = record(2, "said", started_at=now_s - 50)
    one.directory.learn(said, now_s, is_hearsay=False)
    bucket = await jetstream.key_value("lambdamesh")
    # Its clock is behind: the claim says that it came later all the same.
    after = record(2, "after", started_at=now_s - 100)
    await bucket.put("00000002", msgspec.json.encode(after))
    await soon(lambda: one.directory.find(2) == after, "the next")


async def test_a_hello_counts_beside_nats(server: NatsProcess, join: Join) -> None:
    one, two = await join(server.url, 1), await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")
    said = record(2, address="192.0.2.2:7631")
    one.directory.learn(said, time.time(), is_hearsay=False)
    beats = one.directory.heard_at(2)
    assert beats is not None
    await soon(lambda: (one.directory.heard_at(2) or 0) > beats, "the next renewal")
    assert one.directory.find(2) == said


async def test_the_list_is_read_again_from_time_to_time(server: NatsProcess, join: Join) -> None:
    pace = replace(FAST, relist_s=0.2)
    one = await join(server.url, 1, pace=pace)
    two = await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")
    watch_count = len(await _consumers(server))
    begun_at = one.directory._session._relist_at if one.directory._session else 0.0
    await soon(lambda: one.directory._session and one.directory._session._relist_at > begun_at + 0.5, "more lists")
    assert one.directory.complete()
    assert one.sees(two)
    assert len(await _consumers(server)) <= watch_count + 1
    assert one.directory.trouble() is None


async def test_a_bucket_made_by_hand_will_do(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    await jetstream.create_key_value(bucket="lambdamesh", history=5, ttl=1000)
    one, two = await join(server.url, 1), await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")


def test_it_runs_on_uvloop(server: NatsProcess) -> None:
    async def live() -> None:
        one, two = [Nats(NatsAccess(server.url), Probing(), pace=FAST) for _ in range(2)]
        told = Told().of(one)
        await one.start(record(1))
        await two.start(record(2))
        await soon(lambda: one.knows(2) and two.knows(1), "each other")
        await two.stop()
        await soon(lambda: not one.is_alive(2, 0), "it is gone")
        assert told.changes
        server.kill()
        await soon(one.trouble, "trouble")
        server.start()
        await soon(lambda: one.trouble() is None, "no more trouble")
        await one.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


async def test_nothing_is_left_of_it_when_it_stops(server: NatsProcess, join: Join) -> None:
    before = len(asyncio.all_tasks())
    node = await join(server.url, 1)
    assert server.connections() == 1
    await node.directory.stop()
    await soon(lambda: len(asyncio.all_tasks()) == before, "its tasks end")
    await soon(lambda: server.connections() == 0, "its connection ends")
    assert not node.directory.complete()


@pytest.mark.parametrize("urls", ["http://a", "nats://", ""])
def test_what_is_no_url_is_an_error_at_once(urls: str) -> None:
    with pytest.raises(ValueError, match="--nats"):
        Nats(NatsAccess(urls), Probing())


async def _consumers(server: NatsProcess) -> list[object]:
    client = await nats.connect(server.url)
    try:
        return list(await client.jsm().consumers_info("KV_lambdamesh"))
    finally:
        await client.close()
