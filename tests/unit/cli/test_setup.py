"""``lambdamesh setup --name-only``: the hosts file gets our block once and loses it whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambdamesh.cli import main
from lambdamesh.cli.setup import BLOCK, with_block, without_block

HOSTS = "127.0.0.1\tlocalhost\n# gr\udcfc\xdfe\n::1 ip6-localhost\n"


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(HOSTS.encode("utf-8", "surrogateescape"))
    path.chmod(0o640)
    return path


def text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def test_it_names_this_machine_and_takes_it_back(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--name-only", "--hosts-file", str(hosts)]) == 0
    assert text(hosts) == HOSTS + BLOCK
    assert "127.0.0.1 pm3" in text(hosts).splitlines()
    assert "::1 pm3" in text(hosts).splitlines()
    assert hosts.stat().st_mode & 0o777 == 0o640
    assert main(["setup", "--name-only", "--undo", "--hosts-file", str(hosts)]) == 0
    assert text(hosts) == HOSTS
    assert [path.name for path in hosts.parent.iterdir()] == ["hosts"]
    assert "no longer" in capsys.readouterr().out


def test_a_second_time_changes_nothing(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["setup", "--name-only", "--hosts-file", str(hosts)])
    inode = hosts.stat().st_ino
    assert main(["setup", "--name-only", "--hosts-file", str(hosts)]) == 0
    assert hosts.stat().st_ino == inode
    assert "nothing changed" in capsys.readouterr().out


def test_a_link_stays_a_link(hosts: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(hosts)
    assert main(["setup", "--name-only", "--hosts-file", str(link)]) == 0
    assert link.is_symlink()
    assert BLOCK in text(hosts)


def test_what_cannot_be_changed_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--name-only", "--hosts-file", str(tmp_path / "none")]) == 1
    assert "cannot change" in capsys.readouterr().err


def test_without_permission_the_remedy_is_named(
    hosts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert main(["setup", "--name-only", "--hosts-file", str(hosts)]) == 1
    assert "sudo lambdamesh setup" in capsys.readouterr().err
    assert text(hosts) == HOSTS


def test_a_failed_write_leaves_all_as_it_was(hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    assert main(["setup", "--name-only", "--hosts-file", str(hosts)]) == 1
    assert text(hosts) == HOSTS
    assert [path.name for path in hosts.parent.iterdir()] == ["hosts"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("a", "a\n" + BLOCK),
        (BLOCK + "a\n", BLOCK + "a\n"),
        (BLOCK + "a\n" + BLOCK, "a\n" + BLOCK),
        ("# begin lambdamesh\n127.0.0.1 old\n# end lambdamesh\na\n", "a\n" + BLOCK),
        ("a\n" + BLOCK.rstrip("\n"), "a\n" + BLOCK),
    ],
)
def test_the_block_is_there_once(before: str, after: str) -> None:
    assert with_block(before) == after


@pytest.mark.parametrize(
    "hosts",
    [
        "# begin lambdamesh\na\n",
        "a\n# end lambdamesh\n",
        "# begin lambdamesh2\na\n# end lambdamesh\n",
        "x # begin lambdamesh\n",
    ],
)
def test_half_a_block_is_somebody_elses(hosts: str) -> None:
    assert without_block(hosts) == hosts


def test_a_lost_begin_does_not_take_lines_along() -> None:
    assert without_block("# begin lambdamesh\nmine\n" + BLOCK) == "# begin lambdamesh\nmine\n"
