"""Each node of three is drained and started again, one after the other, at 500 calls a second: no call fails."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.restarts.rolling import NODES, Size, roll, trio_in

SIZE = Size()


@pytest.mark.parametrize("callers", ["client", "http"])
@pytest.mark.parametrize("directory", ["peers", "nats"])
def test_no_call_fails_while_each_node_restarts(tmp_path: Path, directory: str, callers: str) -> None:
    with trio_in(tmp_path, by_nats=directory == "nats") as trio:
        began_at = time.monotonic()
        account = roll(trio, tmp_path, SIZE, is_bare=callers == "http")
        took_s = time.monotonic() - began_at
        print(f"{account.calls} calls in {took_s:.1f} s, the slowest {account.slowest_s:.2f} s; {NODES} restarts")
        account.check(least_calls=SIZE.rate * 1.0)
        assert not any(node.complaints() for node in trio.nodes)
