"""When code is imported again, and what is left where that fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdamesh.cli.failure import Failure
from lambdamesh.cli.reloading import Project, Watch, stamps_of
from lambdamesh.cli.target import load, parse_target

A, B = Path("a.py"), Path("b.py")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_change_counts_when_the_files_are_at_rest() -> None:
    watch = Watch({A: (1, 10)})
    assert watch.look({A: (1, 10)}) == []
    assert watch.look({A: (2, 5)}) == []
    assert watch.look({A: (3, 10)}) == []
    assert watch.look({A: (3, 10)}) == [A]


def test_a_file_that_is_away_has_not_changed_until_it_is_back() -> None:
    watch = Watch({A: (1, 10), B: (1, 10)})
    assert watch.look({B: (1, 10)}) == []
    assert watch.look({B: (1, 10)}) == []
    assert watch.look({A: (1, 11), B: (1, 10)}) == []
    assert watch.look({A: (1, 11), B: (1, 10)}) == [A]


def test_a_file_that_was_imported_later_is_watched_from_then_on() -> None:
    watch = Watch({A: (1, 10)})
    watch.look({A: (1, 10), B: (1, 10)})
    assert watch.look({A: (1, 10), B: (1, 10)}) == []
    watch.look({A: (1, 10), B: (2, 10)})
    assert watch.look({A: (1, 10), B: (2, 10)}) == [B]


def test_after_a_reload_the_change_is_over() -> None:
    watch = Watch({A: (1, 10)})
    for _ in range(2):
        watch.look({A: (2, 10)})
    watch.restart({A: (2, 10)})
    assert watch.look({A: (2, 10)}) == []


def test_stamps_leave_out_what_is_not_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("12")
    assert [stamp[1] for stamp in stamps_of([there, tmp_path / "gone"]).values()] == [2]


def project_of(folder: Path, names: str) -> Project[Any]:
    (folder / f"{names}_texts.py").write_text("TEXT = 'old'\n")
    (folder / f"{names}_app.py").write_text(f"import {names}_texts\ntext = {names}_texts.TEXT\n")
    return Project(lambda: load(parse_target(f"{names}_app.py")))


def test_modules_that_are_imported_are_imported_anew(folder: Path) -> None:
    project = project_of(folder, "ra")
    assert project.load().text == "old"
    assert project.files() == {folder / "ra_app.py", folder / "ra_texts.py"}
    (folder / "ra_texts.py").write_text("TEXT = 'new'\n")  # of the same size, perhaps in the same second
    assert project.load().text == "new"


def test_a_failure_leaves_the_modules_as_they_were(folder: Path) -> None:
    project = project_of(folder, "rb")
    old = project.load()
    (folder / "rb_app.py").write_text("import rb_new\n")
    (folder / "rb_new.py").write_text("def f(:\n")
    with pytest.raises(Failure, match="SyntaxError"):
        project.load()
    assert sys.modules["rb_app"] is old
    assert folder / "rb_new.py" in project.files(), "where it is to be mended"
    (folder / "rb_new.py").write_text("x = 1\n")
    assert project.load().rb_new.x == 1


def test_libraries_and_what_was_there_before_stay(folder: Path) -> None:
    (folder / "rc_before.py").write_text("")
    before = load(parse_target("rc_before"))
    (folder / "rc_app.py").write_text("import rc_before, json, rich\n")
    project: Project[Any] = Project(lambda: load(parse_target("rc_app.py")))
    project.load()
    assert project.load().rc_before is before
    assert project.files() == {folder / "rc_app.py"}
