"""``lambdamesh expose --exec``: a program for each call."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


def test_a_program_has_time_to_clean_up(node: Node, start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow.sh").write_text(
        "trap 'sleep 0.2; touch cleaned; exit' TERM; touch began; while :; do sleep 0.1; done"
    )
    lambda_id = start(node, "expose", "--exec", "sh slow.sh", folder=tmp_path).event()["id"]
    assert node.fetch("POST", f"/lambda/{lambda_id}/any?timeout=1.5", b"1").status == 504
    assert (tmp_path / "began").exists()
    until((tmp_path / "cleaned").exists, "it has cleaned up")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("sh -c 'echo 7'", (200, 7)),
        ("true", (200, None)),
        ("sh -c 'echo no >&2; exit 3'", (400, {"exit_code": 3})),
        ("sh -c 'kill -9 $$'", (400, {"exit_code": -9})),
    ],
)
def test_a_program_that_does_not_read_its_input(command: str, answer: object, node: Node, start: Start) -> None:
    lambda_id = start(node, "expose", "--exec", command).event()["id"]

    def call(body: bytes) -> object:
        told = node.fetch("POST", f"/lambda/{lambda_id}/any", body)
        content = json.loads(told.body)
        return told.status, content if told.status == 200 else content["data"]

    with ThreadPoolExecutor(20) as pool:
        assert set(map(str, pool.map(call, [b'"small"'] * 100))) == {str(answer)}
    assert call(b'"%b"' % (b"x" * 15_000_000)) == answer


def test_what_a_program_leaves_running_is_ended(node: Node, start: Start, tmp_path: Path) -> None:
    command = "sh -c 'sleep 600 & echo $! > pid; echo 1'"
    lambda_id = start(node, "expose", "--exec", command, folder=tmp_path).event()["id"]
    assert node.fetch("POST", f"/lambda/{lambda_id}/any?timeout=10", b"1").body == b"1"
    left = int((tmp_path / "pid").read_text())
    until(lambda: not runs(left), f"{left} has ended")


def test_complaints_are_shown_up_to_a_length(node: Node, start: Start) -> None:
    command = shlex.join([sys.executable, "-c", "import sys; sys.stderr.write('complaint\\n' * 100_000); print(1)"])
    going = start(node, "expose", "--exec", command)
    lambda_id = going.event()["id"]
    for _ in range(2):
        assert node.fetch("POST", f"/lambda/{lambda_id}/any", b"1").body == b"1"
    assert node.fetch("POST", f"/lambda/{lambda_id}/any", b"1").body == b"1"
    until(lambda: going.shown.count("bytes more") == 3, "the rest of each is counted")
    assert going.shown.count("complaint\n") < 3 * 7_000


def test_complaints_that_nobody_reads_stop_nothing(node: Node, start: Start) -> None:
    command = shlex.join([sys.executable, "-c", "import sys; sys.stderr.write('x' * 100_000); print(1)"])
    going = start(node, "expose", "--exec", command, reads_complaints=False)
    lambda_id = going.event()["id"]
    for _ in range(10):
        assert node.fetch("POST", f"/lambda/{lambda_id}/any?timeout=10", b"1").body == b"1"
    assert going.interrupt() == 0
