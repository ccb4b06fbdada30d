"""What is shipped works: the wheel and the locked dependencies, in an environment that has nothing else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
"""Time for a node to listen."""
STOP_S = 45.0
"""Time for a node to end after SIGTERM."""


def run(*command: str | Path) -> str:
    """The output of a command that must go well."""
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Our environment without what would let the node find this source tree or settings of ours."""
    return {
        name: text for name, text in os.environ.items() if not name.startswith(("LAMBDAMESH_", "PYTHON", "VIRTUAL_ENV"))
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel and its locked dependencies."""
    base = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", base / "dist", ROOT)
    [wheel] = (base / "dist").glob("lambdamesh-*.whl")
    venv.create(base / "venv", with_pip=True)
    programs = base / "venv" / "bin"
    install: list[str | Path] = [programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(*install, "--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements.lock")
    run(*install, "--no-deps", "--no-index", wheel)
    run(programs / "python", "-m", "pip", "check")
    return programs


@contextmanager
def at_most(seconds: float, process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill ``process`` when the block takes longer, which ends whatever waits for it."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def listening(lines: IO[str]) -> dict[str, Any]:
    """The first log line that says ``listening``; all lines before it are the failure's text."""
    seen: list[str] = []
    for line in lines:
        seen.append(line)
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "listening":
            return event
    pytest.fail("the node ended before it listened:\n" + "".join(seen))


def test_the_wheel_serves_and_ends(installed: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [installed / "lambdamesh", "serve", "--local", "127.0.0.1:0", "--log-format", "json"]
    with subprocess.Popen(
        [*command, "--state", tmp_path / "state"],
        cwd=tmp_path,
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            assert node.stderr is not None
            with at_most(START_S, node):
                address = listening(node.stderr)["address"]
            connection = http.client.HTTPConnection(address, timeout=10)
            connection.request("GET", "/ping")
            answer = connection.getresponse()
            assert answer.status == 200
            assert isinstance(json.loads(answer.read()), str)
            connection.close()
            os.kill(node.pid, signal.SIGTERM)
            with at_most(STOP_S, node):
                rest = node.stderr.read()
                assert node.wait() == 0, rest
        finally:
            node.kill()


def test_the_wheel_knows_its_version(installed: Path) -> None:
    packaged = run(installed / "python", "-c", "import importlib.metadata as m; print(m.version('lambdamesh'))")
    assert run(installed / "lambdamesh", "--version") == packaged


def test_the_wheel_says_that_it_is_typed(installed: Path) -> None:
    code = "import importlib.resources as r; print(r.files('lambdamesh').joinpath('py.typed').is_file())"
    assert run(installed / "python", "-c", code).strip() == "True"
