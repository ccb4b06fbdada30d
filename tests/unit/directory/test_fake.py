"""The directory in memory is one like the others."""

from __future__ import annotations

import time

import pytest_asyncio

from lambdamesh.core.peering import Directory
from tests.directories import Told, record
from tests.fake_directory import Together
from tests.unit.directory.conformance import ME, Conformance


class TestMember(Conformance):
    @pytest_asyncio.fixture
    async def directory(self) -> Directory:
        member = Together(time.time()).member()
        await member.start(ME)
        return member


async def test_members_see_each_other_come_and_go() -> None:
    mesh = Together()
    one, two = mesh.member(), mesh.member()
    told = Told().of(one)
    await one.start(record(1))
    await two.start(record(2))
    assert one.nodes() == (record(2),)
    assert two.nodes() == (record(1),)
    assert told.changes == 2
    await two.stop()
    assert told.changes == 3
    assert one.knows(2)
    assert not one.is_alive(2, mesh.now_s)


async def test_a_machine_id_is_given_once() -> None:
    mesh = Together()
    await mesh.member().start(record(1))
    second = mesh.member()
    told = Told().of(second)
    await second.start(record(1, "another"))
    assert told.failures == ["machine id 00000001 is that of host-1"]
