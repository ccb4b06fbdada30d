"""What ``expose`` is pointed at: how it is written, what is found, what is said where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lambdamesh.cli.expose import handlers_of
from lambdamesh.cli.failure import CALL_FAILED, USAGE, Failure
from lambdamesh.cli.target import ImportFailure, Target, load, parse_target

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a file of a project in the working folder; its modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write_one(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write_one
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("app.py", Target("app.py")),
        ("lib/my-app.py", Target("lib/my-app.py")),
        ("app.py:service", Target("app.py", ("service",))),
        ("app.py:service.inner", Target("app.py", ("service", "inner"))),
        ("app", Target("app")),
        ("pkg.app:service", Target("pkg.app", ("service",))),
    ],
)
def test_a_target_is_a_file_or_a_module_and_perhaps_an_object_in_it(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize("text", ["my-app", "app:", ":x", "app:1", "app.py:", "lib/app", "a b", ".", "app:x:y"])
def test_what_is_neither_is_a_usage_error(text: str) -> None:
    with pytest.raises(Failure, match=r"app\.py:object") as raised:
        parse_target(text)
    assert raised.value.exit_code == USAGE


def test_a_file_is_a_module_of_its_own_name(write: Write) -> None:
    write("lib/service_a.py", "import beside_a\ndef hello(): ...\n")
    write("lib/beside_a.py", "")
    found = load(parse_target("lib/service_a.py"))
    assert isinstance(found, ModuleType)
    assert list(handlers_of(parse_target("lib/service_a.py"), found, None)) == ["hello", "rpc.discover"]


def test_a_file_called_like_a_module_of_the_library_takes_nothing_from_it(write: Write) -> None:
    import json

    write("json.py", "def own(): ...\n")
    assert hasattr(load(parse_target("json.py")), "own")
    assert sys.modules["json"] is json


def test_a_file_of_a_package_may_import_from_it(write: Write) -> None:
    write("pkg_a/__init__.py", "")
    write("pkg_a/texts.py", "HI = 'hi'\n")
    write("pkg_a/app.py", "from .texts import HI\n")
    assert getattr(load(parse_target("pkg_a/app.py")), "HI") == "hi"  # noqa: B009 -- its type is not known


def test_a_module_is_looked_for_in_the_working_folder(write: Write) -> None:
    write("app_b.py", "class Inner:\n    text = 'deep'\nbox = Inner\n")
    assert load(parse_target("app_b:box.text")) == "deep"


@pytest.mark.parametrize(
    ("text", "target", "hints", "exit_code"),
    [
        ("", "gone_a.py", ["no file"], USAGE),
        ("", "gone_a", ["no module", "gone_a.py"], USAGE),
        ("x = 1", "gone_a.py:x", ["no file"], USAGE),
        ("def f(:", "app_c.py", ["app_c.py", "line 1", "SyntaxError"], CALL_FAILED),
        ("import sys\nsys.exit()", "app_c.py", ["__main__"], CALL_FAILED),
        ("def f():\n    1 / 0\nf()", "app_c.py", ["in f", "ZeroDivisionError"], CALL_FAILED),
        ("import nowhere_at_all", "app_c.py", ["No module named 'nowhere_at_all'"], CALL_FAILED),
    ],
)
def test_what_cannot_be_imported_is_told(
    text: str, target: str, hints: list[str], exit_code: int, write: Write
) -> None:
    write("app_c.py", text)
    with pytest.raises(Failure) as raised:
        load(parse_target(target))
    assert [hint for hint in hints if hint not in raised.value.message] == []
    assert raised.value.exit_code == exit_code
    assert "importlib" not in raised.value.message
    assert "app_c" not in sys.modules


def test_an_object_that_is_not_there_is_told_with_those_that_are(write: Write) -> None:
    write("app_c.py", "x = 1\n_y = 2\n")
    with pytest.raises(Failure, match=r"no 'y' in it; there is: x$") as raised:
        load(parse_target("app_c.py:y"))
    assert raised.value.exit_code == USAGE


def test_the_files_that_took_part_in_a_failure_are_known(write: Write) -> None:
    app, broken = write("app_d.py", "import broken_d\n"), write("broken_d.py", "def f(:\n")
    with pytest.raises(ImportFailure) as raised:
        load(parse_target("app_d.py"))
    assert raised.value.files == {app, broken}


@pytest.mark.parametrize(
    ("text", "target", "hint"),
    [
        ("from json import loads\ndef _own(): ...\n", "app_e.py", "--only NAME"),
        ("class A: ...\n", "app_e.py:A", "is a class"),
        ("def f(*args): ...\n", "app_e.py", r"f takes \*args.*begin its name with _.*--only NAME"),
        ("class A: ...\na = A()\n", "app_e.py:a", "no public method of its own class.*--only NAME"),
        ("d = {'rpc.x': print}\n", "app_e.py:d", "rpc"),
    ],
)
def test_what_cannot_be_exposed_is_a_usage_error(text: str, target: str, hint: str, write: Write) -> None:
    write("app_e.py", text)
    parsed = parse_target(target)
    with pytest.raises(Failure, match=hint) as raised:
        handlers_of(parsed, load(parsed), None)
    assert raised.value.exit_code == USAGE


def test_a_file_that_is_no_python(write: Write) -> None:
    write("README.md", "")
    with pytest.raises(Failure, match=r"README\.md is a file, and its name does not end in \.py") as raised:
        load(parse_target("README.md"))
    assert raised.value.exit_code == USAGE


def test_only_names_also_what_is_imported(write: Write) -> None:
    write("app_f.py", "from textwrap import dedent\ndef own(): ...\n")
    parsed = parse_target("app_f.py")
    assert list(handlers_of(parsed, load(parsed), ["dedent"])) == ["dedent", "rpc.discover"]
