"""A host that vanishes without a word: its callers are told within 5 s, and it is called again when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.mesh.mishaps import calls_in_flight, lost, out_of_reach, timed
from tests.integration.mesh.namespaces import Host, two_hosts
from tests.json_rpc_2 import Provider2, calling
from tests.meshes import counters, secret_file
from tests.nodes import Node, until

VANISHED_S = 6.5
"""Longest wait for callers of a host that has vanished, on a busy machine; 5 s is what a quiet one keeps."""


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[tuple[Host, Node, Node]]:
    """Two nodes on two hosts, and the host of the first; each has its local door on a Unix socket."""
    path = secret_file(tmp_path)
    with two_hosts() as hosts, ExitStack() as exits:
        nodes: list[Node] = []
        for number, host in enumerate(hosts):
            peer = {"peer": nodes[0].mesh_address} if nodes else {}
            settings = {"mesh": f"{host.address}:0", "local": f"unix:{tmp_path}/door{number}", **peer}
            with host.inside():
                node = Node(tmp_path / f"state{number}", {"mesh_secret_file": path, **settings})
            exits.callback(node.stop)
            nodes.append(node.ready())
        for node in nodes:
            until(lambda node=node: counters(node)["links"] == 1, "there is a link", 10)  # type: ignore[misc]
        yield hosts[0], nodes[0], nodes[1]
        assert not any(node.complaints() for node in nodes)


def test_callers_of_a_host_that_vanishes_are_told(apart: tuple[Host, Node, Node]) -> None:
    host, owner, entry = apart
    with Provider2(owner).accept() as provider, Provider2(entry).accept() as here:
        [caller], [by_it] = calls_in_flight(entry, provider, 1), calls_in_flight(owner, here, 1)
        host.cut()
        answer, took_s = timed(caller.answer)
        print(f"the caller of a host that vanished was told within {took_s:.2f} s")
        lost(answer)
        assert took_s < VANISHED_S
        # The other way round it is the same: nobody waits there any more, as far as can be known.
        assert here.cancelled() == 1
        lost(by_it.answer())
        out_of_reach(entry, provider.id)
        host.mend()
        assert provider.cancelled() == 1
        _, healed_s = timed(
            lambda: until(lambda: entry.fetch("GET", f"/lambda/{provider.id}").status == 200, "it is back", 20)
        )
        print(f"{healed_s:.2f} s after it came back it is called again")
        for node, one in ((entry, provider), (owner, here)):
            with calling(node, one.id) as http:
                one.answer(one.call(), "well again")
                assert http.answer().json() == "well again"


def test_a_short_cut_of_the_cable_is_not_noticed(apart: tuple[Host, Node, Node]) -> None:
    host, owner, entry = apart
    with Provider2(owner).accept() as provider, calling(entry, provider.id) as http:
        message = provider.call()
        host.cut()
        provider.answer(message, "through")
        host.mend()
        assert http.answer().json() == "through"
    assert counters(entry)["links_lost"] == counters(owner)["links_lost"] == 0
