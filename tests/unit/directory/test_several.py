"""Several directories as one."""

from __future__ import annotations

import time

import pytest
import pytest_asyncio

from lambdamesh.core.peering import Directory
from lambdamesh.directory.several import Several
from lambdamesh.directory.static import Static
from tests.directories import Told, record, soon
from tests.fake_directory import Member, Together
from tests.unit.directory.conformance import ME, Conformance


class TestSeveral(Conformance):
    @pytest_asyncio.fixture
    async def directory(self) -> Directory:
        several = Several((Together(time.time()).member(), Together(time.time()).member()))
        await several.start(ME)
        return several


@pytest.fixture
def meshes() -> tuple[Together, Together]:
    return Together(), Together()


@pytest_asyncio.fixture
async def several(meshes: tuple[Together, Together]) -> Several:
    several = Several((meshes[0].member(), meshes[1].member()))
    await several.start(ME)
    return several


async def _join(mesh: Together, machine: int, instance: str = "", started_at: float = 0.0) -> Member:
    member = mesh.member()
    await member.start(record(machine, instance, started_at=started_at))
    return member


async def test_it_knows_what_one_of_them_knows(several: Several, meshes: tuple[Together, Together]) -> None:
    told = Told().of(several)
    await _join(meshes[0], 2)
    await _join(meshes[1], 3)
    assert told.changes == 2
    assert {node.machine for node in several.nodes()} == {2, 3}
    assert several.knows(3)
    assert several.heard_at(3) == meshes[1].now_s
    assert several.is_alive(3, meshes[1].now_s)


async def test_a_node_in_both_is_one(several: Several, meshes: tuple[Together, Together]) -> None:
    await _join(meshes[0], 2, "first", started_at=100)
    await _join(meshes[1], 2, "second", started_at=200)
    assert several.nodes() == (record(2, "second", started_at=200),)


async def test_it_is_complete_when_all_are(several: Several, meshes: tuple[Together, Together]) -> None:
    assert several.complete()
    assert several.trouble() is None
    meshes[1].is_cut = True
    assert not several.complete()
    assert several.trouble() == "the mesh of this test is cut: join it"


async def test_a_node_that_is_gone_from_one_lives_by_the_other(
    several: Several, meshes: tuple[Together, Together]
) -> None:
    first = await _join(meshes[0], 2)
    second = await _join(meshes[1], 2)
    await first.stop()
    assert several.is_alive(2, meshes[0].now_s)
    await second.stop()
    assert not several.is_alive(2, meshes[0].now_s)


async def test_seeds_and_their_answers_are_those_of_all() -> None:
    static = Static(("10.0.0.7:7631",))
    both = Several((static, Together().member(), Static(("10.0.0.7:7631", "10.0.0.8:7631"))))
    told = Told().of(both)
    await both.start(ME)
    await soon(lambda: both.seeds() == ("10.0.0.7:7631", "10.0.0.8:7631"), "the seeds of both")
    assert told.changes
    assert not both.complete()
    both.answered("10.0.0.7:7631", record(7))
    both.learn(record(7), time.time(), is_hearsay=False)
    assert static.complete()
    assert not both.complete()
    both.answered("10.0.0.8:7631", ME)
    assert both.complete()
    assert both.seeds() == ("10.0.0.7:7631",)
    await both.stop()


async def test_a_failure_of_one_is_one_of_all(meshes: tuple[Together, Together]) -> None:
    await _join(meshes[1], ME.machine, "another")
    several = Several((meshes[0].member(), meshes[1].member()))
    told = Told().of(several)
    await several.start(ME)
    assert told.failures == ["machine id 00000001 is that of host-1"]
