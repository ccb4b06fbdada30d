"""One machine id, and who may have it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import msgspec
import nats.js

from lambdamesh.core.peering import NodeRecord
from tests.directories import record, soon
from tests.integration.directory.conftest import FAST, Joined
from tests.nats_servers import NatsProcess

Join = Callable[..., Awaitable[Joined]]
SINCE = 1_711_843_200.0


async def test_who_finds_a_live_node_with_its_machine_id_fails(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 0xAE, "first", started_at=SINCE)
    second = await join(server.url, 0xAE, "second", is_awaited=False)
    second.probing.answers[first.me.address] = first.me
    await soon(lambda: second.told.failures, "it fails")
    assert second.probing.asked == [first.me.address]
    (reason,) = second.told.failures
    assert reason.startswith(
        "machine id 000000ae is that of another node, host-ae at 10.0.0.174:7631, since 2024-03-31"
    )
    assert "--state" in reason
    assert "--machine-id" in reason
    assert second.directory.trouble() == reason
    assert not second.directory.complete()
    assert first.directory.trouble() is None
    assert first.told.failures == []


async def test_a_claim_of_a_time_that_cannot_be_is_told_by_when_it_was_written(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 0xAE, "first", started_at=1e300)
    second = await join(server.url, 0xAE, "second", is_awaited=False)
    second.probing.answers[first.me.address] = first.me
    await soon(lambda: second.told.failures, "it fails")
    assert ", since 20" in second.told.failures[0]


async def test_the_one_that_failed_takes_no_claim_with_it(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 2, "first")
    other = await join(server.url, 3)
    second = await join(server.url, 2, "second", is_awaited=False)
    second.probing.answers[first.me.address] = first.me
    await soon(lambda: second.told.failures, "it fails")
    await second.directory.stop()
    assert other.sees(first)


async def test_the_claim_of_a_dead_node_is_taken_over(server: NatsProcess, join: Join) -> None:
    other = await join(server.url, 2)
    first = await join(server.url, 1, "first", started_at=1.0)
    await first.crash()
    second = await join(server.url, 1, "second", started_at=2.0)
    assert second.probing.asked == [first.me.address]
    await soon(lambda: other.sees(second), "the new instance")
    assert second.told.failures == []


async def test_a_claim_at_which_this_node_itself_answers_is_its_own(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 1, "first")
    await first.crash()
    second = await join(server.url, 1, "second", is_awaited=False)
    second.probing.answers[first.me.address] = second.me
    await second.complete()


async def test_an_address_where_another_machine_lives_now_is_no_claim(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 1, "first")
    await first.crash()
    second = await join(server.url, 1, "second", is_awaited=False)
    second.probing.answers[first.me.address] = record(9)
    await second.complete()


async def test_a_probe_that_breaks_is_no_answer(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 1, "first")
    await first.crash()

    async def refused(address: str) -> NodeRecord | None:
        raise ConnectionRefusedError

    await join(server.url, 1, "second", probe=refused)


async def test_a_probe_that_hangs_is_given_its_time(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 1, "first")
    await first.crash()
    dialled, hung_up = asyncio.Event(), asyncio.Event()

    async def hang(address: str) -> NodeRecord | None:
        dialled.set()
        try:
            await asyncio.Event().wait()
        finally:
            hung_up.set()
        return None

    await join(server.url, 1, "second", probe=hang, pace=replace(FAST, probe_s=0.1))
    assert dialled.is_set()
    assert hung_up.is_set()


async def test_a_node_whose_claim_was_taken_fails_if_the_other_lives(server: NatsProcess, join: Join) -> None:
    first = await join(server.url, 1, "first")
    # The first cannot be reached from where the second is, but the second can from here.
    address = "10.0.0.99:7631"
    first.probing.answers[address] = record(1, "second", address=address)
    second = await join(server.url, 1, "second", address=address)
    assert second.probing.asked == [first.me.address]
    await soon(lambda: first.told.failures, "the first gives way")
    assert "host-1 at 10.0.0.99:7631" in first.told.failures[0]
    assert second.told.failures == []
    assert second.directory.trouble() is None


async def test_of_two_that_cannot_reach_each_other_one_fails(server: NatsProcess, join: Join) -> None:
    nodes = [await join(server.url, 1, name, is_awaited=False, address=f"{name}:1") for name in ("one", "two")]
    await soon(lambda: any(node.told.failures for node in nodes), "one to fail")
    (loser,) = [node for node in nodes if node.told.failures]
    (winner,) = [node for node in nodes if not node.told.failures]
    assert "cannot be reached from here, but" in loser.told.failures[0]
    assert winner.me.address in loser.told.failures[0]
    await winner.complete()


async def test_a_claim_that_is_renewed_while_its_holder_is_dialled_is_not_taken_over(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    first = await join(server.url, 1, "first")
    await first.crash()
    bucket = await jetstream.key_value("lambdamesh")
    dials: list[str] = []

    async def slow_to_answer(address: str) -> NodeRecord | None:
        dials.append(address)
        if len(dials) > 1:
            return first.me
        await bucket.put("00000001", msgspec.json.encode(first.me))
        return None

    second = await join(server.url, 1, "second", is_awaited=False, probe=slow_to_answer)
    await soon(lambda: second.told.failures, "it fails")
    assert len(dials) == 2
    assert msgspec.json.decode((await bucket.get("00000001")).value or b"", type=NodeRecord) == first.me


async def test_of_two_that_race_for_a_claim_one_wins(server: NatsProcess, join: Join) -> None:
    for attempt in range(5):
        machine = 100 + attempt
        nodes = [await join(server.url, machine, name, is_awaited=False) for name in ("one", "two")]
        for node, other in (nodes, nodes[::-1]):
            node.probing.answers[node.me.address] = other.me
        await soon(partial(_one_has_failed, nodes), "one to fail")
        (winner,) = [node for node in nodes if not node.told.failures]
        await winner.complete()
        assert winner.directory.trouble() is None


async def test_a_key_that_somebody_deletes_is_written_again_at_once(
    server: NatsProcess, join: Join, jetstream: nats.js.JetStreamContext
) -> None:
    one, two = await join(server.url, 1), await join(server.url, 2)
    await soon(lambda: two.sees(one), "it")
    bucket = await jetstream.key_value("lambdamesh")
    await bucket.delete("00000001")
    await soon(lambda: two.sees(one), "it again")
    await bucket.purge("00000001")
    await soon(lambda: two.sees(one), "it again")
    assert one.told.failures == []


def _one_has_failed(nodes: list[Joined]) -> bool:
    return sum(bool(node.told.failures) for node in nodes) == 1
