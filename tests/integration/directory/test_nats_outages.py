"""NATS that is not there, goes, hangs, comes back, and forgets."""

from __future__ import annotations

import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import nats
import nats.js
import pytest

from tests.directories import record, soon
from tests.integration.directory.conftest import FAST, Joined
from tests.nats_servers import NatsProcess

Join = Callable[..., Awaitable[Joined]]
StartNats = Callable[..., NatsProcess]


async def test_nodes_start_without_nats_and_join_when_it_comes(start_nats: StartNats, join: Join) -> None:
    server = start_nats(is_started=False)
    one, two = [await join(server.url, machine, is_awaited=False) for machine in (1, 2)]
    trouble = await one.troubled("Connection refused")
    assert trouble == (
        f"NATS at {server.place} cannot be reached (Connection refused): is it running, and is --nats right?"
    )
    assert not one.directory.complete()
    server.start()
    await soon(lambda: one.sees(two) and two.sees(one), "each other")
    assert one.directory.trouble() is None


async def test_a_name_that_is_none_is_said_to_be(join: Join) -> None:
    node = await join("nats://nats.invalid", is_awaited=False)
    await node.troubled("NATS at nats.invalid:4222 cannot be looked up")


async def test_a_stop_without_nats_is_quick(join: Join) -> None:
    node = await join("nats://127.0.0.1:1", is_awaited=False)
    await node.troubled("Connection refused")
    begun_at = time.monotonic()
    await node.directory.stop()
    assert time.monotonic() - begun_at < 1.8


@pytest.mark.parametrize("is_wiped", [False, True])
async def test_nats_that_was_killed_is_used_again(server: NatsProcess, join: Join, is_wiped: bool) -> None:
    one, two = [await join(server.url, machine) for machine in (1, 2)]
    await soon(lambda: one.sees(two) and two.sees(one), "each other")
    server.kill()
    await soon(one.directory.trouble, "trouble")
    assert not one.directory.complete()
    assert one.sees(two)
    if is_wiped:
        server.wipe()
    server.start()
    await one.complete()
    await two.complete()
    assert one.directory.trouble() is None
    three = await join(server.url, 3)
    await soon(lambda: one.sees(three) and two.sees(three) and three.sees(one) and three.sees(two), "all of them")
    assert one.told.failures == two.told.failures == []


async def test_nobody_dies_while_nats_is_gone(server: NatsProcess, join: Join) -> None:
    late_s = [0.0]
    one = await join(server.url, 1, clock=lambda: time.monotonic() + late_s[0])
    two = await join(server.url, 2)
    await soon(lambda: one.sees(two), "it")
    server.kill()
    await soon(one.directory.trouble, "trouble")
    late_s[0] += 3600
    assert one.sees(two)
    server.start()
    await one.complete()
    assert one.sees(two)
    # Who died meanwhile is dead some time after NATS is back.
    await two.crash()
    await soon(lambda: not one.directory.is_alive(2, 0), "its death")


async def test_what_links_learn_while_nats_is_gone_counts(server: NatsProcess, join: Join) -> None:
    one = await join(server.url, 1)
    server.kill()
    await soon(one.directory.trouble, "trouble")
    changes = one.told.changes
    one.directory.learn(record(5), time.time(), is_hearsay=False)
    assert one.directory.find(5) == record(5)
    assert one.directory.is_alive(5, time.time())
    assert one.told.changes == changes + 1


async def test_nats_that_hangs_is_noticed(server: NatsProcess, join: Join) -> None:
    one, two = [await join(server.url, machine, pace=replace(FAST, ask_s=0.5)) for machine in (1, 2)]
    await soon(lambda: one.sees(two), "it")
    server.send(signal.SIGSTOP)
    await one.troubled("does not answer")
    assert one.sees(two)
    begun_at = time.monotonic()
    await two.directory.stop()
    assert time.monotonic() - begun_at < 4
    server.send(signal.SIGCONT)
    await one.complete()


async def test_the_bucket_is_made_again_when_somebody_deletes_it(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one, two = [await join(server.url, machine, pace=replace(FAST, heartbeat_s=60)) for machine in (1, 2)]
    await soon(lambda: one.sees(two), "it")
    changes = one.told.changes
    await jetstream.delete_key_value("lambdamesh")
    await soon(lambda: one.told.changes > changes, "it notices")
    await one.complete()
    await two.complete()
    three = await join(server.url, 3)
    await soon(lambda: one.sees(three) and three.sees(one) and three.sees(two), "all of them")


async def test_a_bucket_that_is_made_again_by_hand_is_used(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one, two = [await join(server.url, machine) for machine in (1, 2)]
    await jetstream.delete_key_value("lambdamesh")
    await jetstream.create_key_value(bucket="lambdamesh", ttl=100)
    three = await join(server.url, 3)
    await soon(
        lambda: all(a.sees(b) for a in (one, two, three) for b in (one, two, three) if a is not b), "all of them"
    )


async def test_the_end_of_the_bucket_is_noticed_without_leave_to_hear_of_it(start_nats: StartNats, join: Join) -> None:
    server = start_nats(
        "authorization { users: [ { user: root, password: r }, { user: node, password: n, permissions: {"
        ' publish: ["$JS.API.>", "$KV.lambdamesh.>"], subscribe: "_INBOX.>" } } ] }'
    )
    one, two = [await join(f"nats://node:n@{server.place}", machine) for machine in (1, 2)]
    await soon(lambda: one.sees(two), "it")
    client = await nats.connect(server.url, user="root", password="r")
    await client.jetstream().delete_key_value("lambdamesh")
    await client.close()
    three = await join(f"nats://node:n@{server.place}", 3)
    await soon(lambda: one.sees(three) and three.sees(one) and three.sees(two), "all of them")


async def test_a_bucket_that_was_emptied_is_filled_again(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one, two = [await join(server.url, machine) for machine in (1, 2)]
    await jetstream.purge_stream("KV_lambdamesh")
    three = await join(server.url, 3)
    await soon(lambda: three.sees(one) and three.sees(two), "both")
    assert one.told.failures == two.told.failures == []


async def test_the_next_url_is_used_where_one_is_down(server: NatsProcess, join: Join) -> None:
    one = await join(f"nats://127.0.0.1:1,{server.url}", 1)
    two = await join(f"{server.url},nats://127.0.0.1:1", 2)
    await soon(lambda: one.sees(two) and two.sees(one), "each other")
