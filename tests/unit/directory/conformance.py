"""What every directory must show, whatever it learns the nodes from. Each test file of one derives a class from it."""

from __future__ import annotations

import time

import pytest

from lambdamesh.core.peering import Directory
from tests.directories import Told, record

ME = record(0x1, "mine")


class Conformance:
    """``directory`` is a fixture of the class below: one that was started as ``ME`` and knows nobody."""

    async def test_it_knows_nobody_at_first_and_not_itself(self, directory: Directory) -> None:
        assert directory.nodes() == ()
        assert not directory.knows(ME.machine)
        assert directory.find(ME.machine) is None
        assert directory.heard_at(7) is None
        assert not directory.is_alive(7, time.time())

    async def test_a_hello_makes_a_node_known(self, directory: Directory) -> None:
        told, now_s = Told().of(directory), time.time()
        directory.learn(record(7), now_s, is_hearsay=False)
        assert directory.knows(7)
        assert directory.find(7) == record(7)
        assert directory.nodes() == (record(7),)
        assert directory.heard_at(7) == now_s
        assert directory.is_alive(7, now_s)
        assert told.changes == 1

    async def test_hearsay_makes_a_node_known_too(self, directory: Directory) -> None:
        told, now_s = Told().of(directory), time.time()
        directory.learn(record(7), now_s, is_hearsay=True)
        assert directory.find(7) == record(7)
        assert directory.is_alive(7, now_s)
        assert told.changes == 1

    async def test_what_is_told_twice_is_no_change_but_a_sign_of_life(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7), now_s - 60, is_hearsay=False)
        told = Told().of(directory)
        directory.learn(record(7), now_s, is_hearsay=False)
        assert told.changes == 0
        assert directory.heard_at(7) == now_s

    async def test_hearsay_does_not_override_a_hello(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7), now_s, is_hearsay=False)
        told = Told().of(directory)
        directory.learn(record(7, address="10.9.9.9:1"), now_s, is_hearsay=True)
        directory.learn(record(7, "another"), now_s, is_hearsay=True)
        assert directory.find(7) == record(7)
        assert told.changes == 0

    async def test_a_hello_overrides_hearsay_and_a_hello(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7, address="10.9.9.9:1"), now_s, is_hearsay=True)
        told = Told().of(directory)
        for address in ("10.0.0.8:7631", "10.0.0.9:7631"):
            directory.learn(record(7, address=address), now_s, is_hearsay=False)
            found = directory.find(7)
            assert found is not None
            assert found.address == address
        assert told.changes == 2

    async def test_a_later_instance_takes_the_place_of_an_earlier_one(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7, "first", started_at=100.0), now_s - 101, is_hearsay=False)
        directory.learn(record(7, "second", started_at=200.0), now_s, is_hearsay=True)
        directory.learn(record(7, "first", started_at=100.0), now_s, is_hearsay=True)
        assert directory.find(7) == record(7, "second", started_at=200.0)

    async def test_nobody_talks_over_a_node_that_has_just_said_hello(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7, "first", started_at=100.0), now_s - 10, is_hearsay=False)
        told = Told().of(directory)
        directory.learn(record(7, "second", started_at=now_s), now_s, is_hearsay=True)
        directory.overhear([(record(7, "third", started_at=now_s + 50), now_s)])
        assert directory.find(7) == record(7, "first", started_at=100.0)
        assert told.changes == 0

    async def test_once_its_link_has_gone_others_may_say_where_a_node_is(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7, "first", started_at=100.0), now_s, is_hearsay=False)
        directory.parted(7)
        directory.parted(8)
        told = Told().of(directory)
        directory.learn(record(7, "second", started_at=200.0), now_s, is_hearsay=True)
        assert directory.find(7) == record(7, "second", started_at=200.0)
        assert told.changes == 1

    async def test_a_start_in_the_future_is_no_reason_to_be_believed(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7, "ahead", started_at=now_s + 3600), now_s - 200, is_hearsay=False)
        directory.learn(record(7, "mended", started_at=now_s - 10), now_s, is_hearsay=True)
        assert directory.find(7) == record(7, "mended", started_at=now_s - 10)
        directory.learn(record(7, "ahead again", started_at=now_s + 3600), now_s - 50, is_hearsay=True)
        assert directory.find(7) == record(7, "mended", started_at=now_s - 10)
        directory.learn(record(7, "said", started_at=1.0), now_s, is_hearsay=False)
        assert directory.find(7) == record(7, "said", started_at=1.0)

    async def test_of_two_of_which_nobody_knows_which_came_later_the_fresher_is_believed(
        self, directory: Directory
    ) -> None:
        now_s = time.time()
        words = [(record(7, "first"), now_s - 60), (record(7, "second"), now_s - 10), (record(7, "first"), now_s - 59)]
        directory.overhear(words)
        assert directory.find(7) == record(7, "second")

    async def test_what_several_are_told_is_one_change(self, directory: Directory) -> None:
        told, now_s = Told().of(directory), time.time()
        words = [(record(machine), now_s) for machine in range(7, 207)]
        directory.overhear(words)
        assert len(directory.nodes()) == 200
        assert told.changes == 1
        directory.overhear(words)
        assert told.changes == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"address": "garbage"}, {"address": "10.0.0.1:99999"}, {"address": ":7631"}, {"address": "a..b:7631"},
            {"host": "h" * 256}, {"host": "two\nlines"}, {"instance": "i" * 65}, {"version": "\x1b[2J"},
        ],
    )  # fmt: skip
    async def test_what_nobody_can_use_is_not_taken(self, directory: Directory, changes: dict[str, str]) -> None:
        told, now_s = Told().of(directory), time.time()
        bad = record(7, **changes)
        directory.learn(bad, now_s, is_hearsay=True)
        directory.overhear([(bad, now_s)])
        assert not directory.knows(7)
        assert told.changes == 0
        # Whoever says so in a hello is there all the same.
        directory.learn(bad, now_s, is_hearsay=False)
        found = directory.find(7)
        assert found is not None
        assert found.is_sound
        assert found == bad.tamed()

    @pytest.mark.parametrize("unix_s", [-1e300, -1.0, 1e300, float("inf")])
    async def test_a_time_that_cannot_be_is_the_nearest_that_can(self, directory: Directory, unix_s: float) -> None:
        directory.learn(record(7), unix_s, is_hearsay=True)
        heard_s = directory.heard_at(7)
        assert heard_s is not None
        assert 0 <= heard_s <= time.time()

    async def test_what_a_hello_put_an_end_to_does_not_come_back_by_hearsay(self, directory: Directory) -> None:
        now_s = time.time()
        # Its clock was set back between the two.
        directory.learn(record(7, "first", started_at=200.0), now_s, is_hearsay=False)
        directory.learn(record(7, "second", started_at=100.0), now_s, is_hearsay=False)
        directory.learn(record(7, "first", started_at=200.0), now_s, is_hearsay=True)
        assert directory.find(7) == record(7, "second", started_at=100.0)

    async def test_nobody_can_tell_it_of_itself(self, directory: Directory) -> None:
        directory.learn(ME, time.time(), is_hearsay=False)
        directory.learn(record(ME.machine, "another"), time.time(), is_hearsay=True)
        assert directory.nodes() == ()
        assert not directory.knows(ME.machine)

    async def test_one_that_is_no_seed_may_answer(self, directory: Directory) -> None:
        seeds = directory.seeds()
        directory.answered("10.0.0.7:7631", record(7))
        assert directory.seeds() == seeds

    async def test_an_old_word_is_no_sign_of_life(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7), now_s - 500, is_hearsay=True)
        assert directory.knows(7)
        assert not directory.is_alive(7, now_s)

    async def test_the_known_are_bounded_and_hearsay_gives_way_first(self, directory: Directory) -> None:
        now_s = time.time()
        directory.learn(record(7), now_s - 3, is_hearsay=False)
        for machine in range(100, 10_200):
            directory.learn(record(machine), now_s - 2 + machine / 1e6, is_hearsay=True)
        directory.learn(record(8), now_s, is_hearsay=False)
        assert len(directory.nodes()) <= 10_000
        assert directory.knows(7)
        assert directory.knows(8)
        assert not directory.knows(100)
        assert directory.knows(10_199)

    async def test_it_may_be_stopped_twice_and_forgets_nobody(self, directory: Directory) -> None:
        directory.learn(record(7), time.time(), is_hearsay=False)
        await directory.stop()
        await directory.stop()
        assert directory.knows(7)
