"""``lambdamesh call`` and ``bench`` against a lambda of ``expose``."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.commands import Going, run
from tests.nodes import Node

Start = Callable[..., Going]


def test_a_result_and_a_body_from_stdin(node: Node, greeter: str) -> None:
    assert run(node, "call", greeter, "hello").stdout == '"hello, world"\n'
    assert run(node, "call", greeter, "hello", "-", stdin='"Ada"').stdout == '"hello, Ada"\n'


def test_items_are_printed_as_they_come(node: Node, greeter: str, start: Start) -> None:
    calling = start(node, "call", greeter, "count", "1000000")
    assert [calling.line(), calling.line()] == ["1\n", "2\n"]


def test_ctrl_c_cancels_the_call(node: Node, start: Start, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import asyncio, sys\n"
        "async def count():\n"
        "    try:\n"
        "        yield 1\n"
        "        await asyncio.sleep(600)\n"
        "    finally:\n"
        '        print(\'{"event": "cancelled"}\', flush=True)\n'
    )
    going = start(node, "expose", "app.py", folder=tmp_path)
    calling = start(node, "call", going.event()["id"], "count")
    assert calling.line() == "1\n"
    assert calling.interrupt() == 130
    assert calling.end() == ""
    assert going.event() == {"event": "cancelled"}


def test_errors_keep_their_status(node: Node, greeter: str) -> None:
    wrong = run(node, "call", greeter, "count", '"two"')
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("invalid_params: ")
    assert run(node, "call", greeter, "nope").stderr.startswith("method_not_found: ")


def test_the_methods_are_listed(node: Node, greeter: str) -> None:
    document = json.loads(run(node, "call", greeter).stdout)
    assert [method["name"] for method in document["methods"]] == ["hello", "count", "area"]


def test_so_many_calls_are_made_and_counted(node: Node, greeter: str) -> None:
    done = run(node, "bench", greeter, "hello", '"Ada"', "--calls", "200", "--in-flight", "8")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["calls"], told["in_flight"], told["errors"]) == (200, 8, {})
    times = told["latency_ms"]
    assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
    assert sum(row["calls"] for row in told["histogram"]) == 200


def test_errors_are_counted_by_code(node: Node, greeter: str) -> None:
    done = run(node, "bench", greeter, "nope", "--calls", "10")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["errors"] == {"method_not_found": 10}
    assert (told["calls"], told["calls_per_s"], told["failed_share"]) == (10, 0, 1)


def test_a_lambda_that_is_not_there_is_told_at_once(node: Node) -> None:
    done = run(node, "bench", "rhowRuuCUoE5vlcA", "hello", "--seconds", "60")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lambda_not_found: ") or done.stderr.startswith("recovering: ")


def test_ctrl_c_ends_early_and_still_reports(node: Node, start: Start, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "async def hello(first=[]):\n    if not first:\n        first.append(1)\n        print('{}', flush=True)\n"
    )
    going = start(node, "expose", "app.py", folder=tmp_path)
    began_at = time.monotonic()
    benching = start(node, "bench", going.event()["id"], "hello", "--seconds", "600")
    assert going.event(lambda line: line == {}) == {}, "the calls have begun"
    benching.process.send_signal(signal.SIGINT)
    told = benching.event()
    assert benching.process.wait(20) == (0 if told["calls"] else 1)
    assert time.monotonic() - began_at < 60
    assert benching.end() == ""


@pytest.mark.parametrize("command", ["call", "bench"])
def test_the_token_of_a_door_is_asked_for(
    command: str, start_node: Callable[..., Node], tmp_path: Path, greeter: str
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("hush-hush-hush-hush-hush-hush-hush")
    token_file.chmod(0o600)
    locked = start_node(local_token_file=token_file)
    done = run(locked, command, greeter, "hello")
    assert done.returncode == 1
    assert "LAMBDAMESH_TOKEN" in done.stderr
