"""Settings of a node that joins others: what makes it join, what is refused, what is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from lambdamesh.settings import (
    ConfigError,
    Settings,
    Tcp,
    check_nats_urls,
    load,
    masked_urls,
    parse_mesh_door,
    parse_peer,
)

SECRET = {"mesh_secret_file": "/mesh.secret"}
OWN = {"mesh_ca": "/ca", "mesh_cert": "/cert", "mesh_key": "/key"}
MAKE_ONE = ["lambdamesh secret > mesh.secret", "the same file on each node", "--mesh-secret-file mesh.secret"]


def test_a_node_joins_nobody_unasked() -> None:
    assert not Settings().joins
    assert Settings().mesh_address is None


@pytest.mark.parametrize(
    "settings",
    [
        Settings(peer=("a:1",)),
        Settings(nats="nats://a"),
        Settings(mesh_secret_file="/s"),
        Settings(mesh_ca="/ca"),
        Settings(mesh_cert="/cert"),
        Settings(mesh_key="/key"),
    ],
)
def test_what_makes_a_node_join_opens_the_mesh_door(settings: Settings) -> None:
    assert settings.joins
    assert settings.mesh_address == "0.0.0.0:7631"


def test_the_mesh_door_may_be_elsewhere() -> None:
    settings = Settings(mesh="[::1]:0")
    assert settings.joins
    assert settings.mesh_address == "[::1]:0"


def test_every_peer_comes_with_a_port() -> None:
    settings = load({}, {"LAMBDAMESH_PEER": "a.test, [::1],10.0.0.1:80,[::1]:81", "LAMBDAMESH_MESH_SECRET_FILE": "/s"})
    assert settings.settings.peer == ("a.test:7631", "[::1]:7631", "10.0.0.1:80", "[::1]:81")


@pytest.mark.parametrize(
    ("text", "address"), [("a", Tcp("a", 7631)), ("a:1", Tcp("a", 1)), ("[::1]", Tcp("::1", 7631))]
)
def test_a_peer_is_read(text: str, address: Tcp) -> None:
    assert parse_peer(text) == address


@pytest.mark.parametrize(
    "text", ["", ":1", "a:", "a:0", "a:65536", "::1", "0.0.0.0:1", "[::]", "unix:/x", "http://a", "a:1/", "u@a:1"]
)
def test_what_nobody_can_dial_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mesh door|every address"):
        parse_peer(text)


@pytest.mark.parametrize("text", ["node..example:7631", ".example", f"{'x' * 64}.example:7631", "."])
def test_a_name_that_cannot_be_looked_up_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 63 characters"):
        parse_peer(text)
    with pytest.raises(ConfigError, match=r"peer \(flag --peer\)"):
        load(SECRET | {"peer": ["a", text]}, {})


def test_a_name_may_end_with_a_dot() -> None:
    assert parse_peer("node.example.:1") == Tcp("node.example.", 1)


@pytest.mark.parametrize("text", ["", "a", "unix:/x", "unix:x", "a:65536"])
def test_what_is_no_mesh_door_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"give host:port"):
        parse_mesh_door(text)


@pytest.mark.parametrize(
    "flags",
    [
        SECRET,
        OWN,
        SECRET | {"mesh": "127.0.0.1:0", "advertise": "127.0.0.1:9", "peer": ["127.0.0.1:8"]},
        SECRET | {"nats": "nats://a", "nats_creds": "/c", "require_directory": True},
        SECRET | {"nats": "tls://a", "nats_tls_ca": "/a", "nats_tls_cert": "/b", "nats_tls_key": "/c"},
        SECRET | {"nats": "nats://a", "peer": ["b"], "require_directory": True},
        OWN | {"nats": "nats://a", "nats_nkey": "/n"},
        OWN | {"peer": ["b"], "require_directory": True},
    ],
)
def test_what_fits_together_is_taken(flags: dict[str, object]) -> None:
    assert load(flags, {}).settings.joins


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"peer": ["a"]}, ["peer (flag --peer)", *MAKE_ONE]),
        ({"nats": "nats://a"}, ["nats (flag --nats)", *MAKE_ONE]),
        ({"mesh": "0.0.0.0:7631"}, ["mesh (flag --mesh)", *MAKE_ONE]),
        (SECRET | OWN, ["mesh_secret_file (flag --mesh-secret-file)", "mesh_ca", "not both", "leave one"]),
        (SECRET | {"mesh_key": "/k"}, ["mesh_secret_file", "mesh_key (flag --mesh-key)", "not both"]),
        ({"mesh_ca": "/ca"}, ["mesh_ca (flag --mesh-ca)", "--mesh-cert and --mesh-key"]),
        ({"mesh_cert": "/c", "mesh_key": "/k", "peer": ["a"]}, ["three files", "add --mesh-ca"]),
        (SECRET | {"nats": "tls://a", "nats_tls_cert": "/c"}, ["nats_tls_cert", "add --nats-tls-key FILE"]),
        (SECRET | {"nats": "tls://a", "nats_tls_key": "/c"}, ["nats_tls_key", "add --nats-tls-cert FILE"]),
        (
            SECRET | {"nats": "tls://a", "nats_creds": "/c", "nats_nkey": "/n"},
            ["nats_creds", "nats_nkey", "leave one of them out"],
        ),
        (SECRET | {"nats_creds": "/c"}, ["nats_creds", "add --nats URL"]),
        ({"nats_tls_ca": "/c"}, ["nats_tls_ca", "add --nats URL"]),
        ({"advertise": "a:1"}, ["advertise", "--mesh-secret-file", "--peer", "leave it out"]),
        (SECRET | {"advertise": "0.0.0.0:7631"}, ["advertise", "0.0.0.0:7631", "the one that others can dial"]),
        (SECRET | {"advertise": "[::]:1"}, ["advertise", "the one that others can dial"]),
        (SECRET | {"peer": ["b", "a:0"]}, ["peer", "'a:0'", "HOST:PORT"]),
        (SECRET | {"require_directory": True}, ["require_directory", "--peer HOST:PORT or --nats URL"]),
        ({"require_directory": True}, ["require_directory", "--peer HOST:PORT or --nats URL"]),
        (SECRET | {"mesh": "unix:/run/mesh.sock"}, ["mesh", "unix:/run/mesh.sock", "give host:port"]),
        ({"mesh_secret_file": ""}, ["mesh_secret_file", "names no file"]),
        (SECRET | {"nats": "http://a.test"}, ["nats (flag --nats)", "http://a.test", "nats://"]),
    ],
)
def test_what_does_not_fit_is_refused_with_the_fix(flags: dict[str, object], says: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(flags, {})
    assert [part for part in says if part not in str(refusal.value)] == []


@pytest.mark.parametrize(
    "text",
    [
        "nats://a",
        "nats://a:4222,b:4222",
        "tls://user:pass@a.test:1",
        "nats://token@[::1]:4222",
        "nats://a,tls://b, nats://u:p%40%2F%2C@c:5",
    ],
)
def test_urls_of_nats_are_taken(text: str) -> None:
    check_nats_urls(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nats://",
        "http://a",
        "nats://hidden@",
        "nats://hidden@:4222",
        "nats://hidden@a:0",
        "nats://hidden@a:65536",
        "nats://hidden@a:b",
        "nats://hidden@[::1",
        "nats://hidden@a:1/subject",
        "http://hidden@a",
        "nats://a,",
    ],
)
def test_what_is_no_url_of_nats_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        check_nats_urls(text)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "nats://u:hid/den@a",
        "nats://u:hid@den@a",
        "nats://u:hid,den@a",
        "nats://u:hid den@a",
        "nats://u:hid#den@a",
        "nats://a,tls://u:hid?den@a",
        "nats://a,hid:den@b",
        "nats://a,http://hid:den@b",
        "nats://a:1?x=hid:den@b",
    ],
)
def test_a_secret_that_is_not_encoded_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"percent-encode .* %2F") as refusal:
        check_nats_urls(text)
    assert "hid" not in str(refusal.value)
    assert "den@" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://a:4222", "nats://a:4222"),
        ("nats://user:pass@a:4222", "nats://***@a:4222"),
        ("nats://token@a,b", "nats://***@a,b"),
        ("tls://u:p@a, tls://t@b,nats://c", "tls://***@a,tls://***@b,nats://c"),
        ("user:pass@a", "***@a"),
        ("nats://u:p@ss/w,rd@a", "nats://***@a"),
        ("nats://u:p\nq@a", "nats://***@a"),
        ("http://u:p@a", "http://***@a"),
    ],
)
def test_secrets_of_urls_are_masked(text: str, shown: str) -> None:
    assert masked_urls(text) == shown


def test_settings_show_no_secret_however_they_are_printed() -> None:
    effective = load(SECRET | {"nats": "nats://me:hidden@a.test"}, {})
    rows = {key: value for key, value, _ in effective.rows()}
    assert effective.settings.nats == "nats://me:hidden@a.test"
    assert rows["nats"] == "nats://***@a.test"
    for text in (repr(effective), f"{effective.settings}", pretty_repr(effective), pretty_repr(effective.settings)):
        assert "***@a.test" in text
        assert "hidden" not in text


@pytest.mark.parametrize("value", ['["nats://me:hidden@a.test"]', '{url = "nats://me:hidden@a.test"}'])
def test_a_refusal_of_the_wrong_type_shows_no_secret(tmp_path: Path, value: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"nats = {value}\n")
    with pytest.raises(ConfigError, match="expected string") as refusal:
        load({}, {}, str(path))
    assert "hidden" not in str(refusal.value)


def test_a_service_of_kubernetes_is_no_setting() -> None:
    environ = {"LAMBDAMESH_NATS_PORT": "tcp://10.0.0.1:4222", "LAMBDAMESH_PEER_SERVICE_HOST": "10.0.0.1"}
    assert load({}, environ).settings == Settings()
