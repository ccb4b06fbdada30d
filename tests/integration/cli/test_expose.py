"""``lambdamesh expose``: from a file to a lambda, its changes, its end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.commands import Going, run
from tests.nodes import Node, until

Start = Callable[..., Going]


def call(node: Node, lambda_id: str, method: str, body: str = "null") -> bytes:
    return node.fetch("POST", f"/lambda/{lambda_id}/{method}", body.encode()).body


def test_a_file_is_called_over_http_until_ctrl_c(node: Node, start: Start) -> None:
    going = start(node, "expose", "examples/python/greeter.py")
    first = going.event()
    assert first["methods"] == ["hello", "count", "area"]
    assert first["url"] == f"{node.url}/lambda/{first['id']}/"
    assert call(node, first["id"], "hello", '"Ada"') == b'"hello, Ada"'
    assert call(node, first["id"], "area", '{"width": 2, "height": 1.5}') == b"3.0"
    assert call(node, first["id"], "count", "2") == b"[1,2]"
    assert going.interrupt() == 0
    assert going.event() == {"event": "state", "state": "closed"}
    assert node.fetch("POST", f"/lambda/{first['id']}/hello", b"null").status == 410
    assert going.end() == ""


def test_ctrl_c_does_not_wait_for_a_function_that_blocks(node: Node, start: Start, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import time\nfrom pathlib import Path\ndef block():\n    Path('began').touch()\n    time.sleep(600)\n"
    )
    going = start(node, "expose", "app.py", folder=tmp_path)
    calling = start(node, "call", going.event()["id"], "block")
    until((tmp_path / "began").exists, "the call has begun", 20)
    assert going.interrupt() == 0
    assert calling.process.wait(10) == 1
    assert "lambda_lost" in calling.end()


def test_sigterm_closes_it_too(node: Node, start: Start) -> None:
    going = start(node, "expose", "examples/python/greeter.py:hello")
    lambda_id = going.event()["id"]
    going.process.send_signal(signal.SIGTERM)
    assert going.process.wait(10) == 0
    assert node.fetch("GET", f"/lambda/{lambda_id}").status == 410


def test_an_object_of_a_module_and_some_of_its_methods(node: Node, start: Start, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "class Shop:\n    def price(self, item: str): return len(item)\n    def _own(self): return 'own'\nshop = Shop()\n"
    )
    going = start(node, "expose", "shop:shop", "--only", "_own", "--only", "price", folder=tmp_path)
    first = going.event()
    assert first["methods"] == ["_own", "price"]
    assert call(node, first["id"], "_own") == b'"own"'


def test_a_change_is_reloaded_under_the_same_id(node: Node, start: Start, tmp_path: Path) -> None:
    app, texts = tmp_path / "app.py", tmp_path / "texts.py"
    app.write_text("import texts\ndef hello(): return texts.HELLO\n")
    texts.write_text("HELLO = 'old'\n")
    going = start(node, "expose", "app.py", "--reload", folder=tmp_path)
    lambda_id = going.event()["id"]
    assert call(node, lambda_id, "hello") == b'"old"'

    texts.write_text("HELLO = 'new'\n")
    assert going.event() == {"event": "reloaded", "methods": ["hello"]}
    assert call(node, lambda_id, "hello") == b'"new"'

    app.write_text("import texts\ndef hello(: return 1\n")
    failed = going.event()
    assert failed["event"] == "reload_failed"
    assert "SyntaxError" in failed["error"]
    assert call(node, lambda_id, "hello") == b'"new"', "the old code goes on"

    app.write_text("import texts\ndef bye(): return 'bye'\n")
    assert going.event() == {"event": "reloaded", "methods": ["bye"]}
    assert call(node, lambda_id, "bye") == b'"bye"'
    assert node.fetch("POST", f"/lambda/{lambda_id}/hello", b"null").status == 400
    assert b'"bye"' in call(node, lambda_id, "rpc.discover")
    assert going.interrupt() == 0


def test_a_call_that_runs_during_a_reload_ends_with_the_code_it_began_with(
    node: Node, start: Start, tmp_path: Path
) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import asyncio\nfrom pathlib import Path\n"
        "async def hello():\n"
        "    Path('began').touch()\n"
        "    while not Path('go').exists(): await asyncio.sleep(0.01)\n"
        "    return 'old'\n"
    )
    going = start(node, "expose", "app.py", "--reload", folder=tmp_path)
    lambda_id = going.event()["id"]
    calling = start(node, "call", lambda_id, "hello")
    until((tmp_path / "began").exists, "the call has begun", 20)
    app.write_text("def hello(): return 'new'\n")
    assert going.event()["event"] == "reloaded"
    assert call(node, lambda_id, "hello") == b'"new"'
    (tmp_path / "go").touch()
    assert calling.line() == '"old"\n'


def test_the_id_outlives_the_node(start_node: Callable[..., Node], start: Start, tmp_path: Path) -> None:
    node = start_node(state=tmp_path / "state")
    going = start(node, "expose", "examples/python/greeter.py")
    lambda_id = going.event()["id"]
    node.kill()
    assert going.event() == {"event": "state", "state": "waiting"}
    again = start_node(state=tmp_path / "state", local=node.authority)
    assert going.event() == {"event": "state", "state": "open"}
    assert call(again, lambda_id, "hello") == b'"hello, world"'


def test_a_lambda_that_was_deleted_ends_the_command(node: Node, start: Start) -> None:
    going = start(node, "expose", "examples/python/greeter.py")
    node.fetch("DELETE", f"/lambda/{going.event()['id']}")
    assert going.process.wait(10) == 1
    assert "deleted" in going.end()


@pytest.mark.parametrize("text", ["def f(:\n", "1 / 0\n"])
def test_code_that_cannot_be_imported_is_told_before_a_node_is_asked(text: str, node: Node, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(text)
    done = run(node, "expose", str(tmp_path / "app.py"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "app.py" in done.stderr
    assert "importlib" not in done.stderr
