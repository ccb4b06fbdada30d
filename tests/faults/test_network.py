"""What the network of the fault suite does to packets: each way of breaking it, and its mending."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator

import pytest

from tests.faults.network import Network, NoNetwork, network
from tests.nodes import until

QUIET_S = 0.3


@pytest.fixture(scope="module")
def pair() -> Iterator[Network]:
    try:
        with network(2) as made:
            yield made
    except NoNetwork as reason:
        print(reason)
        pytest.skip(str(reason))


@pytest.fixture
def ends(pair: Network) -> Iterator[dict[str, socket.socket]]:
    """A socket for datagrams on each host, by the host's name."""
    made: dict[str, socket.socket] = {}
    for name, host in pair.hosts.items():
        with host.inside():
            made[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made[name].bind((host.address, 9000))
        made[name].settimeout(QUIET_S)
    yield made
    for one in made.values():
        one.close()


def passes(ends: dict[str, socket.socket], source: str, target: str) -> bool:
    """Whether a datagram arrives."""
    word = secrets.token_bytes(8)
    try:
        ends[source].sendto(word, ends[target].getsockname())
        while ends[target].recv(64) != word:
            pass
    except OSError:
        return False
    return True


def ways(ends: dict[str, socket.socket]) -> tuple[bool, bool]:
    """Whether anything goes from the first to the second, and back."""
    return passes(ends, "node1", "node2"), passes(ends, "node2", "node1")


def await_well(ends: dict[str, socket.socket]) -> None:
    until(lambda: ways(ends) == (True, True), "all arrives again", 10)


def test_a_black_hole_takes_both_ways(pair: Network, ends: dict[str, socket.socket]) -> None:
    await_well(ends)
    pair.swallow("node1", is_on=True)
    assert ways(ends) == (False, False)
    pair.swallow("node1", is_on=False)
    await_well(ends)


def test_a_one_way_partition_takes_one(pair: Network, ends: dict[str, socket.socket]) -> None:
    await_well(ends)
    pair.deafen("node1", "node2", is_on=True)
    assert ways(ends) == (False, True)
    pair.deafen("node1", "node2", is_on=False)
    await_well(ends)


def test_a_cable_that_is_out_takes_both_ways(pair: Network, ends: dict[str, socket.socket]) -> None:
    await_well(ends)
    pair.hosts["node2"].cut()
    assert ways(ends) == (False, False)
    pair.hosts["node2"].mend()
    await_well(ends)


def test_a_partition_may_be_undone_behind_a_cable_that_was_out(pair: Network, ends: dict[str, socket.socket]) -> None:
    await_well(ends)
    pair.deafen("node1", "node2", is_on=True)
    pair.hosts["node1"].cut()
    pair.hosts["node1"].mend()
    pair.deafen("node1", "node2", is_on=False)
    await_well(ends)
