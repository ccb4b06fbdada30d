"""``serve`` and ``config``: the same flags, the same settings."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from lambdamesh.cli import main
from lambdamesh.cli.config import defaults_file
from lambdamesh.cli.serve import greeting
from lambdamesh.settings import Settings, load


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of every node that was started, none of which runs; each ends with exit code 7."""
    started: list[Settings] = []

    def serve(settings: Settings) -> int:
        started.append(settings)
        return 7

    node = ModuleType("lambdamesh.node")
    monkeypatch.setattr(node, "serve", serve, raising=False)
    monkeypatch.setitem(sys.modules, "lambdamesh.node", node)
    monkeypatch.setattr("lambdamesh.telemetry.logs.configure", lambda *_: None)
    return started


def test_serve_runs_a_node_with_its_flags(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["serve", "--local", "127.0.0.1:0", "--local", "unix:/x", "--dev", "--state", "/s", "--log-format", "json"]
    argv += ["--allow-host", "a.test", "--allow-origin", "http://a.test", "--local-behind-proxy"]
    argv += ["--local-token-file", "/t", "--machine-id", "46301aae", "--host-name", "me", "--log-level", "debug"]
    assert main(argv) == 7
    assert served == [
        Settings(
            local=("127.0.0.1:0", "unix:/x"),
            dev=True,
            state="/s",
            log_format="json",
            allow_host=("a.test",),
            allow_origin=("http://a.test",),
            local_behind_proxy=True,
            local_token_file="/t",
            machine_id="46301aae",
            host_name="me",
            log_level="debug",
        )
    ]
    assert capsys.readouterr().out == ""


def test_a_flag_can_take_back_what_a_variable_said(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAMESH_DEV", "true")
    main(["serve", "--no-dev"])
    assert served[0].dev is False


@pytest.mark.usefixtures("terminal")
def test_serve_greets_people(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve"])
    assert "curl 'http://127.0.0.1:7630/lambda?pretty'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("local", "says"),
    [
        ("[::1]:80", "curl 'http://[::1]:80/lambda?pretty'"),
        ("unix:/run/door.sock", "--unix-socket /run/door.sock"),
        ("127.0.0.1:0", "the port that it logs"),
    ],
)
def test_the_greeting_fits_the_door(local: str, says: str) -> None:
    assert says in greeting(Settings(local=(local,)))


def test_serve_refuses_a_door_without_a_token(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--local", "0.0.0.0:7630"]) == 78
    assert "--local-token-file" in capsys.readouterr().err
    assert served == []


def test_config_tells_value_and_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[limits]\nlambda_calls = 9\n")
    assert main(["config", "--config", str(path), "--dev"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["dev"] == {"value": True, "source": "flag --dev"}
    assert shown["limits.lambda_calls"] == {"value": 9, "source": f"file {path}"}
    assert shown["local"] == {"value": ["127.0.0.1:7630", "[::1]:7630"], "source": "default"}


@pytest.mark.usefixtures("terminal")
def test_config_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--dev"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["dev", "true", "flag", "--dev"] in rows


def test_config_refuses_what_serve_would(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("devv = true\n")
    assert main(["config", "--config", str(path)]) == 78
    assert "did you mean dev?" in capsys.readouterr().err


def test_the_defaults_file_changes_nothing_and_can_be_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--defaults"]) == 0
    text = capsys.readouterr().out
    assert text == defaults_file() + "\n"
    path = tmp_path / "node.toml"
    path.write_text(text)
    assert load({}, {}, str(path)).settings == Settings()
    settings = [line.removeprefix("# ") for line in text.splitlines() if " = " in line and not line.endswith("...")]
    path.write_text("\n".join([*settings[: settings.index("call_timeout_s = 60.0")], "[limits]"]))
    path.write_text(path.read_text() + "\n" + "\n".join(settings[settings.index("call_timeout_s = 60.0") :]))
    assert set(tomllib.loads(path.read_text())["limits"]) >= {"call_timeout_s", "stream_ping_s"}
    assert load({}, {}, str(path)).settings == Settings()
