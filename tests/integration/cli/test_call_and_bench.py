"""``lambdamesh call`` and ``bench`` against a lambda of ``expose``."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.commands import Going, environment, run
from tests.meshes import mesh
from tests.nodes import Node
from tests.terminals import OnTerminal, plain

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


# -- bench's own lambdas, rates, and several nodes --------------------------------------------------------------


def bench(node: Node, *words: str) -> dict[str, Any]:
    done = run(node, "bench", *words)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_without_an_id_it_calls_a_lambda_of_its_own(start_node: Callable[..., Node]) -> None:
    node = start_node()
    told = bench(node, "--calls", "300", "--in-flight", "300", "--connections", "3")
    assert (told["calls"], told["connections"], told["errors"]) == (300, 3, {})
    assert json.loads(node.fetch("GET", "/lambda?count").body) == {"count": 0}, "it left nothing behind"


def test_a_rate_is_kept(node: Node) -> None:
    told = bench(node, "--rate", "100", "--duration", "1")
    assert told["calls"] + told["not_sent"] == 100
    assert told["seconds"] >= 0.99, "the hundredth was not due before"
    assert sum(row["calls"] for row in told["histogram"]) == told["calls"]


def test_waiting_for_slow_calls_counts(node: Node, start: Start, tmp_path: Path) -> None:
    """Twenty calls are due within 0.2 s, and each takes 0.1 s, one after the other: the last waits for all of them."""
    (tmp_path / "app.py").write_text("import asyncio\nasync def slow():\n    await asyncio.sleep(0.1)\n")
    lambda_id = start(node, "expose", "app.py", folder=tmp_path).event()["id"]
    told = bench(node, lambda_id, "slow", "--rate", "100", "--calls", "20", "--in-flight", "1")
    assert told["calls"] == 20
    assert told["latency_ms"]["max"] > 1500
    closed = bench(node, lambda_id, "slow", "--calls", "5", "--in-flight", "1")
    assert closed["latency_ms"]["p50"] < told["latency_ms"]["p50"], (
        "where each call waits for the last nobody sees that"
    )


def test_through_one_node_to_all_others(tmp_path: Path) -> None:
    with mesh(tmp_path, 3) as running:
        one, two, three = running
        told = bench(one, "--mesh", "--via", two.url, "--via", three.url, "--calls", "60")
        assert {node: row["calls"] for node, row in told["nodes"].items()} == {"node2": 30, "node3": 30}
        assert told["errors"] == {}
        partly = bench(one, "--mesh", "--via", two.url, "--calls", "10")
        assert partly["left_out"] == ["node3"]
        alone = run(one, "bench", "--mesh")
        assert (alone.returncode, alone.stdout) == (2, "")
        assert "node2, node3: name one with --via URL" in alone.stderr


def test_a_node_of_another_mesh_is_not_called(node: Node, start_node: Callable[..., Node]) -> None:
    done = run(node, "bench", "--via", start_node().url)
    assert done.returncode == 2
    assert "is not of this mesh" in done.stderr


def test_a_rate_on_a_terminal_and_ctrl_c(node: Node) -> None:
    environ = environment(node) | {"TERM": "xterm-256color", "COLUMNS": "110", "LC_ALL": "C.UTF-8"}
    going = OnTerminal(f"exec {shlex.quote(sys.executable)} -m lambdamesh bench --rate 200 --duration 600", environ)
    going.wait_for(re.compile(r"(?s).*calls/sp50.*p99"))
    going.signal(signal.SIGINT)
    assert going.end() == 0
    text = plain(going.printed)
    assert re.search(r"[\d,]+callsin\d+\.\d\ds,200asecondover1connection", text)
    assert "CALLSFAILEDCALLS/SMEANP50P90P99P99.9WORST" in text
    assert re.search(r"upto\d+(\.\d+)?(us|ms|s)[\d,]+\d+\.\d%[█▏▎▍▌▋▊▉]", text)


def test_a_terminal_without_blocks(node: Node) -> None:
    environ = environment(node) | {"TERM": "dumb", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    text = OnTerminal(f"exec {shlex.quote(sys.executable)} -m lambdamesh bench --calls 50", environ).finish()
    assert re.search(r"up to .*%\s#", text)
    assert text.isascii()
