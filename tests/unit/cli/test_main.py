"""The frame of the command line: exit codes, usage, help."""

from __future__ import annotations

import socket

import pytest

import lambdamesh
from lambdamesh.cli import COMMANDS, app, main
from tests.unit.cli.fake_node import FakeNode


def closed_url() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_version_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == lambdamesh.__version__


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in shown] == []
    assert "78 bad configuration" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function = app[name].default_command
    assert function is not None
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name]
    assert main([name, "--help"]) == 0
    assert "Usage: lambdamesh " + name in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        ["lss"],
        ["ls", "--nope"],
        ["ls", "extra"],
        ["call"],
        ["bench", "rhowRuuCUoE5vlcA"],
        ["bench", "rhowRuuCUoE5vlcA", "test", "--in-flight", "0"],
        ["bench", "rhowRuuCUoE5vlcA", "test", "{"],
        ["bench", "rhowRuuCUoE5vlcA", "test", "--mesh"],
        ["bench", "rhowRuuCUoE5vlcA", "test", "--via", "http://127.0.0.1:1"],
        ["bench", "--rate", "0"],
        ["bench", "--connections", "0"],
        ["doctor", "extra"],
        ["expose"],
        ["expose", "app.py", "--exec", "true"],
        ["expose", "--exec", "true", "--reload"],
        ["expose", "json", "--grace", "-1"],
        ["completion", "tcsh"],
        ["call", "rhowRuuCUoE5vlcA", "test", "--timeout", "soon"],
        ["call", "rhowRuuCUoE5vlcA", "test", "--timeout", "0"],
        ["serve", "--log-level", "loud"],
        ["ls", "--url", "ftp://127.0.0.1"],
        ["ls", "--url", "http://127.0.0.1:port"],
        ["ls", "--url", "http://127.0.0.1:7630/lambda"],
    ],
)
def test_usage_errors_exit_2_and_go_to_stderr(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


@pytest.mark.parametrize(
    "argv",
    [
        ["ls"],
        ["peers"],
        ["version"],
        ["bench"],
        ["bench", "--mesh"],
        ["events"],
        ["call", "rhowRuuCUoE5vlcA"],
        ["call", "rhowRuuCUoE5vlcA", "test"],
        ["bench", "rhowRuuCUoE5vlcA", "test"],
        ["expose", "examples/python/greeter.py"],
        ["expose", "--exec", "true"],
    ],
)
def test_no_node_exits_3_and_names_the_remedy(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    url = closed_url()
    assert main([*argv, "--url", url]) == 3
    error = capsys.readouterr().err
    assert f"no node answers at {url}" in error
    assert "lambdamesh serve" in error
    assert "--url" in error


def test_no_socket_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--url", "unix:/nowhere/door.sock"]) == 3
    assert "unix:/nowhere/door.sock" in capsys.readouterr().err


def test_something_else_on_the_port_exits_3(capsys: pytest.CaptureFixture[str], fake_node: FakeNode) -> None:
    fake_node.answer("GET /lambda", b"<html>")
    assert main(["ls", "--url", fake_node.url]) == 3
    assert "no lambdamesh node" in capsys.readouterr().err


def test_bad_configuration_exits_78(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAMESH_NO_SUCH", "1")
    assert main(["serve"]) == 78
    assert "LAMBDAMESH_NO_SUCH" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["LAMBDAMESH_BODY_BYTES", "LAMBDAMESH_WRITE_DEADLINE_S", "LAMBDAMESH_DRAIN_S"])
def test_a_limit_out_of_this_world_exits_78(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(2**40 + 1))
    assert main(["serve"]) == 78
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX: b", "a, b"])
@pytest.mark.parametrize("argv", [["ls"], ["call", "rhowRuuCUoE5vlcA", "test"], ["events"], ["peers"]])
def test_a_token_that_is_no_header_is_a_usage_error(
    argv: list[str],
    token: str,
    fake_node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LAMBDAMESH_URL", fake_node.url)
    monkeypatch.setenv("LAMBDAMESH_TOKEN", token)
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "LAMBDAMESH_TOKEN" in captured.err
    assert "Traceback" not in captured.err
    assert not fake_node.asked


def test_url_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, fake_node: FakeNode) -> None:
    monkeypatch.setenv("LAMBDAMESH_URL", fake_node.url)
    monkeypatch.setenv("LAMBDAMESH_TOKEN", "hush")
    fake_node.answer("GET /peers", b"[]")
    assert main(["peers"]) == 0
    assert fake_node.asked[0].headers["Authorization"] == "Bearer hush"


def test_the_url_of_a_web_socket_client_will_do(monkeypatch: pytest.MonkeyPatch, fake_node: FakeNode) -> None:
    monkeypatch.setenv("LAMBDAMESH_URL", fake_node.url.replace("http", "ws"))
    fake_node.answer("GET /peers", b"[]")
    assert main(["peers"]) == 0


def test_a_unix_socket_is_a_door(unix_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    unix_node.answer("GET /peers", b"[]")
    assert main(["peers", "--url", unix_node.url]) == 0
    assert unix_node.asked[0].headers["Host"] == "localhost"
    assert capsys.readouterr().out == "[]\n"


def test_a_refused_token_names_the_remedy(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda", b'{"error": "no token", "code": "unauthorized"}', 401)
    assert main(["ls", "--url", fake_node.url]) == 1
    assert "LAMBDAMESH_TOKEN" in capsys.readouterr().err
