"""What a stream may take: of one item, of its caller's time, of the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.calling import call
from tests.integration.metering import metric
from tests.integration.streaming import NDJSON, SSE, begun, read_item, wait_cancelled
from tests.json_rpc_2 import Counting, Provider2, calling
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]

ITEM_BYTES = 65_536


def test_an_item_of_64_kib_passes(provider: Provider2) -> None:
    with calling(provider.node, provider.id, headers=NDJSON) as http:
        asked = provider.call()
        largest = "x" * (ITEM_BYTES - 2)
        provider.item(asked, largest)
        provider.answer(asked, None)
        assert http.answer().body == b'{"item":"%b"}\n{"result":null}\n' % largest.encode()


def test_a_larger_item_ends_the_stream(provider: Provider2) -> None:
    before = metric(provider.node, "stream_overruns_total")
    too_large = "x" * (ITEM_BYTES - 1)
    with calling(provider.node, provider.id, headers=SSE) as http:
        asked = provider.call()
        provider.item(asked, too_large)
        assert refused(http.answer(), 502, "bad_answer").delivered == "yes"
        wait_cancelled(provider, asked)
        assert http.ask("GET", "/ping").status == 200
    http, asked = begun(provider)
    with http:
        provider.item(asked, too_large)
        ended = http.chunk()
        assert ended.startswith(b"event: error\ndata: ")
        assert b'"bad_answer"' in ended
        wait_cancelled(provider, asked)
        assert http.chunk() == b""
    assert metric(provider.node, "stream_overruns_total") == before + 2
    # The socket and its other calls go on.
    with calling(provider.node, provider.id) as http:
        provider.answer(provider.call(), 1)
        assert http.answer().json() == 1


def test_an_item_that_is_no_json_ends_its_stream_alone(provider: Provider2) -> None:
    http, asked = begun(provider)
    with http:
        provider.ws.send(b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%d,"value":NaN}}' % asked["id"])
        assert b'"bad_answer"' in http.chunk()
        wait_cancelled(provider, asked)
    provider.settle()


@pytest.mark.parametrize("count", [16, 500])
def test_credit_comes_as_the_caller_takes(node: Node, count: int) -> None:
    with Counting(node) as counting, calling(node, counting.id, "count", b"%d" % count, SSE) as http:
        body = http.answer().body
        assert body == b"data: 0\n\n" * count + b"event: result\ndata: null\n\n"
        assert counting.cancelled_ids == []


# A caller that is slow


def resident_kib(node: Node) -> int:
    """What of the process's memory is its own (Linux)."""
    lines_ = Path(f"/proc/{node.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines_ if line.startswith(("Private_Clean", "Private_Dirty")))


def a_write_deadline_passes(node: Node, lambda_id: str) -> None:
    """Return when a plain caller that takes nothing has been cut for it."""
    # What is left then: the provider's, that of the caller of the stream, and the one that asks.
    until(lambda: metric(node, "connections") <= 3, "the others have gone")
    with RawHttp(node.address, receive_buffer_bytes=4096) as stuck:
        assert stuck.ask("GET", "/ping").status == 200
        there = metric(node, "connections")
        stuck.send(request("POST", f"/lambda/{lambda_id}/echo", b'"%b"' % (b"x" * (8 << 20))))
        until(lambda: metric(node, "connections") < there, "it is cut")


@pytest.mark.parametrize("size", [10, 1000, 60_000])
def test_a_slow_caller_costs_little_and_slows_only_itself(start_node: StartNode, size: int) -> None:
    """100,000 items for a caller that takes one now and then, and none for longer than a plain one may."""
    own = start_node(write_deadline_s=0.5)
    item = b'"%b"' % (b"x" * size)
    # What waits is the items that the provider was allowed to send unasked.
    most_kib = 1024 if size <= 1000 else 1024 + 16 * size // 1024
    with Counting(own, item) as counting:
        with calling(own, counting.id, "count", b"200", SSE) as warm:
            assert warm.answer().body.count(b"data: ") == 201
        for _ in range(200):
            assert call(own, counting.id, b"1").json() == 1
        before_kib, before = resident_kib(own), counting.sent
        with RawHttp(own.address, receive_buffer_bytes=4096) as slow:
            slow.send(request("POST", f"/lambda/{counting.id}/count", b"100000", SSE))
            assert slow.head().status == 200
            for _ in range(4):
                read_item(slow)
                for _ in range(50):
                    began_at = time.monotonic()
                    assert call(own, counting.id, b"1").json() == 1
                    assert time.monotonic() - began_at < 0.5
            assert resident_kib(own) - before_kib < most_kib
            a_write_deadline_passes(own, counting.id)
            assert counting.sent - before < 100_000
            for _ in range(300):
                assert read_item(slow) == b"data: %b\n\n" % item
        until(lambda: counting.cancelled_ids, "the call is cancelled")


@pytest.mark.parametrize("door", [0, 1], ids=["tcp", "unix"])
@pytest.mark.parametrize("count", [16, 100])
@pytest.mark.parametrize("ends", [False, True], ids=["keep-alive", "close"])
def test_what_is_left_of_a_stream_that_has_ended_waits_for_its_caller(
    start_node: StartNode, tmp_path: Path, door: int, count: int, ends: bool
) -> None:
    """The provider is done, the caller is not: it is as patient as before."""
    own = start_node(write_deadline_s=0.5, close_timeout_s=0.5, local=["127.0.0.1:0", f"unix:{tmp_path}/s"])
    item = b'"%b"' % (b"x" * 60_000)
    headers = [*SSE, ("Connection", "close")] if ends else SSE
    with Counting(own, item) as counting, RawHttp(own.addresses[door], receive_buffer_bytes=4096) as slow:
        slow.send(request("POST", f"/lambda/{counting.id}/count", b"%d" % count, headers))
        assert slow.head().status == 200
        before = own.open_files() - 1
        taken = 0
        while counting.sent < count:
            read_item(slow)
            taken += 1
        for _ in range(3):
            a_write_deadline_passes(own, counting.id)
        for _ in range(count - taken):
            assert read_item(slow) == b"data: %b\n\n" % item
        assert (slow.chunk(), slow.chunk()) == (b"event: result\ndata: null\n\n", b"")
        if ends:
            assert slow.rest() == b""
        else:
            assert slow.ask("GET", "/ping").status == 200
            # It is as impatient as ever with what is no stream.
            slow.send(request("POST", f"/lambda/{counting.id}/echo", b'"%b"' % (b"x" * (8 << 20))))
            until(lambda: own.open_files() <= before, "it is cut")


def test_a_caller_that_never_reads_is_cut_in_the_end(start_node: StartNode) -> None:
    own = start_node(stream_stall_s=0.5, write_deadline_s=0.5)
    with Counting(own, b'"%b"' % (b"x" * 60_000)) as counting:
        with RawHttp(own.address, receive_buffer_bytes=4096) as stuck:
            stuck.send(request("POST", f"/lambda/{counting.id}/count", b"100000", SSE))
            until(lambda: counting.cancelled_ids, "the call is cancelled")
        assert counting.sent < 1000
        assert call(own, counting.id, b"1").json() == 1
