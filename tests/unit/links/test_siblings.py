"""When a worker asks for another socket to a sibling, and when it waits for the one that is on its way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lambdamesh.core.places import Atlas, place_of
from lambdamesh.links import siblings as module
from lambdamesh.links.connection import Owner, Wiring
from lambdamesh.links.peer import Peer
from lambdamesh.links.siblings import Siblings
from tests.unit.fakes import MACHINE

OTHER = place_of(MACHINE, 1)


class Linked(asyncio.Protocol):
    """A connection of which the test says how it ends."""

    made: list[Linked]

    def __init__(self, _wiring: object, _owner: object, *, is_kept: bool = False) -> None:
        self.sibling: int | None = None
        self.is_kept = is_kept
        self.link = SimpleNamespace(is_closed=False, has_parted=False, is_up=True)
        self.peer_lambdas: int | None = None
        self.dialler = self.up_at = self.heard_at = 0
        self.made.append(self)


class Stage:
    """Worker 0 of two, and what it has asked for: which worker, and the socket that is over."""

    def __init__(self) -> None:
        self.peers: dict[int, Peer] = {}
        self.asked: list[tuple[int, int]] = []
        self.found = 0
        wiring, owner = cast("Wiring", None), cast("Owner", None)
        self.siblings = Siblings(wiring, owner, Atlas(MACHINE, 0, 2), self.peers)
        self.siblings.lost = lambda worker, pairing: self.asked.append((worker, pairing))
        self.siblings.found = self._find
        self.ends: list[socket.socket] = []

    def _find(self) -> None:
        self.found += 1

    async def give(self, pairing: int) -> Linked:
        """Have the supervisor give a socket."""
        mine, theirs = socket.socketpair()
        self.ends.append(theirs)
        await self.siblings.link(1, pairing, mine)
        return Linked.made[-1]

    def up(self, connection: Linked) -> None:
        self.peers.setdefault(OTHER, Peer(OTHER)).up(cast("Any", connection))
        self.siblings.linked()

    def end(self, connection: Linked, *, has_parted: bool = False) -> None:
        connection.link.is_closed, connection.link.is_up = True, False
        connection.link.has_parted = has_parted
        if OTHER in self.peers:
            self.peers[OTHER].gone(cast("Any", connection), "it died")
        self.siblings.look_for(1)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(module, "Connection", Linked)
    monkeypatch.setattr(module, "_PARTED_S", 0.05)
    Linked.made = []
    stage = Stage()
    yield stage
    for end in stage.ends:
        end.close()


async def test_a_link_is_kept_while_it_is_idle(stage: Stage) -> None:
    connection = await stage.give(1)
    assert (connection.sibling, connection.is_kept) == (1, True)


async def test_whoever_has_no_link_asks_for_another_and_names_the_last(stage: Stage) -> None:
    connection = await stage.give(4)
    stage.up(connection)
    stage.end(connection)
    assert stage.asked == [(1, 4)]


async def test_a_socket_that_came_meanwhile_is_waited_for(stage: Stage) -> None:
    first = await stage.give(1)
    stage.up(first)
    second = await stage.give(2)
    stage.end(first)
    assert stage.asked == []
    stage.end(second)
    assert stage.asked == [(1, 2)]


async def test_one_that_went_in_order_has_time_to_come_back(stage: Stage) -> None:
    connection = await stage.give(1)
    stage.up(connection)
    stage.end(connection, has_parted=True)
    assert stage.asked == []
    await stage.give(2)
    its_time_is_over = asyncio.Event()
    # Behind its own timer, which was set before this one and for as long.
    asyncio.get_running_loop().call_later(module._PARTED_S, its_time_is_over.set)
    await its_time_is_over.wait()
    assert stage.asked == []


async def test_one_that_went_in_order_and_does_not_come_back_is_asked_for(stage: Stage) -> None:
    connection = await stage.give(1)
    stage.up(connection)
    asked = asyncio.Event()
    stage.siblings.lost = lambda worker, pairing: asked.set()
    stage.end(connection, has_parted=True)
    assert not asked.is_set()
    async with asyncio.timeout(5.0):
        await asked.wait()


async def test_a_worker_that_ends_has_no_more_links(stage: Stage) -> None:
    connection = await stage.give(1)
    stage.up(connection)
    stage.siblings.stop()
    stage.end(connection)
    assert stage.asked == []
    made = len(Linked.made)
    await stage.give(2)
    assert len(Linked.made) == made
    assert stage.ends[-1].recv(1) == b""


async def test_meeting_waits_for_each(stage: Stage) -> None:
    meeting = asyncio.ensure_future(stage.siblings.met())
    connection = await stage.give(1)
    await asyncio.sleep(0)
    assert not meeting.done()
    stage.up(connection)
    async with asyncio.timeout(5.0):
        await meeting
    assert stage.found == 1


async def test_the_lambdas_of_the_others_are_those_they_last_spoke_of(stage: Stage) -> None:
    assert stage.siblings.lambdas() == 0
    connection = await stage.give(1)
    stage.up(connection)
    assert stage.siblings.lambdas() == 0
    connection.peer_lambdas = 17
    assert stage.siblings.lambdas() == 17
