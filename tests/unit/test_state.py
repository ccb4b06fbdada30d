"""The state directory: what is kept, who may read it, and that one node has it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdamesh import state as module
from lambdamesh.ids import machine_id_text
from lambdamesh.state import FLOOR_AHEAD_MS, State, StateError, default_path, open_state
from tests.unit.fakes import TEXT, an_id

NOW_S = 1_711_843_200.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a" / "state"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    state = open_state(path)
    yield state
    state.close()


def reopened(state: State) -> State:
    """What another run finds; it need not be closed."""
    return State(state.path, os.open(os.devnull, os.O_RDONLY))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- where it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "is_root", "expected"),
    [
        ({"STATE_DIRECTORY": "/srv/s", "XDG_STATE_HOME": "/x"}, False, "/srv/s"),
        ({"STATE_DIRECTORY": "/srv/s:/srv/t"}, True, "/srv/s"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x"}, True, "/var/lib/lambdamesh"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/home/me"}, False, "/x/lambdamesh"),
        ({"HOME": "/home/me"}, False, "/home/me/.local/state/lambdamesh"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/me"}, False, "/home/me/.local/state/lambdamesh"),
    ],
)
def test_default_path(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], is_root: bool, expected: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else 1000)
    assert default_path(environ) == Path(expected)


# -- who may read it --------------------------------------------------------------------------------------------


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A process that keeps nothing from others."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_only_its_owner_reads_it(path: Path) -> None:
    state = open_state(path)
    state.bury(TEXT, NOW_S)
    state.machine_id(None)
    state.node_key()
    state.raise_floor(5)
    state.load_deleted(NOW_S - 1)
    state.bury(TEXT, NOW_S)
    state.close()
    assert mode(path) == 0o700
    assert {file.name: oct(mode(file)) for file in path.iterdir()} == dict.fromkeys(
        ("lock", "machine-id", "node-key", "floor-0", "deleted"), "0o600"
    )


@pytest.mark.usefixtures("open_umask")
def test_deleted_ids_are_the_owner_s_from_the_first(state: State) -> None:
    state.bury(TEXT, NOW_S)
    assert mode(state.path / "deleted") == 0o600


def test_a_directory_that_was_open_to_others_is_closed(path: Path) -> None:
    path.mkdir(parents=True, mode=0o755)
    open_state(path).close()
    assert mode(path) == 0o700


def test_a_directory_of_somebody_else_s_keeps_its_mode(path: Path) -> None:
    path.mkdir(parents=True, mode=0o755)
    (path / "thesis.txt").write_text("")
    with pytest.raises(StateError, match="--state"):
        open_state(path)
    assert mode(path) == 0o755
    assert [file.name for file in path.iterdir()] == ["thesis.txt"]


def test_what_is_no_directory_is_said_to_be_unusable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StateError, match="--state"):
        open_state(file)


# -- the lock ---------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from lambdamesh.state import open_state
state = open_state(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_node_is_told_who_holds_it(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=rf"held by the node with pid {holder.pid}\b"):
            open_state(path)
        holder.stdin.close()
        holder.wait()
    open_state(path).close()


def test_the_lock_is_given_back(path: Path) -> None:
    open_state(path).close()
    open_state(path).close()


# -- machine id and node key ------------------------------------------------------------------------------------


def test_a_machine_id_is_made_once(state: State) -> None:
    machine = state.machine_id(None)
    assert 0 < machine < 2**32
    assert state.machine_id(None) == machine
    assert (state.path / "machine-id").read_text().strip() == machine_id_text(machine)


def test_a_wanted_machine_id_is_kept(state: State) -> None:
    state.machine_id(None)
    assert state.machine_id("46301AAE") == 0x46301AAE
    assert reopened(state).machine_id(None) == 0x46301AAE


@pytest.mark.parametrize("wanted", ["0", "00000000", "xyz", "46301aae0"])
def test_what_is_no_machine_id_is_refused(state: State, wanted: str) -> None:
    with pytest.raises(StateError, match="8 hex digits"):
        state.machine_id(wanted)
    assert not (state.path / "machine-id").exists()


@pytest.mark.parametrize("content", [b"hello\n", b"00000000\n", b"\xff\xff", b"", b" \n"])
def test_a_machine_id_that_was_broken_is_not_replaced(state: State, content: bytes) -> None:
    file = state.path / "machine-id"
    file.write_bytes(content)
    with pytest.raises(StateError, match=re.escape(str(file))):
        state.machine_id(None)
    assert file.read_bytes() == content


def test_a_wanted_machine_id_takes_the_place_of_an_empty_one(state: State) -> None:
    (state.path / "machine-id").write_bytes(b"")
    assert state.machine_id("46301aae") == 0x46301AAE
    assert reopened(state).machine_id(None) == 0x46301AAE


def test_the_node_key_is_made_once(state: State) -> None:
    key = state.node_key()
    assert len(key) == 32
    assert state.node_key() == reopened(state).node_key() == key


def test_a_node_key_that_was_broken_is_not_replaced(state: State) -> None:
    (state.path / "node-key").write_bytes(b"short")
    with pytest.raises(StateError, match="node-key"):
        state.node_key()


# -- the floor --------------------------------------------------------------------------------------------------


def test_the_floor_is_0_until_it_is_raised(state: State) -> None:
    assert state.floor_ms() == 0
    state.raise_floor(1_711_843_210_000)
    assert reopened(state).floor_ms() == 1_711_843_210_000


@pytest.mark.parametrize("content", ["", "\n", "x", "-5", "1.5", "1 2", "9" * 16])
def test_a_floor_that_was_broken_stands_for_the_most_it_can_have_been(state: State, content: str) -> None:
    file = state.path / "floor-0"
    file.write_text(content)
    os.utime(file, (NOW_S, NOW_S + 0.25))
    assert state.floor_ms() == round((NOW_S + 0.25) * 1000) + 3 * FLOOR_AHEAD_MS


def test_a_floor_replaces_another_as_a_whole(state: State) -> None:
    state.raise_floor(1_711_843_210_000)
    state.raise_floor(5)
    assert reopened(state).floor_ms() == 5
    assert [file.name for file in state.path.iterdir() if "floor" in file.name] == ["floor-0"]


def test_a_floor_that_cannot_be_written_is_said_to_be_so(state: State) -> None:
    (state.path / "floor-0").mkdir()
    with pytest.raises(StateError, match="floor-0"):
        state.raise_floor(5)


# -- deleted ids ------------------------------------------------------------------------------------------------


def test_deleted_ids_survive_until_their_last_key_has_expired(state: State) -> None:
    state.load_deleted(NOW_S)
    state.bury(TEXT, NOW_S + 100)
    state.bury(an_id(2), NOW_S + 10)
    later = reopened(state)
    later.load_deleted(NOW_S + 50)
    assert (later.holds(TEXT), later.holds(an_id(2))) == (True, False)
    assert an_id(2) not in (state.path / "deleted").read_bytes()


def test_they_are_forgotten_while_the_node_runs_too(state: State) -> None:
    state.bury(TEXT, NOW_S + 100)
    state.forget_deleted(NOW_S + 99)
    assert state.holds(TEXT)
    state.forget_deleted(NOW_S + 100)
    assert not state.holds(TEXT)


def test_a_line_that_was_cut_short_is_skipped(state: State) -> None:
    (state.path / "deleted").write_bytes(b"nonsense\n" + TEXT + b" 9999999999\n" + an_id(2)[:7])
    state.load_deleted(NOW_S)
    assert state.holds(TEXT)
    state.bury(an_id(3), NOW_S + 100)
    later = reopened(state)
    later.load_deleted(NOW_S)
    assert later.holds(an_id(3))


class Keeping:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def error(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


@pytest.fixture
def unwritable(state: State, monkeypatch: pytest.MonkeyPatch) -> Keeping:
    """The log of a state directory whose file of deleted ids cannot be written."""
    (state.path / "deleted").mkdir()
    log = Keeping()
    monkeypatch.setattr(module, "log", log)
    return log


def test_an_id_stays_deleted_where_that_cannot_be_written(state: State, unwritable: Keeping) -> None:
    state.bury(TEXT, NOW_S + 100)
    assert state.holds(TEXT)
    ((event, fields),) = unwritable.lines
    assert event == "deletion_not_written"
    assert fields["lambda_id"] == TEXT.decode()
    assert fields["once_a_minute"] is True


def test_ids_are_forgotten_where_that_cannot_be_written(state: State, unwritable: Keeping) -> None:
    state.bury(TEXT, NOW_S + 100)
    state.forget_deleted(NOW_S + 100)
    assert not state.holds(TEXT)
    assert [event for event, _ in unwritable.lines] == ["deletion_not_written", "deletions_not_written"]
