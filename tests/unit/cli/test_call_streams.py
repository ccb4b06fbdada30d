"""``lambdamesh call``: items as they come, and the methods that there are."""

from __future__ import annotations

import json

import pytest

from lambdamesh.cli import main
from tests.unit.cli.fake_node import FakeNode

ID = "rhowRuuCUoE5vlcA"
CALL = f"POST /lambda/{ID}/count"
DISCOVER = f"POST /lambda/{ID}/rpc.discover"
DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": "test", "version": "1.0.0"},
    "methods": [
        {
            "name": "count",
            "summary": "Count.",
            "params": [{"name": "to", "required": True, "schema": {"type": "integer"}}],
            "result": {"name": "item", "schema": {"type": "integer"}},
            "x-stream": True,
        }
    ],
}


def stream(node: FakeNode, *lines: bytes) -> None:
    node.answer(CALL, b"".join(line + b"\n" for line in lines), Content_Type="application/x-ndjson; charset=utf-8")


def test_a_stream_is_asked_for(fake_node: FakeNode) -> None:
    stream(fake_node, b'{"result":1}')
    assert main(["call", ID, "count", "3", "--url", fake_node.url]) == 0
    assert fake_node.asked[0].headers["Accept"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("lines", "printed"),
    [
        ([b'{"item":1}', b'{"item":{"a":1.50}}', b'{"result":null}'], '1\n{"a":1.50}\n'),
        ([b'{"item":1}', b'{"result":"end"}'], '1\n"end"\n'),
        ([b'{"item":null}', b'{"result":null}'], "null\n"),
        ([b'{"result":null}'], "null\n"),
        ([b'{"result":{"item":[1, "\\ud800"]}}'], '{"item":[1, "\\ud800"]}\n'),
    ],
)
def test_items_are_lines_and_a_null_after_them_is_none(
    lines: list[bytes], printed: str, fake_node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    stream(fake_node, *lines)
    assert main(["call", ID, "count", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_items_indented(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    stream(fake_node, b'{"item":{"a":1}}', b'{"result":null}')
    assert main(["call", ID, "count", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'


def test_an_error_after_items_fails(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    stream(fake_node, b'{"item":1}', b'{"error":"no more","code":"lambda_error","delivered":"yes"}')
    assert main(["call", ID, "count", "--url", fake_node.url]) == 1
    captured = capsys.readouterr()
    assert captured.out == "1\n"
    assert captured.err.startswith("lambda_error: no more\n")


def test_a_stream_without_an_end_fails(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    stream(fake_node, b'{"item":1}')
    assert main(["call", ID, "count", "--url", fake_node.url]) == 1
    assert "cut off" in capsys.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_without_a_method_the_methods_are_listed(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer(DISCOVER, json.dumps(DOCUMENT).encode())
    assert main(["call", ID, "--url", fake_node.url]) == 0
    shown = capsys.readouterr().out
    assert [word for word in ("count", "to: integer", "stream of integer", "Count.") if word not in shown] == []


def test_a_pipe_gets_the_document(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer(DISCOVER, json.dumps(DOCUMENT).encode())
    assert main(["call", ID, "--url", fake_node.url]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error": "no such method", "code": "method_not_found", "delivered": "yes"}'),
        (400, b'{"error": "KeyError", "code": "lambda_error", "delivered": "yes"}'),
        (200, b'{"echo": null}'),
        (200, b"[" * 500 + b"]" * 500),
    ],
)
def test_a_lambda_that_does_not_tell_is_called_by_name(
    status: int, body: bytes, fake_node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_node.answer(DISCOVER, body, status)
    assert main(["call", ID, "--url", fake_node.url]) == 1
    assert f"lambdamesh call {ID} METHOD" in capsys.readouterr().err


def test_a_lambda_that_is_not_there_is_told_as_ever(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer(DISCOVER, b'{"error": "it has closed", "code": "lambda_gone", "delivered": "no"}', 410)
    assert main(["call", ID, "--url", fake_node.url]) == 1
    assert "lambda_gone: it has closed" in capsys.readouterr().err
