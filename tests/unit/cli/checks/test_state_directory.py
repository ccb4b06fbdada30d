"""What ``doctor`` says of a state directory, which it never changes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lambdamesh.cli.checks import state_directory as checked
from lambdamesh.cli.checks.finding import State
from lambdamesh.cli.checks.state_directory import state_directory
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.state import open_state

Around = Callable[..., Surroundings]


def bad(around: Surroundings) -> dict[str, State]:
    """What is not well: each sentence with its state."""
    return {found.what: found.state for found in state_directory(around) if found.state is not State.OK}


def snapshot(path: Path) -> list[tuple[str, int, bytes]]:
    return [(each.name, each.stat().st_mode, each.read_bytes()) for each in sorted(path.iterdir())]


def test_a_sound_one(around: Around, state: Path) -> None:
    before = snapshot(state)
    first, last = state_directory(around())
    assert (first.state, last.state) == (State.OK, State.OK)
    assert str(state) in first.what
    assert last.what == "no node runs with it; the last was the node with pid 99999999"
    assert snapshot(state) == before


def test_one_that_is_not_there_yet_is_made_by_the_first_start(around: Around, tmp_path: Path) -> None:
    [found] = state_directory(around(state=tmp_path / "a" / "b"))
    assert found.state is State.OK
    assert "not there yet" in found.what
    assert not (tmp_path / "a").exists()


def test_one_that_cannot_be_made(around: Around, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    [found] = state_directory(around(state=tmp_path / "a"))
    assert found.state is State.WRONG
    assert found.fix is not None
    assert found.fix.startswith("sudo install -d -m 700 -o ")


def test_a_file_in_its_place(around: Around, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert bad(around(state=tmp_path / "file")) == {f"{tmp_path / 'file'} is no directory": State.WRONG}


def test_one_that_is_open_to_others_is_closed_by_the_next_start(around: Around, state: Path) -> None:
    state.chmod(0o755)
    [(what, how)] = bad(around()).items()
    assert (how, "mode 755" in what) == (State.WARNING, True)
    assert state.stat().st_mode & 0o777 == 0o755


def test_one_that_is_not_ours(around: Around, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters").touch()
    assert list(bad(around(state=tmp_path)).values()) == [State.WRONG]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_one_of_somebody_else(around: Around, state: Path) -> None:
    os.chown(state, 12345, -1)
    [found] = [found for found in state_directory(around()) if found.state is not State.OK]
    assert found.state is State.WARNING
    assert found.fix is not None
    assert found.fix.startswith("sudo -u 12345 lambdamesh doctor")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_that_of_a_service_with_a_user_of_its_own(
    around: Around, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(state, 12345, -1)
    monkeypatch.setattr(checked, "_OF_SERVICES", tmp_path)
    (tmp_path / "link").symlink_to(state)
    assert not bad(around(state=tmp_path / "link"))


@pytest.mark.parametrize(("room", "how"), [(checked.NO_ROOM_BYTES - 1, State.WRONG), (1024 * 1024, State.WARNING)])
def test_a_full_disk(around: Around, monkeypatch: pytest.MonkeyPatch, room: int, how: State) -> None:
    disk = SimpleNamespace(f_bavail=room, f_frsize=1, f_files=10, f_favail=10, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    assert list(bad(around()).values()) == [how]


def test_a_disk_without_a_file_more(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=2**40, f_frsize=1, f_files=10, f_favail=0, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    [what] = bad(around())
    assert what.endswith("(no file more)")


@pytest.mark.parametrize("content", [b"", b"nothing\n", b"00000000\n", b"\xff"])
def test_a_machine_id_that_is_none(around: Around, state: Path, content: bytes) -> None:
    (state / "machine-id").write_bytes(content)
    [found] = [found for found in state_directory(around()) if found.state is State.WRONG]
    assert found.fix is not None
    assert found.fix.startswith(f"rm {state}/machine-id")


def test_another_machine_id_than_before(around: Around) -> None:
    assert list(bad(around(machine_id="00000007")).values()) == [State.WARNING]
    assert not bad(around(machine_id="46301aae"))


def test_a_node_key_of_another_length(around: Around, state: Path) -> None:
    (state / "node-key").write_bytes(bytes(31))
    assert bad(around()) == {f"{state}/node-key has 31 bytes and not 32: a node refuses it": State.WRONG}


def test_a_node_key_that_others_can_read(around: Around, state: Path) -> None:
    (state / "node-key").chmod(0o644)
    assert list(bad(around()).values()) == [State.WARNING]


@pytest.fixture
def running(state: Path) -> Iterator[None]:
    held = open_state(state)
    yield
    held.close()


@pytest.mark.usefixtures("running")
def test_a_node_that_runs(around: Around) -> None:
    assert [found.what for found in state_directory(around())][-1] == f"the node with pid {os.getpid()} runs with it"


def test_looking_at_the_lock_does_not_keep_it(around: Around, state: Path) -> None:
    list(state_directory(around()))
    with (state / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
