"""What ``doctor`` says of settings, the node that runs, the clock, the hosts entry and files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import lambdamesh
from lambdamesh.cli.checks.clock import clock
from lambdamesh.cli.checks.finding import Finding, State, told
from lambdamesh.cli.checks.hosts_entry import named
from lambdamesh.cli.checks.node_here import node_here
from lambdamesh.cli.checks.own_settings import settings
from lambdamesh.cli.checks.secret_files import mesh_trust, secret_files
from lambdamesh.cli.checks.surroundings import Surroundings, size_text
from lambdamesh.settings import Settings
from lambdamesh.state import open_state
from tests.meshes import secret_file
from tests.organisation import Organisation, private, written
from tests.unit.cli.checks.conftest import NOW_S
from tests.unit.cli.fake_node import JSON, FakeNode

Around = Callable[..., Surroundings]

pytestmark = pytest.mark.usefixtures("plain_log")


def states(found: object) -> list[State]:
    assert hasattr(found, "__iter__")
    return [finding.state for finding in found]


# --- settings ---


def test_settings_are_told_with_their_source(around: Around) -> None:
    [found] = settings(around(sources={"dev": "flag --dev", "local": "default"}))
    assert found == Finding("settings", State.OK, "1 given: dev (flag --dev)")
    assert next(iter(settings(around()))).what == "the defaults"


def test_a_password_on_a_command_line(around: Around, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.touch(0o644)
    config.chmod(0o644)
    url = "nats://me:hush@a.test"
    for source, count in (("flag --nats", 2), (f"file {config}", 2), ("env LAMBDAMESH_NATS", 1)):
        found = list(settings(around(nats=url, sources={"nats": source})))
        assert len(found) == count, source
        assert "hush" not in repr(found)
    assert len(list(settings(around(nats="nats://a.test", sources={"nats": "flag --nats"})))) == 1


# --- the node ---


def test_the_node_that_runs(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", f'"{lambdamesh.__version__}"'.encode())
    fake_node.answer("GET /readyz", b'{"status":"ready"}')
    fake_node.answer("GET /metrics", b"# HELP\nprocess_start_time_seconds 1.0\n")
    [found] = node_here(around(url=fake_node.url))
    assert found.state is State.OK
    assert f"version {lambdamesh.__version__}, up " in found.what


def test_a_node_of_another_version_that_is_not_ready(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", b'"0.0.1"')
    fake_node.answer("GET /readyz", b'{"error":"this node is going down","code":"draining"}', 503)
    old, draining = node_here(around(url=fake_node.url))
    assert (old.state, draining.state) == (State.WARNING, State.WARNING)
    assert "this node is going down" in draining.what


def test_a_node_that_does_not_see_the_whole_mesh(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", f'"{lambdamesh.__version__}"'.encode())
    fake_node.answer("GET /readyz", b'{"status":"degraded","why":"NATS is away: start it"}')
    found = list(node_here(around(url=fake_node.url)))[-1]
    assert (found.what, found.fix) == ("it does not see the whole mesh: NATS is away", "start it")


def test_a_node_that_wants_its_token(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", b'{"error":"no","code":"unauthorized"}', 401)
    [found] = node_here(around(url=fake_node.url, token="hush"))
    assert fake_node.asked[0].headers["Authorization"] == "Bearer hush"
    assert found.state is State.WRONG
    assert "hush" not in repr(found)


def test_what_is_no_node_is_not_called_one(
    around: Around, fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(JSON, "X-Ray")
    [found] = node_here(around(url=fake_node.url))
    assert (found.state, found.what) == (State.WRONG, f"what answers at {fake_node.url} is no lambdamesh node")
    assert found.fix is not None


def test_no_node_is_a_warning_unless_one_should_answer(around: Around, state: Path) -> None:
    nobody = around(url="http://127.0.0.1:1")
    assert states(node_here(nobody)) == [State.WARNING]
    held = open_state(state)
    assert states(node_here(nobody)) == [State.WRONG]
    held.close()
    assert states(node_here(around(url=None))) == [State.OK]


def test_something_else_that_answers(around: Around, fake_node: FakeNode) -> None:
    fake_node.answer("GET /version", b"<html>")
    assert next(iter(node_here(around(url=fake_node.url)))).state is State.WRONG


def test_a_token_that_cannot_be_sent(around: Around, fake_node: FakeNode) -> None:
    [found] = node_here(around(url=fake_node.url, token="two words"))
    assert found.state is State.WARNING
    assert "two words" not in repr(found)


# --- clock and name ---


@pytest.mark.parametrize(("ahead_s", "how"), [(-1e6, State.OK), (59, State.OK), (61, State.WARNING)])
def test_a_clock_that_was_set_back(around: Around, state: Path, ahead_s: float, how: State) -> None:
    (state / "floor-0").write_text("1000\n")
    (state / "floor-3").write_text(f"{int((NOW_S + ahead_s) * 1000)}\n")
    (state / "floor-4").write_text("not a time")
    assert states(clock(around())) == [how]


def test_a_clock_that_was_never_set(state: Path) -> None:
    never = Surroundings(settings=Settings(), sources={}, state=state, url=None, unix_s=lambda: 60.0)
    assert states(clock(never)) == [State.WRONG]


@pytest.mark.parametrize(
    ("addresses", "how"),
    [(("127.0.0.1", "::1"), State.OK), (("192.0.2.7",), State.WARNING), ((), State.WARNING)],
)
def test_the_name_of_the_machine(addresses: tuple[str, ...], how: State) -> None:
    async def ask(name: str) -> tuple[str, ...]:
        if not addresses:
            raise OSError(name)
        return addresses

    assert asyncio.run(named(ask)).state is how


# --- files ---


def test_files_that_only_this_user_can_read(around: Around, tmp_path: Path) -> None:
    token = private(tmp_path / "token", b"hush\n")
    assert states(secret_files(around(local_token_file=token))) == [State.OK]
    assert list(secret_files(around())) == []


@pytest.mark.parametrize(("content", "mode", "how"), [(b"hush", 0o644, State.WARNING), (b" \n", 0o600, State.WRONG)])
def test_files_that_are_not_sound(around: Around, tmp_path: Path, content: bytes, mode: int, how: State) -> None:
    token = private(tmp_path / "token", content)
    Path(token).chmod(mode)
    [found] = secret_files(around(local_token_file=token))
    assert found.state is how
    assert "hush" not in repr(found)


def test_a_file_that_is_not_there(around: Around) -> None:
    [found] = secret_files(around(nats="nats://a", nats_creds="/none", mesh_secret_file="/none"))
    assert (found.state, found.fix) == (State.WRONG, "lambdamesh serve --nats-creds FILE")


def test_the_secret_of_the_mesh(around: Around, tmp_path: Path) -> None:
    [found] = mesh_trust(around(mesh_secret_file=str(secret_file(tmp_path))))
    assert found.state is State.OK
    assert found.what.startswith("machine 46301aae; trusted: CN=lambdamesh ")
    assert list(mesh_trust(around())) == []


def test_a_secret_that_is_none_is_not_shown(around: Around, tmp_path: Path) -> None:
    [found] = mesh_trust(around(mesh_secret_file=private(tmp_path / "m", b"hush-hush\n")))
    assert found.state is State.WRONG
    assert found.fix is not None
    assert "lambdamesh secret" in found.fix
    assert "hush" not in repr(found)


def test_a_secret_that_is_not_there(around: Around) -> None:
    [found] = mesh_trust(around(mesh_secret_file="/none/m s"))
    assert found.fix is not None
    assert "lambdamesh secret > '/none/m s'" in found.fix


def test_certificates_of_ones_own(around: Around, tmp_path: Path) -> None:
    began, ends = (datetime.fromtimestamp(NOW_S, UTC) + timedelta(days=days) for days in (-1, 400))
    ca = Organisation(began=began, ends=ends)

    def checked(node: str, days: float) -> list[Finding]:
        issued = ca.issue(node, began=began, ends=datetime.fromtimestamp(NOW_S, UTC) + timedelta(days=days))
        files = written(tmp_path, ca.pem, issued)
        own = {"mesh_ca": files.ca_file, "mesh_cert": files.cert_file, "mesh_key": files.key_file}
        return list(mesh_trust(around(**own)))

    assert states(checked("lambdamesh:node:46301aae", 100)) == [State.OK]
    assert states(checked("lambdamesh:node:46301aae", 29)) == [State.OK, State.WARNING]
    [other] = checked("lambdamesh:node:00000007", 100)
    assert (other.state, "machine 00000007" in other.what) == (State.WRONG, True)
    [late] = checked("lambdamesh:node:46301aae", -0.5)
    assert (late.state, "expired on" in late.what) == (State.WRONG, True)


def test_texts() -> None:
    assert told("x", "it is away: start it") == Finding("x", State.WRONG, "it is away", "start it")
    assert told("x", "it is away") == Finding("x", State.WRONG, "it is away", None)
    assert [size_text(size) for size in (12, 2048, 512 * 2**20, 2**41)] == [
        "12 bytes",
        "2 KiB",
        "512 MiB",
        "2 TiB",
    ]
