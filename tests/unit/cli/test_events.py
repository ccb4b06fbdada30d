"""``lambdamesh events``: the stream as lines."""

from __future__ import annotations

import json

import pytest

from lambdamesh.cli import main
from lambdamesh.cli.events import read_events
from tests.unit.cli.fake_node import FakeNode

STREAM = (
    b": ping\n\n"
    b'event: open\ndata: {"id": "rhowRuuCUoE5vlcA", "code": "json-rpc", "reopened": false}\n\n'
    b'event: close\r\ndata: {"id": "rhowRuuCUoE5vlcA", "reason": "lost"}\r\n\r\n'
)


def test_events_are_read_as_the_standard_says() -> None:
    lines = [
        b"data\n",
        b"\n",
        b"data:a\n",
        b"data:  b\n",
        b"id: 1\n",
        b":c\n",
        b"\n",
        b"event:x\n",
        b"\n",
        b"data: cut\n",
    ]
    assert list(read_events(lines)) == [("message", ""), ("message", "a\n b")]


def test_a_pipe_gets_json_lines_and_the_end_is_told(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /events", STREAM, Content_Type="text/event-stream")
    assert main(["events", "--url", fake_node.url]) == 3
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == [
        {"event": "open", "id": "rhowRuuCUoE5vlcA", "code": "json-rpc", "reopened": False},
        {"event": "close", "id": "rhowRuuCUoE5vlcA", "reason": "lost"},
    ]
    assert "ended the stream" in captured.err


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_lines_to_read(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /events", STREAM, Content_Type="text/event-stream")
    main(["events", "--url", fake_node.url])
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[1:] == ["open", "rhowRuuCUoE5vlcA", "code=json-rpc", "reopened=False"]
    assert second.split()[1:] == ["close", "rhowRuuCUoE5vlcA", "reason=lost"]


@pytest.mark.usefixtures("terminal")
def test_events_of_the_mesh_tell_their_node(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    stream = b'event: close\ndata: {"id": "rhowRuuCUoE5vlcA", "reason": "lost", "node": "two"}\n\n'
    fake_node.answer("GET /events?scope=mesh", stream, Content_Type="text/event-stream")
    main(["events", "--mesh", "--url", fake_node.url])
    assert capsys.readouterr().out.split()[1:] == ["close", "rhowRuuCUoE5vlcA", "reason=lost", "node=two"]


def test_ctrl_c_is_the_way_to_end_it(fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(event: str, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lambdamesh.cli.events._show_json", interrupt)
    fake_node.answer("GET /events", STREAM, Content_Type="text/event-stream")
    assert main(["events", "--url", fake_node.url]) == 0


def test_a_refusal_is_told(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /events", b'{"error": "too many", "code": "overloaded"}', 503)
    assert main(["events", "--url", fake_node.url]) == 1
    assert "overloaded: too many" in capsys.readouterr().err
