"""Deployment files as the programs read them that they are for: a small Go program with those programs' own readers."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCHEMAS = Path(__file__).parent / "schemas"
BUILD_S = 500.0
"""Longest time for the first build on a machine, which fetches modules; later ones take them from Go's cache."""

Read = Callable[[str, Path], Any]


def run_go(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder of the Go module, with no other version of Go than the one that is here."""
    environ = os.environ | {"GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return subprocess.run(
        [*map(str, words)], cwd=SCHEMAS, env=environ, capture_output=True, text=True, timeout=BUILD_S, check=False
    )


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """``read("kubernetes", path)``: what a file holds, once it has been found to be right. Raises: AssertionError."""
    if shutil.which("go") is None:
        why = "Go is not installed: deployment files are not checked against their schemas"
        print(why)
        pytest.skip(why)
    program = tmp_path_factory.mktemp("schemas") / "schemas"
    built = run_go("go", "build", "-o", program, ".")
    assert built.returncode == 0, built.stderr

    @functools.cache
    def read_one(kind: str, path: Path) -> Any:
        done = run_go(program, kind, path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read_one
