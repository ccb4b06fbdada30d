"""``examples/mesh`` as a reader runs it: three nodes, a call across, and nothing left behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import ROOT, environment, until
from tests.providers import Answering
from tests.terminals import OnTerminal

NODE_LINE = re.compile(r"^(\w+) +http://([\d.]+):(\d+)  mesh door \S+  pid (\d+)$", re.MULTILINE)
OPEN_LINE = re.compile(r"^open (\S+); ctrl-C ends all of it$", re.MULTILINE)
END_S = 15.0


@pytest.fixture
def example(tmp_path: Path) -> Iterator[OnTerminal]:
    environ = environment({"PORT": "0", "LOCAL_PORT": "0", "MESH_PORT": "0", "TMPDIR": str(tmp_path)})
    running = OnTerminal(f"exec {sys.executable} examples/mesh/mesh.py", environ)
    yield running
    running.signal(signal.SIGTERM)
    try:
        running.end()
    except subprocess.TimeoutExpired:
        running.kill()


def _post(url: str, body: object, origin: str) -> dict:
    question = urllib.request.Request(url, json.dumps(body).encode(), {"Origin": origin})
    with urllib.request.urlopen(question, timeout=10) as answer:
        return json.load(answer)


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_three_nodes_in_one_command(example: OnTerminal, tmp_path: Path) -> None:
    [opened] = example.wait_for_lines(OPEN_LINE, 1)
    nodes = [line.groups() for line in example.wait_for_lines(NODE_LINE, 3)]
    site, hosts = opened[1], [(name, host) for name, host, *_ in nodes]
    assert hosts == [("one", "127.0.0.1"), ("two", "127.0.0.2"), ("three", "127.0.0.3")]
    assert "a function at two, called at three: 'hello, mesh'" in example.printed

    with Answering(("127.0.0.1", int(nodes[0][2])), lambda method, body: b'"shown"') as window:
        heard = _post(f"{site}/join", {"id": window.id}, site)
        assert (heard["node"], heard["answer"]) == ("three", "shown")
        for name in ("one", "two", "three"):
            heard = _post(f"{site}/call", {"id": window.id, "node": name, "text": "hi"}, site)
            assert (heard["node"], heard["answer"]) == (name, "shown")
            assert json.loads(window.calls[-1].body) == {"text": "hi", "through": name}
        with pytest.raises(urllib.error.HTTPError, match="403"):
            _post(f"{site}/call", {"id": window.id, "node": "one", "text": "hi"}, "http://evil.test")

    example.signal(signal.SIGINT)
    assert example.end() == 0, example.printed
    assert "Traceback" not in example.printed
    until(lambda: not any(_is_there(int(pid)) for *_, pid in nodes), "all nodes have ended", END_S)
    assert not list(tmp_path.iterdir())


def test_a_node_that_cannot_start_ends_it_and_says_why(tmp_path: Path) -> None:
    environ = environment({"PORT": "0", "LOCAL_PORT": "0", "MESH_PORT": "70000", "TMPDIR": str(tmp_path)})
    running = OnTerminal(f"exec {sys.executable} examples/mesh/mesh.py", environ)
    assert running.end() == 1
    assert "node one did not start" in running.printed and "mesh" in running.printed
    assert "Traceback" not in running.printed


def test_the_command_of_its_readme_is_that() -> None:
    readme = (ROOT / "examples" / "mesh" / "README.md").read_text("utf-8")
    assert "\n$ .venv/bin/python examples/mesh/mesh.py\n" in readme
