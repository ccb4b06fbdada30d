"""The state directory of a node with several workers: what each writes, and what the next start makes of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from lambdamesh.state import State, open_state
from tests.unit.fakes import an_id

NOW_S = 1_711_843_200.0
LATER_S = NOW_S + 3600.0
FIRST, SECOND, THIRD = (an_id(uid) for uid in (101, 102, 103))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    started(tmp_path / "state").close()
    return tmp_path / "state"


def started(path: Path, now_s: float = NOW_S) -> State:
    """What a supervisor does, or a node with one worker, when it starts."""
    state = open_state(path)
    state.load_deleted(now_s)
    return state


def of_worker(path: Path, number: int, now_s: float = NOW_S) -> State:
    state = State(path, None, number)
    state.load_deleted(now_s)
    return state


def files(path: Path) -> set[str]:
    return {one.name for one in path.iterdir() if one.name.startswith(("deleted", "floor"))}


def test_each_has_its_own_floor(path: Path) -> None:
    workers = [of_worker(path, number) for number in range(3)]
    for number, worker in enumerate(workers):
        worker.raise_floor(1_000_000 + number)
    assert [of_worker(path, number).floor_ms() for number in range(4)] == [1_000_000, 1_000_001, 1_000_002, 0]


def test_a_node_with_one_worker_has_the_floor_of_the_first(path: Path) -> None:
    of_worker(path, 0).raise_floor(7)
    state = started(path)
    assert state.floor_ms() == 7
    state.close()


def test_each_writes_its_own_deletions_and_the_next_start_makes_one_file(path: Path) -> None:
    workers = [of_worker(path, number) for number in range(2)]
    workers[0].bury(FIRST, LATER_S)
    workers[1].bury(SECOND, LATER_S)
    assert {"deleted-0", "deleted-1"} <= files(path)
    assert not workers[0].holds(SECOND)
    state = started(path)
    assert state.holds(FIRST)
    assert state.holds(SECOND)
    assert "deleted-0" not in files(path)
    assert "deleted-1" not in files(path)
    state.close()
    for number in range(3):
        again = of_worker(path, number)
        assert again.holds(FIRST)
        assert again.holds(SECOND)


def test_a_worker_that_starts_again_knows_what_it_and_the_others_deleted(path: Path) -> None:
    before = of_worker(path, 0)
    before.bury(FIRST, LATER_S)
    of_worker(path, 1).bury(SECOND, LATER_S)
    after = of_worker(path, 0)
    assert after.holds(FIRST)
    assert after.holds(SECOND)
    after.bury(THIRD, LATER_S)
    after.forget_deleted(NOW_S)
    # What stands in the files of others is not written a second time.
    assert (path / "deleted-0").read_bytes().count(b"\n") == 2
    assert (path / "deleted-1").read_bytes().count(b"\n") == 1


def test_what_has_expired_is_forgotten_by_each(path: Path) -> None:
    worker = of_worker(path, 1)
    worker.bury(FIRST, NOW_S + 10)
    worker.bury(SECOND, LATER_S)
    worker.forget_deleted(NOW_S + 11)
    assert not worker.holds(FIRST)
    assert worker.holds(SECOND)
    state = started(path, NOW_S + 11)
    assert not state.holds(FIRST)
    assert state.holds(SECOND)
    state.close()


def test_half_a_line_costs_that_one_alone(path: Path) -> None:
    of_worker(path, 1).bury(FIRST, LATER_S)
    with (path / "deleted-1").open("ab") as file:
        file.write(SECOND[:7])
    state = started(path)
    assert state.holds(FIRST)
    assert not state.holds(SECOND)
    state.close()


def test_a_file_that_was_being_written_is_not_one(path: Path) -> None:
    (path / "deleted-1.new").write_bytes(b"%b %d\n" % (FIRST, LATER_S))
    assert not of_worker(path, 0).holds(FIRST)


def test_where_they_cannot_be_made_one_nothing_is_lost(path: Path) -> None:
    of_worker(path, 1).bury(FIRST, LATER_S)
    (path / "deleted").unlink()
    (path / "deleted.new").mkdir()
    state = started(path)
    assert state.holds(FIRST)
    state.close()
    assert "deleted-1" in files(path)


def test_the_highest_floor_is_that_of_any_worker_there_ever_was(path: Path) -> None:
    assert of_worker(path, 0).highest_floor_ms() == 0
    for number, floor_ms in ((0, 5), (3, 9), (12, 7)):
        of_worker(path, number).raise_floor(floor_ms)
    (path / "floor-3.bak").write_bytes(b"99\n")
    assert of_worker(path, 1).highest_floor_ms() == 9


def test_what_somebody_has_put_aside_is_left_alone(path: Path) -> None:
    with contextlib.closing(open_state(path)) as state:
        (path / "deleted-old").write_bytes(b"%b %d\n" % (FIRST, LATER_S))
        (path / "deleted.bak").write_bytes(b"")
        state.load_deleted(NOW_S)
        assert not state.holds(FIRST)
    assert {"deleted-old", "deleted.bak"} <= files(path)
