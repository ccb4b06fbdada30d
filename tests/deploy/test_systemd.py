"""The systemd unit: systemd's own judgement of it, and a node that runs within its walls."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdamesh.cli.service_unit import packaged_unit, unit_for
from lambdamesh.core.limits import Limits
from tests.deploy import confined
from tests.deploy.confined import Rules
from tests.nodes import ROOT, START_S, Log, environment, until
from tests.wire import RawHttp, request as request_of

UNIT = ROOT / "deploy/systemd/lambdamesh.service"
EXPOSURE_AT_MOST = 2.0
"""Of 10, as ``systemd-analyze security`` counts."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def runnable(tmp_path: Path) -> Path:
    """The unit of a program that is there, in a path that wants to be quoted."""
    folder = tmp_path / "50% of it; ü $HOME"
    folder.mkdir()
    program = folder / "lambdamesh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(unit_for([str(program)]))
    return unit


def test_what_is_shown_is_what_is_installed() -> None:
    assert UNIT.read_text("utf-8") == packaged_unit()


@needs_systemd
def test_systemd_takes_it(runnable: Path) -> None:
    done = analyze("verify", "--man=no", runnable)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_complain(runnable: Path) -> None:
    """The judge of the test above is awake."""
    runnable.write_text(runnable.read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in analyze("verify", "--man=no", runnable).stderr


@needs_systemd
def test_it_exposes_little(runnable: Path) -> None:
    done = analyze("security", "--offline=yes", "--no-pager", runnable)
    found = re.search(r"Overall exposure level for lambdamesh.service: ([0-9.]+)", done.stdout)
    assert found is not None, done
    assert float(found[1]) <= EXPOSURE_AT_MOST, done.stdout


def test_a_drain_is_given_its_time() -> None:
    limits = Limits()
    rules = Rules(UNIT)
    assert float(rules.service("TimeoutStopSec")) > limits.drain_s + limits.drain_spread_s + limits.close_timeout_s
    assert rules.service("RestartPreventExitStatus") == "78"


# -- within its walls -------------------------------------------------------------------------------------------


@pytest.fixture
def walls() -> Path:
    why = confined.why_not()
    if why is not None:
        print(why)
        pytest.skip(why)
    return UNIT


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('/etc/lambdamesh-was-here', 'w')", "Read-only file system"),
        ("open('/work-of-nobody', 'w')", "Read-only file system"),
        ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)", "not permitted"),
        ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "not permitted"),
        ("import os; os.chroot('/')", "not permitted"),
        ("import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "not permitted"),
        ("import os; os.setuid(0)", "not permitted"),
        ("import os; print(os.getuid()); open('/var/lib/lambdamesh/x', 'w')", "65534"),
    ],
)
def test_the_walls_stand(walls: Path, code: str, said: str) -> None:
    """What the test below runs within is what the unit says."""
    line = confined.command(walls, [sys.executable, "-c", code])
    done = subprocess.run(line, env=environment({}), capture_output=True, text=True, check=False, timeout=60)
    assert said in done.stdout + done.stderr


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def served(walls: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], Log, Path]]:
    """A node within the walls that listens on port 80 and on a socket in its runtime directory."""
    doors = "127.0.0.1:80,unix:/run/lambdamesh/local.sock"
    secret = confined.RUNTIME / "mesh.secret"
    word = "lms1_" + secrets.token_urlsafe(32)
    serve = [sys.executable, "-m", "lambdamesh", "serve", "--log-format", "json", "--mesh-secret-file", str(secret)]
    script = ["sh", "-c", 'printf "%s\\n" "$0" > "$1" && shift && exec "$@"', word, str(secret), *serve]
    with subprocess.Popen(
        confined.command(walls, script, [Path(environment({})["PYTHONPATH"])]),
        env=environment({"local": doors, "workers": request.param}),
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            log = Log(node.stderr)
            log.wait("listening", count=3, within_s=START_S)
            yield node, log, Path(f"/proc/{node.pid}/root/run/lambdamesh/local.sock")
        finally:
            node.kill()


def test_a_node_lives_within_the_walls(served: tuple[subprocess.Popen[str], Log, Path]) -> None:
    node, log, door = served
    addresses = {line["address"] for line in log.wait("listening")}
    assert "127.0.0.1:80" in addresses
    with RawHttp(str(door)) as http:
        http.send(request_of("GET", "/readyz"))
        assert http.answer().json()["status"] == "ready"
    kept = {path.name for path in Path(f"/proc/{node.pid}/root{confined.STATE}").iterdir()}
    assert {"machine-id", "node-key", "lock"} <= kept
    os.kill(node.pid, signal.SIGHUP)
    log.wait("mesh_trust_reloaded")
    node.send_signal(signal.SIGTERM)
    assert node.wait(30) == 0, log.tail()
    until(lambda: "stopped" in json.dumps(log.lines), "the end is logged")
    assert "not permitted" not in log.text()
