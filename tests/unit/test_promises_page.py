"""The page of promises names tests that are there, with their numbers, and the faults that are done."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

from tests.faults.schedule import SHAPES
from tests.nodes import ROOT

TEXT = (ROOT / "docs" / "explanation" / "promises.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "tests/" in line]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))
CROWDS = {"REOPENINGS", "COUNT", "STUCK", "HALF_OPEN"}
"""How large a crowd is, in its short run and in its full one."""


@lru_cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"))


def functions(file: str) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in parsed(file).body if isinstance(node, kinds) and node.name.startswith("test_")}


def sizes(file: str) -> set[int]:
    """Both sizes of each crowd that a file has, ``NAME = scaled(short, full)``, also several in one line."""
    found: set[int] = set()
    for node in parsed(file).body:
        if isinstance(node, ast.Assign):
            pairs = zip(_parts(node.targets[0]), _parts(node.value), strict=False)
            found |= {
                argument.value
                for target, value in pairs
                if isinstance(target, ast.Name) and target.id in CROWDS and isinstance(value, ast.Call)
                for argument in value.args
                if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
            }
    return found


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


@pytest.mark.parametrize(("file", "function"), NAMED, ids=lambda name: Path(name).name)
def test_each_named_test_is_there(file: str, function: str) -> None:
    assert (ROOT / file).is_file(), file
    if function:
        assert function in functions(file)
    else:
        assert functions(file)


def test_each_promise_names_a_test_and_how() -> None:
    tables = re.findall(r"^\| promise \|.*\n\|---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert len(tables) == TEXT.count("\n**Not promised:**") == 5
    for table in tables:
        for row in table.splitlines():
            promise, shown_by, how = row.strip("| ").split(" | ")
            assert promise.endswith(".")
            assert shown_by == "the same" or re.match(r"`tests/", shown_by)
            assert how


def test_both_sizes_of_a_crowd_are_those_of_its_test() -> None:
    checked = 0
    for file in {file for file, _ in NAMED}:
        numbers = sizes(file)
        telling = [row for row in ROWS if file in row and (not numbers or re.search(r"in the short run", row))]
        for number in numbers:
            assert any(re.search(rf"(?<![\d,]){number:,}(?![\d,])", row) for row in telling), (file, number)
            checked += 1
    assert checked == 2 * len(CROWDS)


def test_every_kind_of_fault_is_told() -> None:
    table = TEXT.partition("<!-- kinds of faults -->")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w -]+)`", table)) == set(SHAPES)


def test_what_is_run_by_make_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", TEXT)) <= targets
