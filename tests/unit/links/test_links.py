"""What becomes of the ways to other nodes when those come back with more or fewer workers, or twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lambdamesh.core.budget import Budget
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.peering import NodeRecord
from lambdamesh.core.places import Atlas, place_of
from lambdamesh.core.wheel import Wheel
from lambdamesh.directory.static import Static
from lambdamesh.links.acquaintance import Acquaintance
from lambdamesh.links.connection import Wiring
from lambdamesh.links.links import Links
from lambdamesh.links.peer import State
from lambdamesh.protocol.link_exchange import LinkClosed
from lambdamesh.protocol.link_frames import Hello
from tests.unit.core.test_places import minted_by
from tests.unit.links.test_peer import Link, gone

ME, OTHER = 1, 2
OF_SECOND = minted_by(1, machine=OTHER)
"""An id whose home is the second worker of the other node, where that has two."""


class Connected:
    """A connection of another node to this one, which has dialled here."""

    def __init__(self, place: int) -> None:
        self.link = Link(place)
        self.sibling = self.dialled = self.record = None
        self.is_oneself = self.is_kept = False
        self.machine = OTHER
        self.place = self.dialler = 0
        self.peer_address = "192.0.2.7:4711"
        self.up_at = self.heard_at = time.monotonic()
        self.is_heard = True
        self.welcome: Callable[[], None]

    def heard_within(self, _seconds: float) -> bool:
        return self.is_heard

    def look(self) -> None:
        pass

    def settle(self) -> None:
        pass


class Holding:
    """Holds one lambda of the other node's second worker, as ``core.claims.Claims`` would."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas

    def holding(self, place: int) -> tuple[str, bytes]:
        return "holding", OF_SECOND if self._atlas.home_of(OF_SECOND) == place else b""

    def homes(self) -> tuple[int, ...]:
        return ()


class Here:
    """The links of a node that knows another one."""

    def __init__(self) -> None:
        now = time.monotonic()
        counters, limits = Counters(), Limits()
        clock = Clock(now, int(time.time() * 1000))
        wiring = Wiring(limits, counters, Wheel(0.01, now), Budget(1_000_000), clock, time.monotonic)
        self.directory = Static(())
        self.atlas = Atlas(ME)
        acquaintance = Acquaintance(NodeRecord(machine=ME, instance="me"), self.directory, is_by_word=True)
        self.links = Links(wiring, acquaintance, self.directory, self.atlas, None)
        self.links.holder = Holding(self.atlas)

    def greets(self, instance: str, worker: int, workers: int) -> Any:
        """A worker of the other node dials, and is welcome."""
        connection: Any = Connected(place_of(OTHER, worker))
        hello = Hello(machine="00000002", instance=instance, address="192.0.2.7:7631", worker=worker, workers=workers)
        self.links.greeted(connection, hello)
        connection.welcome()
        return connection


async def test_a_home_that_comes_back_with_fewer_workers_is_told_of_all_that_is_held_of_it() -> None:
    """Its hello is the first that is heard of that: by what was known before another worker would be the home."""
    here = Here()
    before = here.greets("before", 0, 2)
    assert before.link.said == [("tell", "holding", b"")]
    gone(here.links._peers[place_of(OTHER, 0)], before)
    after = here.greets("after", 0, 1)
    assert after.link.said == [("tell", "holding", OF_SECOND)]


async def test_a_home_that_comes_back_with_more_workers_is_told_by_worker() -> None:
    here = Here()
    before = here.greets("before", 0, 1)
    assert before.link.said == [("tell", "holding", OF_SECOND)]
    gone(here.links._peers[place_of(OTHER, 0)], before)
    assert here.greets("after", 0, 2).link.said == [("tell", "holding", b"")]
    assert here.greets("after", 1, 2).link.said == [("tell", "holding", OF_SECOND)]


@pytest.mark.parametrize("is_heard", [True, False], ids=["lately", "not lately"])
async def test_a_second_node_with_a_machine_id_is_refused_at_every_worker(is_heard: bool) -> None:
    """Also by a worker that the one that is there does not have, or that nobody here has a link to."""
    here = Here()
    here.greets("first", 0, 1).is_heard = is_heard
    with pytest.raises(LinkClosed) as refusal:
        here.greets("second", 1, 2)
    assert refusal.value.is_refusal
    assert ("in use by another node" in refusal.value.why) == is_heard
    record = here.directory.find(OTHER)
    assert record is not None and (record.instance, record.workers) == ("first", 1)


async def test_a_worker_that_a_node_has_no_more_is_lost_though_the_node_lives() -> None:
    """Else nobody would ever give up what it has held."""
    here = Here()
    second = place_of(OTHER, 1)
    connection = here.greets("before", 1, 2)
    assert not here.links.is_lost(second)
    gone(here.links._peers[second], connection)
    here.greets("after", 0, 1)
    for _ in range(2):
        here.links.refresh()
        assert here.links.is_lost(second)
    assert here.links._peers[second].state is State.DOWN
