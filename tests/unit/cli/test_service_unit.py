"""``lambdamesh setup`` and the service: in an image below a folder of the test, never on this machine."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from lambdamesh.cli import main, service_unit
from lambdamesh.cli.service_unit import (
    CONFIG,
    FIRST_CONFIG,
    UNIT,
    closed_part,
    obstacle,
    packaged_unit,
    this_program,
    unit_for,
)

PROGRAM = ["/srv/mesh/bin/lambdamesh"]


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with systemd, for which there is nothing in the way of the service."""
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    monkeypatch.setattr(service_unit, "this_program", lambda: PROGRAM)
    monkeypatch.setattr(service_unit, "obstacle", lambda program: None)
    return tmp_path


def set_up(image: Path, *flags: str) -> int:
    return main(["setup", "--root", str(image), *flags])


def files(image: Path) -> dict[str, bytes]:
    return {str(path.relative_to(image)): path.read_bytes() for path in image.rglob("*") if path.is_file()}


def test_it_installs_the_service_for_this_very_program(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up(image) == 0
    text = (image / UNIT).read_text()
    assert "ExecStart=/srv/mesh/bin/lambdamesh serve --config /etc/lambdamesh/config.toml\n" in text
    assert text.replace("/srv/mesh", "/opt/lambdamesh") == packaged_unit()
    assert (image / CONFIG).read_text() == FIRST_CONFIG
    assert "systemctl enable --now lambdamesh" in capsys.readouterr().out


def test_whatever_the_umask_the_service_can_read_it(image: Path) -> None:
    before = os.umask(0o077)
    try:
        assert set_up(image) == 0
    finally:
        os.umask(before)
    for path in (image / UNIT, image / CONFIG, (image / CONFIG).parent):
        assert path.stat().st_mode & stat.S_IROTH, path


def test_undo_leaves_what_was_there(image: Path) -> None:
    before = files(image)
    set_up(image)
    assert set_up(image, "--undo") == 0
    assert files(image) == before
    assert not (image / CONFIG).parent.exists()


def test_settings_that_somebody_wrote_stay(image: Path) -> None:
    (image / CONFIG).parent.mkdir()
    (image / CONFIG).write_text('log_format = "json"\n')
    set_up(image)
    assert set_up(image, "--undo") == 0
    assert (image / CONFIG).read_text() == 'log_format = "json"\n'


def test_a_second_time_changes_nothing(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(image)
    before = files(image)
    capsys.readouterr()
    assert set_up(image) == 0
    assert files(image) == before
    assert capsys.readouterr().out.count("nothing changed") == 3


def test_a_moved_program_is_followed(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(image)
    monkeypatch.setattr(service_unit, "this_program", lambda: ["/opt/new/bin/lambdamesh"])
    assert set_up(image) == 0
    assert "ExecStart=/opt/new/bin/lambdamesh serve" in (image / UNIT).read_text()
    assert "systemctl restart lambdamesh" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [(), ("--undo",)])
def test_a_dry_run_says_what_it_would_do(
    image: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    if flags:
        set_up(image)
        capsys.readouterr()
    before = files(image)
    assert set_up(image, "--dry-run", *flags) == 0
    assert files(image) == before
    said = capsys.readouterr().out
    assert f"would {'remove' if flags else 'write'} {image / UNIT}" in said
    assert f"would write {image}/etc/hosts" in said


def test_a_service_of_somebody_elses_is_left_alone(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image / UNIT).parent.mkdir(parents=True)
    (image / UNIT).write_text("[Service]\nExecStart=/mine\n")
    before = files(image)
    assert set_up(image) == 1
    assert "--name-only" in capsys.readouterr().err
    assert files(image) == before
    assert set_up(image, "--undo") == 0
    assert files(image) == before


def test_what_the_service_could_not_run_is_not_installed(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service_unit, "obstacle", lambda program: "no way in")
    before = files(image)
    assert set_up(image) == 1
    assert "no way in: install lambdamesh where everybody may read it" in capsys.readouterr().err
    assert files(image) == before
    assert set_up(image, "--name-only") == 0
    assert not (image / UNIT).exists()


def test_without_systemd_only_the_name_is_given(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image / "usr/lib/systemd/system").rmdir()
    assert set_up(image) == 0
    assert not (image / UNIT).exists()
    assert "pm3" in (image / "etc/hosts").read_text()
    assert "lambdamesh serve" in capsys.readouterr().out


def test_a_failed_write_is_told(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert set_up(image) == 1
    assert "sudo lambdamesh setup" in capsys.readouterr().err


# -- the machine that runs --------------------------------------------------------------------------------------


@pytest.fixture
def told(image: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a systemctl of the test was told; the image stands for the machine that runs."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/told\n[ ! -e {folder}/fails ] || {{ echo no >&2; exit 4; }}\n'
    )
    program.chmod(0o755)
    (folder / "told").touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (image / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(service_unit, "ROOT", image)
    return folder / "told"


def test_systemd_hears_of_the_unit(image: Path, told: Path) -> None:
    assert set_up(image) == 0
    assert told.read_text() == "daemon-reload\n"
    assert set_up(image) == 0
    assert told.read_text() == "daemon-reload\n"


def test_undo_stops_the_service_first(image: Path, told: Path) -> None:
    set_up(image)
    told.write_text("")
    assert set_up(image, "--undo") == 0
    assert told.read_text() == "disable --now lambdamesh.service\ndaemon-reload\n"


def test_a_service_that_cannot_be_stopped_stays(image: Path, told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(image)
    (told.parent / "fails").touch()
    assert set_up(image, "--undo") == 1
    assert "systemctl disable --now lambdamesh.service: no" in capsys.readouterr().err
    assert (image / UNIT).exists()


# -- the program ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/opt/a/bin/lambdamesh", "/opt/a/bin/lambdamesh"),
        ("/opt/a b/lambdamesh", '"/opt/a b/lambdamesh"'),
        ("/opt/50%/lambdamesh", "/opt/50%%/lambdamesh"),
        ("/opt/a;b/lambdamesh", '"/opt/a;b/lambdamesh"'),
        ("/opt/ü/lambdamesh", "/opt/ü/lambdamesh"),
    ],
)
def test_a_path_is_written_as_systemd_reads_it(word: str, written: str) -> None:
    assert f"ExecStart={written} serve --config" in unit_for([word])


def test_the_program_is_the_one_that_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = tmp_path / "lambdamesh"
    called.write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "argv", [str(called)])
    assert this_program() == [sys.executable, "-m", "lambdamesh"]
    called.chmod(0o755)
    assert this_program() == [str(called)]


def test_what_only_its_owner_may_enter_is_in_the_way(tmp_path: Path) -> None:
    folder, program = tmp_path / "home", tmp_path / "home" / "lambdamesh"
    folder.mkdir()
    folder.chmod(0o755)
    program.touch()
    program.chmod(0o755)
    assert closed_part(program, tmp_path) is None
    program.chmod(0o750)
    assert closed_part(program, tmp_path) == program
    program.chmod(0o755)
    folder.chmod(0o700)
    assert closed_part(program, tmp_path) == folder


def test_what_is_in_tmp_would_not_be_found() -> None:
    assert "/tmp of its own" in (obstacle(["/tmp/venv/bin/lambdamesh"]) or "")


@pytest.mark.parametrize("mark", ['"', "'", "\\", "\n"])
def test_what_systemd_would_refuse_is_refused(mark: str) -> None:
    assert "systemd runs nothing" in (obstacle([f"/opt/a{mark}b/lambdamesh"]) or "")
