"""The counters of all workers of a node, in memory that they share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from lambdamesh.core.counters import COUNTERS
from lambdamesh.protocol.session import SESSION_COUNTERS
from lambdamesh.telemetry.tally import MEANINGS, Tally, new_tally

WORKERS = 3
WRITES = 20_000


@pytest.fixture
def fd() -> Iterator[int]:
    made = new_tally(WORKERS)
    yield made
    os.close(made)


def counted(**values: int) -> dict[str, int]:
    return dict.fromkeys(MEANINGS, 0) | values


def test_it_has_every_counter_once() -> None:
    assert list(MEANINGS.items()) == [*COUNTERS, *SESSION_COUNTERS]


def test_in_the_beginning_nothing_is_counted(fd: int) -> None:
    for tally in (Tally(), Tally(fd, WORKERS)):
        assert tally.read(0) == tally.totals() == counted()


def test_what_one_writes_the_others_read(fd: int) -> None:
    one, other = Tally(fd, WORKERS), Tally(fd, WORKERS)
    one.write(0, counted(calls=1, bad_answers=7))
    other.write(2, counted(calls=2**40))
    one.write(0, counted(calls=5, bad_answers=8))
    for tally in (one, other, Tally(fd, WORKERS)):
        assert tally.read(0) == counted(calls=5, bad_answers=8)
        assert tally.read(1) == counted()
        assert tally.totals() == counted(calls=5 + 2**40, bad_answers=8)


def test_it_outlives_whoever_wrote_it(fd: int) -> None:
    Tally(fd, WORKERS).write(1, counted(calls=5))
    assert Tally(fd, WORKERS).read(1) == counted(calls=5)


def test_no_counter_falls_for_who_reads_while_it_is_written(fd: int) -> None:
    tally = Tally(fd, WORKERS)
    # A process of its own, and not a thread: those take turns.
    child = os.fork()
    if not child:
        for number in range(WRITES):
            tally.write(1, dict.fromkeys(MEANINGS, number))
        os._exit(0)
    lowest, reads = counted(), 0
    while not os.waitpid(child, os.WNOHANG)[0]:
        found = tally.totals()
        reads += 1
        assert all(found[name] >= before for name, before in lowest.items())
        lowest = found
    assert reads > 0 and tally.totals() == dict.fromkeys(MEANINGS, WRITES - 1)


@pytest.mark.parametrize("why", ["it is not there", "it is not let"])
def test_where_memory_is_no_file_a_file_without_a_name_is(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "it is not there":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    else:
        monkeypatch.setattr(os, "memfd_create", Mock(side_effect=PermissionError()), raising=False)
    made = new_tally(WORKERS)
    one, other = Tally(made, WORKERS), Tally(made, WORKERS)
    os.close(made)
    one.write(2, counted(calls=7))
    assert other.totals() == counted(calls=7)


def test_that_of_another_release_is_not_read(fd: int) -> None:
    with pytest.raises(ValueError, match="not that of 2 workers of this release"):
        Tally(fd, WORKERS - 1)
