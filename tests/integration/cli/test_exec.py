"""``lambdamesh expose --exec``: a program for each call."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.commands import Going
from tests.nodes import Node, until

Start = Callable[..., Going]

PROGRAM = """
import json, os, subprocess, sys
body = json.loads(sys.stdin.readline())
assert sys.stdin.read() == ""
method = os.environ["LAMBDAMESH_METHOD"]
if method == "fail":
    sys.exit("first line\\nno such city")
if method == "silent":
    sys.exit(4)
if method == "wrong":
    print("1 2")
if method == "wait":
    child = subprocess.Popen(["sleep", "600"])
    with open(body, "w") as file:
        file.write(f"{os.getpid()} {child.pid}\\n")
    child.wait()
if method == "echo":
    print(json.dumps([body, os.environ["LAMBDAMESH_ID"], os.environ["LAMBDAMESH_RAY"]]))
"""


@pytest.fixture
def program_id(node: Node, start: Start, tmp_path: Path) -> str:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = shlex.join([sys.executable, "program.py"])
    return str(start(node, "expose", "--exec", command, folder=tmp_path).event()["id"])


def test_the_body_goes_in_and_the_result_comes_out(node: Node, program_id: str) -> None:
    answer = node.fetch("POST", f"/lambda/{program_id}/echo", b'{"a":\n "b"}')
    assert json.loads(answer.body) == [{"a": "b"}, program_id, answer.header("X-Ray")]


def test_no_output_is_null(node: Node, program_id: str) -> None:
    assert node.fetch("POST", f"/lambda/{program_id}/quiet", b"1").body == b"null"


@pytest.mark.parametrize(
    ("method", "message", "more"),
    [
        ("fail", "no such city", {"exit_code": 1}),
        ("silent", "ended with exit code 4", {"exit_code": 4}),
        ("wrong", "did not write one JSON value", None),
    ],
)
def test_a_failure_is_the_caller_s_error(method: str, message: str, more: object, node: Node, program_id: str) -> None:
    answer = node.fetch("POST", f"/lambda/{program_id}/{method}", b"null")
    told = json.loads(answer.body)
    assert (answer.status, told["code"], told.get("data")) == (400, "lambda_error", more)
    assert message in told["error"]


def test_a_call_that_nobody_waits_for_ends_the_program_and_its_children(
    node: Node, program_id: str, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    assert node.fetch("POST", f"/lambda/{program_id}/wait?timeout=1.5", json.dumps(str(pids)).encode()).status == 504
    started = [int(pid) for pid in pids.read_text().split()]
    until(lambda: not any(map(runs, started)), f"{started} have ended")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
