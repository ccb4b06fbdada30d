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

    serving = ModuleType("lambdamesh.workers.serving")
    monkeypatch.setattr(serving, "serve", serve, raising=False)
    monkeypatch.setitem(sys.modules, "lambdamesh.workers.serving", serving)
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


def test_serve_has_a_flag_for_each_setting_of_the_mesh(served: list[Settings]) -> None:
    argv = ["serve", "--mesh", "10.0.0.1:0", "--advertise", "a.test:1", "--peer", "b.test", "--peer", "c.test:2"]
    argv += ["--nats", "tls://d.test,tls://e.test", "--nats-creds", "/creds", "--nats-tls-ca", "/nats-ca"]
    argv += ["--nats-tls-cert", "/nats-cert", "--nats-tls-key", "/nats-key", "--require-directory"]
    own = ["--mesh-ca", "/ca", "--mesh-cert", "/cert", "--mesh-key", "/key"]
    assert main([*argv, *own]) == 7
    assert main(["serve", "--nats", "nats://a", "--nats-nkey", "/seed", "--mesh-secret-file", "/secret"]) == 7
    assert served == [
        Settings(
            mesh="10.0.0.1:0",
            advertise="a.test:1",
            peer=("b.test:7631", "c.test:2"),
            nats="tls://d.test,tls://e.test",
            nats_creds="/creds",
            nats_tls_ca="/nats-ca",
            nats_tls_cert="/nats-cert",
            nats_tls_key="/nats-key",
            require_directory=True,
            mesh_ca="/ca",
            mesh_cert="/cert",
            mesh_key="/key",
        ),
        Settings(nats="nats://a", nats_nkey="/seed", mesh_secret_file="/secret"),
    ]


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


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(mesh_secret_file="/etc/m.secret", host_name="one"), "--peer one:7631 --mesh-secret-file m.secret"),
        (Settings(mesh_secret_file="s", host_name="one"), "The mesh door is 0.0.0.0:7631."),
        (Settings(mesh_secret_file="s", host_name="one", mesh="[::]:1"), "--peer one:1 "),
        (Settings(mesh_secret_file="s", host_name="one", mesh="[::1]:1"), "--peer [::1]:1 "),
        (Settings(mesh_secret_file="s", host_name="one", mesh="[::1]:0"), "--peer [::1]:PORT "),
        (Settings(mesh_secret_file="s", advertise="out.test:9", mesh="10.0.0.1:1"), "--peer out.test:9 "),
        (Settings(mesh_ca="ca", mesh_cert="c", mesh_key="k"), "--mesh-ca CA --mesh-cert CERT --mesh-key KEY"),
        (Settings(mesh_ca="ca", mesh_cert="c", mesh_key="k"), "a certificate of a CA in ca"),
    ],
)
def test_the_greeting_tells_how_another_node_joins(settings: Settings, says: str) -> None:
    assert says in greeting(settings)


def test_the_greeting_of_a_node_without_others_speaks_of_no_mesh() -> None:
    assert "mesh door" not in greeting(Settings())


def test_serve_refuses_to_join_without_a_secret(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--peer", "one.test"]) == 78
    assert "lambdamesh secret > mesh.secret" in capsys.readouterr().err
    assert served == []


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


JOINING = ["--nats", "nats://me:hidden@a.test,tls://hidden@b.test", "--mesh-secret-file", "/mesh.secret"]


def test_config_shows_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", *JOINING]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["nats"]["value"] == "nats://***@a.test,tls://***@b.test"
    assert "hidden" not in shown


@pytest.mark.usefixtures("terminal")
def test_config_shows_people_no_password_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", *JOINING]) == 0
    shown = capsys.readouterr().out
    assert "***@" in shown
    assert "hidden" not in shown


def test_config_refuses_what_serve_would(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("devv = true\n")
    assert main(["config", "--config", str(path)]) == 78
    assert "did you mean dev?" in capsys.readouterr().err


def test_the_defaults_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--defaults"]) == 0
    text = capsys.readouterr().out
    assert text == defaults_file() + "\n"
    path = tmp_path / "node.toml"
    path.write_text(text)
    assert load({}, {}, str(path)).settings == Settings()
    written = tomllib.loads(text)
    keys = {*written, *(f"limits.{name}" for name in written["limits"])} - {"limits"}
    defaults = {key: value for key, value, _ in load({}, {}).rows()}
    assert keys == {key for key, value in defaults.items() if value is not None}
    commented = {line.removeprefix("# ").partition(" = ")[0] for line in text.splitlines() if line.endswith(" = ...")}
    assert commented == {key for key, value in defaults.items() if value is None}


def test_the_defaults_file_says_what_each_setting_means() -> None:
    """Every entry has a comment of its own right above it, no wider than a terminal."""
    blocks = [block.splitlines() for block in defaults_file().split("\n\n")[1:] if block != "[limits]"]
    assert [block for block in blocks if len(block) < 2 or not block[0].startswith("# ")] == []
    assert max(len(line) for block in blocks for line in block) <= 102
