"""A wall clock that jumps an hour forwards, and back: ids never repeat, calls and graces keep their time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.crowds.scale import node_settings
from tests.faults.hardship.conftest import StartMesh
from tests.faults.hardship.ids import Ids
from tests.integration.calling import gone
from tests.integration.mesh.mishaps import timed
from tests.integration.reopening import ended
from tests.json_rpc_2 import Provider2, calling
from tests.lambda_ids import parse
from tests.meshes import Mesh, call, counters, peers
from tests.nodes import ROOT, Node, until
from tests.providers import Answering, Provider, echo
from tests.wire import refused

HOUR_S = 3600
GRACE_S = 3.0
SHIM = Path(__file__).parent / "wrong_clock"
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forwards", "back"])

SetClock = Callable[[int], None]
"""Says how far the first node's wall clock is off, in seconds."""


@pytest.fixture
def jumping(start_mesh: StartMesh, tmp_path: Path) -> tuple[Mesh, SetClock]:
    """Two nodes, both with a clock that can be set; that of the first is."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    source = os.environ.get("LAMBDAMESH_TEST_SOURCE") or str(ROOT / "src")
    clock = {"PYTHONPATH": f"{SHIM}:{source}", "CLOCK_OFFSET_FILE": offset}
    running = start_mesh(1, **clock, **node_settings())
    running.add(CLOCK_OFFSET_FILE=tmp_path / "none")
    running.await_link(running.nodes[1], running.nodes[0])
    return running, lambda seconds: int_written(offset, seconds)


def int_written(path: Path, seconds: int) -> None:
    """Replace the file as a whole: the node reads it all the time."""
    fresh = path.with_name("fresh")
    fresh.write_text(str(seconds))
    fresh.replace(path)


def waiting(node: Node, provider: Provider2) -> None:
    """End the provider's socket without a word, and wait until its lambda waits."""
    provider.ws.http.reset()
    shown = f"/lambda/{provider.id}"
    until(lambda: node.fetch("GET", shown).json().get("state") == "waiting", "the lambda waits")


def clock_is(node: Node, seconds: int, ids: Ids) -> None:
    """Check that the node's clock has been set, by the time of a new id, where that is not under its floor."""
    true_ms = parse(ids.mint(node, 1)).at_ms
    assert seconds <= 0 or abs(true_ms - first_ms(ids) - seconds * 1000) < 60_000


def first_ms(ids: Ids) -> int:
    return parse(ids.minted[0]).at_ms


@JUMPS
def test_what_is_under_way_keeps_its_time(jumping: tuple[Mesh, SetClock], jump_s: int) -> None:
    running, set_clock = jumping
    node, other = running
    ids = Ids()
    ids.mint(node)
    with Provider2(node, f"/lambda/new?grace={GRACE_S}").accept() as provider:
        ids.saw(provider.id)
        with calling(node, provider.id) as near, calling(other, provider.id) as far:
            held = [provider.call(), provider.call()]
            set_clock(jump_s)
            clock_is(node, jump_s, ids)
            # None ends early, none is late, and each is answered once.
            answer, took_s = timed(lambda: node.fetch("POST", f"/lambda/{provider.id}/m?timeout=0.5", b"1"))
            refused(answer, 504, "timeout")
            assert 0.5 <= took_s < 2.5
            for message in held:
                provider.answer(message, "once")
            assert near.answer().json() == far.answer().json() == "once"
            assert near.quiet() and far.quiet()
        assert provider.call()["method"] == "m"
        # A lambda waits as long as it was told to, and comes back with its key.
        waiting(node, provider)
        target = f"/lambda/new/{provider.id}?key={provider.key}&grace={GRACE_S}"
        with calling(other, provider.id, "back") as waits, Provider2(node, target).accept() as again:
            again.answer(again.call("back"), "here")
            assert waits.answer().json() == "here"
            set_clock(0)
            waiting(node, again)
            _, took_s = timed(lambda: until(lambda: gone(node, provider.id), "it ends", GRACE_S + 5))
            assert took_s > GRACE_S - 1
    # Nobody has lost sight of anybody.
    for one in running:
        assert all(row["alive"] for row in peers(one))
        assert counters(one)["mesh_degraded"] == 0
    assert counters(node)["links_lost"] == counters(other)["links_lost"] == 0
    with Answering(node.address, echo) as answering:
        assert call(other, answering.id) == (200, 1)


def test_ids_never_repeat(jumping: tuple[Mesh, SetClock]) -> None:
    running, set_clock = jumping
    ids = Ids()
    for offset_s in (0, HOUR_S, 0, -HOUR_S, 0):
        set_clock(offset_s)
        ids.mint(running.nodes[0], 5)
        running.nodes[0].kill()
        ids.mint(running.restart(running.nodes[0]), 5)
    running.await_link(running.nodes[1], running.nodes[0])
    with Answering(running.nodes[0].address, echo) as answering:
        ids.saw(answering.id)
        assert call(running.nodes[1], answering.id) == (200, 1)


def test_whoever_came_while_the_clock_was_ahead_comes_back(jumping: tuple[Mesh, SetClock]) -> None:
    """An id of a time that is yet to come is no reason to refuse whoever has it, with a key or as the first codec does."""
    running, set_clock = jumping
    node = running.nodes[0]
    set_clock(HOUR_S)
    with Provider(node.address) as first, Provider2(node).accept() as second:
        first.accept()
        set_clock(0)
        lambda_id = ended(node, first)
        with Provider(node.address, f"/lambda/new/{lambda_id}") as back:
            assert back.accept().id == lambda_id
        with second.again() as again, calling(running.nodes[1], second.id) as caller:
            again.answer(again.call(), "here")
            assert caller.answer().json() == "here"
