"""Settings: which source wins, what is refused and how the refusal reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.settings import ConfigError, Effective, Settings, Tcp, Unix, describe, load, parse_address, toml_text


def from_env(**environ: str) -> Effective:
    return load({}, environ)


def from_file(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None, **flags: object) -> Effective:
    path = tmp_path / "node.toml"
    path.write_text(text)
    return load(flags, environ or {}, str(path))


def test_nothing_given_is_the_defaults() -> None:
    effective = load({}, {"PATH": "/bin", "lambdamesh_dev": "true"})
    assert effective.settings == Settings()
    assert set(effective.sources.values()) == {"default"}


def test_each_source_beats_the_one_below(tmp_path: Path) -> None:
    effective = from_file(
        tmp_path,
        'state = "/file"\nhost_name = "file"\nmachine_id = "000000aa"\n',
        {"LAMBDAMESH_STATE": "/env", "LAMBDAMESH_HOST_NAME": "env"},
        state="/flag",
        machine_id=None,
    )
    assert effective.settings.state == "/flag"
    assert effective.settings.host_name == "env"
    assert effective.settings.machine_id == "000000aa"
    assert effective.sources["state"] == "flag --state"
    assert effective.sources["host_name"] == "env LAMBDAMESH_HOST_NAME"
    assert effective.sources["machine_id"] == f"file {tmp_path / 'node.toml'}"
    assert effective.sources["dev"] == "default"


def test_limits_come_from_their_table_and_from_variables(tmp_path: Path) -> None:
    effective = from_file(
        tmp_path, "[limits]\nping_interval_s = 3\nlambda_calls = 7\n", {"LAMBDAMESH_PING_INTERVAL_S": "0.2"}
    )
    assert effective.settings.limits == Limits(ping_interval_s=0.2, lambda_calls=7)
    assert effective.sources["limits.ping_interval_s"] == "env LAMBDAMESH_PING_INTERVAL_S"
    assert effective.sources["limits.lambda_calls"].startswith("file ")
    assert effective.sources["limits.body_bytes"] == "default"


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("dev = true\n")
    assert from_env(LAMBDAMESH_CONFIG=str(path)).settings.dev is True


@pytest.mark.parametrize(
    ("text", "expected"), [("a.test, b.test", ("a.test", "b.test")), ("a.test", ("a.test",)), ("", ())]
)
def test_a_variable_lists_with_commas(text: str, expected: tuple[str, ...]) -> None:
    assert from_env(LAMBDAMESH_ALLOW_HOST=text).settings.allow_host == expected


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_variable_says_yes_or_no(text: str, expected: bool) -> None:
    assert from_env(LAMBDAMESH_DEV=text).settings.dev is expected


def test_an_empty_variable_is_not_set() -> None:
    effective = from_env(LAMBDAMESH_STATE="")
    assert effective.settings.state is None
    assert effective.sources["state"] == "default"


@pytest.mark.parametrize(
    "name",
    [
        "LAMBDAMESH_URL",
        "LAMBDAMESH_TOKEN",
        "LAMBDAMESH_SERVICE_HOST",
        "LAMBDAMESH_SERVICE_PORT_LOCAL",
        "LAMBDAMESH_PORT_7630_TCP_ADDR",
        "LAMBDAMESH_MESH_SERVICE_PORT",
    ],
)
def test_variables_of_clients_and_of_kubernetes_are_none_of_ours(name: str) -> None:
    assert from_env(**{name: "x"}).settings == Settings()


def test_the_port_that_kubernetes_names_is_none_of_ours() -> None:
    assert from_env(LAMBDAMESH_PORT="tcp://10.0.0.1:7630").settings == Settings()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"LAMBDAMESH_PING_INTERVAL": "1"}, ["LAMBDAMESH_PING_INTERVAL", "did you mean LAMBDAMESH_PING_INTERVAL_S?"]),
        ({"LAMBDAMESH_LAMDA_CALLS": "1"}, ["LAMBDAMESH_LAMDA_CALLS", "did you mean LAMBDAMESH_LAMBDA_CALLS?"]),
        ({"LAMBDAMESH_PORT": "80"}, ["unknown variable LAMBDAMESH_PORT"]),
        ({"LAMBDAMESH_PING_INTERVAL_S": "-1"}, ["limits.ping_interval_s", "more than 0", "-1"]),
        ({"LAMBDAMESH_PING_INTERVAL_S": "0"}, ["limits.ping_interval_s", "more than 0"]),
        ({"LAMBDAMESH_PING_INTERVAL_S": "nan"}, ["limits.ping_interval_s", "more than 0"]),
        ({"LAMBDAMESH_PING_INTERVAL_S": "inf"}, ["limits.ping_interval_s", "at most"]),
        ({"LAMBDAMESH_PING_INTERVAL_S": "1e300"}, ["limits.ping_interval_s", "at most 1099511627776"]),
        ({"LAMBDAMESH_BODY_BYTES": str(2**40 + 1)}, ["limits.body_bytes", "at most 1099511627776"]),
        ({"LAMBDAMESH_CONNECTIONS": str(2**63)}, ["limits.connections", "at most 1099511627776"]),
        ({"LAMBDAMESH_STREAM_CREDIT": "8"}, ["limits.stream_credit", "at least 16"]),
        ({"LAMBDAMESH_ITEM_BYTES": "1000"}, ["limits.item_bytes", "at least 65536"]),
        ({"LAMBDAMESH_CONNECTIONS": "-1"}, ["limits.connections", "at least 0"]),
        (
            {"LAMBDAMESH_LAMBDA_CALLS": "1.5"},
            ["limits.lambda_calls", "env LAMBDAMESH_LAMBDA_CALLS", "whole number", "1.5"],
        ),
        ({"LAMBDAMESH_DEV": "perhaps"}, ["dev", "true or false", "perhaps"]),
        ({"LAMBDAMESH_LOG_LEVEL": "loud"}, ["log_level", '"warning"', "loud"]),
        ({"LAMBDAMESH_MACHINE_ID": "00000000"}, ["machine_id", "8 hex digits"]),
        ({"LAMBDAMESH_MACHINE_ID": "46301aa"}, ["machine_id", "8 hex digits"]),
        ({"LAMBDAMESH_HOST_NAME": "a b"}, ["host_name", "a b"]),
        ({"LAMBDAMESH_ALLOW_HOST": "http://a.test"}, ["allow_host", "without scheme"]),
        ({"LAMBDAMESH_ALLOW_ORIGIN": "a.test"}, ["allow_origin", "http://app.test:3000"]),
        ({"LAMBDAMESH_ALLOW_ORIGIN": "http://a.test/path"}, ["allow_origin", "http://a.test/path"]),
        ({"LAMBDAMESH_LOCAL": "7630"}, ["local", "host:port"]),
        ({"LAMBDAMESH_LOCAL": "unix:relative"}, ["local", "absolute"]),
        ({"LAMBDAMESH_LOCAL": ","}, ["local", "door"]),
        ({"LAMBDAMESH_LOCAL": "0.0.0.0:7630"}, ["0.0.0.0:7630", "--local-token-file"]),
        ({"LAMBDAMESH_LOCAL": "[::]:7630"}, ["[::]:7630", "--local-token-file"]),
        ({"LAMBDAMESH_LOCAL": "myhost:7630"}, ["myhost:7630", "--local-token-file"]),
        ({"LAMBDAMESH_CONFIG": "/nowhere/node.toml"}, ["/nowhere/node.toml", "No such file"]),
    ],
)
def test_a_refusal_names_key_source_and_remedy(environ: dict[str, str], says: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        load({}, environ)
    assert [part for part in says if part not in str(refusal.value)] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alow_host = []", ["alow_host", "did you mean allow_host?"]),
        ("ping_interval_s = 1", ["ping_interval_s", "under [limits]"]),
        ("[limits]\nping = 1", ["limits.ping", "did you mean limits.ping_"]),
        ("limits = 1", ["limits", "table"]),
        ("dev = 1", ["dev", "true or false", "1"]),
        ('local = "127.0.0.1:1"', ["local", "list of strings"]),
        ("machine_id = 12345678", ["machine_id", "string"]),
        ("[limits]\nbody_bytes = true", ["limits.body_bytes", "whole number"]),
        ("dev = ", ["is not TOML"]),
    ],
)
def test_the_file_is_read_strictly(tmp_path: Path, text: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_file(tmp_path, text)
    assert [part for part in [*says, "node.toml"] if part not in str(refusal.value)] == []


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--sate.*did you mean state"):
        load({"sate": "/x"}, {})


def test_a_token_opens_other_addresses() -> None:
    effective = from_env(LAMBDAMESH_LOCAL="0.0.0.0:7630", LAMBDAMESH_LOCAL_TOKEN_FILE="/run/token")
    assert effective.settings.local == ("0.0.0.0:7630",)


def test_machine_ids_are_shown_in_lower_case() -> None:
    assert from_env(LAMBDAMESH_MACHINE_ID="46301AAE").settings.machine_id == "46301aae"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7630", Tcp("127.0.0.1", 7630)),
        ("[::1]:0", Tcp("::1", 0)),
        ("localhost:80", Tcp("localhost", 80)),
        ("unix:/run/mesh.sock", Unix("/run/mesh.sock")),
    ],
)
def test_an_address_is_read(text: str, address: Tcp | Unix) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":80", "::1:80", "[::1]", "[1.2.3.4]:80", "a:65536", "a:b", "a b:1", "unix:", "http://a:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("a", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert Tcp(host, 1).loopback is loopback


def test_the_reference_has_every_setting_with_its_meaning() -> None:
    reference = {described.key: described for described in describe()}
    assert set(reference) == set(load({}, {}).sources)
    assert [key for key, described in reference.items() if not described.help] == []
    assert reference["local"].default == '["127.0.0.1:7630", "[::1]:7630"]'
    assert reference["local"].flag == "--local"
    assert reference["state"].default == ""
    assert reference["log_format"].type == '"auto" or "json" or "console"'
    assert reference["limits.ping_interval_s"].type == "number"
    assert reference["limits.ping_interval_s"].env == "LAMBDAMESH_PING_INTERVAL_S"
    assert reference["limits.ping_interval_s"].flag is None


def test_rows_tell_every_value() -> None:
    rows = {key: (value, source) for key, value, source in from_env(LAMBDAMESH_GONE_IDS="0").rows()}
    assert rows["limits.gone_ids"] == (0, "env LAMBDAMESH_GONE_IDS")
    assert rows["dev"] == (False, "default")


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (1.5, "1.5"), ('a"b', '"a\\"b"'), (("a", "b"), '["a", "b"]')]
)
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert toml_text(value) == text


def test_the_largest_limits_are_taken() -> None:
    limits = from_env(LAMBDAMESH_BODY_BYTES=str(2**40), LAMBDAMESH_DRAIN_S=str(2**40)).settings.limits
    assert (limits.body_bytes, limits.drain_s) == (2**40, 2**40)
