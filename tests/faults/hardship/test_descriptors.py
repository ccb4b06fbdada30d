"""A node that has no file descriptor left: what is there goes on, it says so at each of its doors, and it passes."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from pathlib import Path

from tests.faults.crowds.scale import node_settings
from tests.faults.hardship.conftest import StartMesh
from tests.faults.hardship.ids import Ids
from tests.integration.mesh.strangers import Stranger, knock
from tests.json_rpc_2 import Provider2, calling
from tests.lambda_ids import parse, sibling
from tests.meshes import call, counters
from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo
from tests.wire import RawHttp, request

NEWCOMERS = 40
SAID = "Too many open files"


def only_so_many_more(node: Node, count: int) -> tuple[int, int]:
    """Let the node open so many descriptors more, and no further one; the limits before."""
    highest = max(int(path.name) for path in Path(f"/proc/{node.pid}/fd").iterdir())
    before = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (highest + 1 + count, before[1]))
    return before


def test_without_a_descriptor(start_mesh: StartMesh) -> None:
    running = start_mesh(2, **node_settings())
    node, other = running
    ids = Ids()
    ids.mint(node)
    with (
        Answering(node.address, echo) as provider,
        Answering(other.address, echo) as afar,
        Provider2(node).accept() as held,
        RawHttp(node.address) as steady,
        calling(other, held.id) as caller,
        ExitStack() as crowd,
    ):
        under_way = held.call()
        assert steady.ask("POST", f"/lambda/{provider.id}/m", b"1").json() == 1
        ids.saw(held.id)
        before = only_so_many_more(node, 2)
        newcomers = [crowd.enter_context(RawHttp(node.address)) for _ in range(NEWCOMERS)]
        for http in newcomers:
            http.send(request("GET", "/ping"))
        assert SAID in node.wait_log("accepting_paused")["why"]
        for _ in range(3):
            crowd.enter_context(knock(node))
        assert SAID in node.wait_log("mesh_door_paused")["why"]
        # Calls by connections and links that are there go on, both ways.
        for number in range(20):
            assert steady.ask("POST", f"/lambda/{provider.id}/m", b"%d" % number).json() == number
            assert steady.ask("POST", f"/lambda/{afar.id}/m", b"%d" % number).json() == number
            assert call(other, provider.id) == (200, 1)
        held.answer(under_way, "once")
        assert caller.answer().json() == "once" and caller.quiet()
        # What is written to the disk waits, and says so.
        assert steady.ask("DELETE", f"/lambda/{held.id}").status == 200
        assert SAID in node.wait_log("deletion_not_written")["why"]
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, before)
        assert {http.answer().status for http in newcomers} == {200}
        ahead = crowd.enter_context(Provider(node.address, f"/lambda/new/{sibling(provider.id, after_s=12.0)}"))
        ids.saw(ahead.accept().id)
        floor = node.state / "floor-0"
        until(lambda: int(floor.read_text()) > parse(ahead.id).at_ms, "there is a floor")
        with Stranger.with_secret(node, running.secret_file) as stranger:
            stranger.met()
    assert counters(node)["links_lost"] <= 1
    assert counters(other)["links_lost"] == 0
    node.kill()
    ids.mint(running.restart(node))
