"""What ``expose`` says."""

from __future__ import annotations

import json
import shlex

import pytest

from lambdamesh.cli.announcing import Lines, Place, change_text, changes_to, curl_line
from lambdamesh.client.handlers import Handler, compile_handlers
from lambdamesh.client.openrpc import DISCOVER, discoverer
from lambdamesh.client.reconnector import State

ID = "rhowRuuCUoE5vlcA"


def handlers() -> dict[str, Handler]:
    async def hello(name: str) -> str:
        return name

    async def it_s(body):
        yield body

    made = compile_handlers({"hello": hello, "it's": it_s})
    made[DISCOVER] = discoverer(made.values(), "test")
    return made


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:7630", f"http://127.0.0.1:7630/lambda/{ID}/"),
        ("http://127.0.0.1:7630/", f"http://127.0.0.1:7630/lambda/{ID}/"),
        ("ws://pm3", f"http://pm3/lambda/{ID}/"),
        ("localhost:7630", f"http://localhost:7630/lambda/{ID}/"),
        ("unix:/run/mesh.sock", f"http://localhost/lambda/{ID}/"),
    ],
)
def test_the_address_of_a_lambda(url: str, base: str) -> None:
    assert Place(url, ID).base == base


def test_the_line_to_copy_calls_the_first_method() -> None:
    line = curl_line(Place("http://127.0.0.1:7630", ID), handlers())
    assert shlex.split(line) == ["curl", "-d", '"text"', f"http://127.0.0.1:7630/lambda/{ID}/hello"]


def test_the_line_for_a_stream_asks_for_one() -> None:
    stream = {"it's": handlers()["it's"]}
    words = shlex.split(curl_line(Place("http://127.0.0.1:7630", ID), stream))
    assert words[1:4] == ["-N", "-H", "Accept: application/x-ndjson"]
    assert words[-1].endswith("/it%27s")


def test_the_line_for_a_unix_socket_names_it() -> None:
    words = shlex.split(curl_line(Place("unix:///run/a b.sock", ID), handlers()))
    assert words[1:3] == ["--unix-socket", "/run/a b.sock"]


def test_a_pipe_gets_a_line_of_json_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.opened(Place("unix:/run/mesh.sock", ID), handlers())
    lines.state(State.WAITING)
    lines.reloaded(handlers())
    lines.failed("a\nb")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {
            "id": ID,
            "methods": ["hello", "it's"],
            "url": f"http://localhost/lambda/{ID}/",
            "unix_socket": "/run/mesh.sock",
        },
        {"event": "state", "state": "waiting"},
        {"event": "reloaded", "methods": ["hello", "it's"]},
        {"event": "reload_failed", "error": "a\nb"},
    ]


def test_only_what_is_news_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    tell = changes_to(Lines())
    outage = [State.WAITING, State.CONNECTING, State.WAITING, State.CONNECTING]
    for state in [State.CONNECTING, State.OPEN, *outage, State.OPEN, State.CLOSED]:
        tell(state)
    told = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["waiting", "open", "closed"]


def test_changes_of_methods_are_named() -> None:
    assert change_text(["a", "b"], ["b", "c"]) == "+c -a"
    assert change_text(["a"], ["a"]) == "1 method as before"
