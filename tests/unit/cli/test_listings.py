"""``ls``, ``peers`` and ``version``: tables for people, the node's own JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

import lambdamesh
from lambdamesh.cli import main
from lambdamesh.cli.output import age, printable
from lambdamesh.cli.peers import STATE_STYLES
from lambdamesh.links.peer import State
from tests.unit.cli.fake_node import FakeNode

LAMBDA = {
    "id": "rhowRuuCUoE5vlcA",
    "timestamp": "2024-03-09T04:38:57.413+01:00",
    "code": "json-rpc",
    "state": "open",
    "headers": {"P-Ip": ["127.0.0.1"]},
}
PEER = {
    "machine_id": "46301aae",
    "host": "myhost",
    "address": "",
    "version": "0.1.0",
    "heartbeat": None,
    "alive": True,
    "me": False,
}


def test_ls_passes_json_on(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    raw = json.dumps({LAMBDA["id"]: LAMBDA})
    fake_node.answer("GET /lambda", raw.encode())
    assert main(["ls", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == raw + "\n"


@pytest.mark.usefixtures("terminal")
def test_ls_is_a_table_on_a_terminal(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda", json.dumps({LAMBDA["id"]: LAMBDA}).encode(), Lambda_Truncated="true")
    assert main(["ls", "--url", fake_node.url]) == 0
    captured = capsys.readouterr()
    head, row = [line.split() for line in captured.out.splitlines() if line.strip(" ─")]
    assert head == ["ID", "AGE", "CODE", "STATE", "FROM"]
    assert row[0] == "rhowRuuCUoE5vlcA"
    assert row[-3:] == ["json-rpc", "open", "127.0.0.1"]
    assert "--count" in captured.err


@pytest.mark.usefixtures("terminal")
def test_ls_says_that_there_is_none(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda", b"{}")
    assert main(["ls", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == "no lambda is open\n"


def test_ls_counts(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda?count", b'{"count": 3}')
    assert main(["ls", "--count", "--url", fake_node.url]) == 0
    assert json.loads(capsys.readouterr().out) == {"count": 3}


@pytest.mark.usefixtures("terminal")
def test_ls_counts_for_people(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda?count", b'{"count": 3}')
    assert main(["ls", "--count", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == "3\n"


def test_ls_of_the_mesh_asks_for_it_and_names_who_did_not_answer(
    fake_node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_node.answer("GET /lambda?scope=mesh", b"{}", Lambda_Unreachable="0000002a,my\x1bhost")
    assert main(["ls", "--mesh", "--url", fake_node.url]) == 0
    captured = capsys.readouterr()
    assert captured.out == "{}\n"
    assert "0000002a,my\\x1bhost" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("terminal")
def test_ls_of_the_mesh_shows_where_a_lambda_is_at_home(
    fake_node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {LAMBDA["id"]: LAMBDA, "?": LAMBDA | {"id": "?"}}
    fake_node.answer("GET /lambda?scope=mesh", json.dumps(listed).encode())
    assert main(["ls", "--mesh", "--url", fake_node.url]) == 0
    captured = capsys.readouterr()
    head, row, strange = [line.split() for line in captured.out.splitlines() if line.strip(" ─")]
    assert head == ["ID", "HOME", "AGE", "CODE", "STATE", "FROM"]
    assert row[:2] == ["rhowRuuCUoE5vlcA", "46301aae"]
    assert len(strange) == len(row) - 1
    assert captured.err == ""


@pytest.mark.usefixtures("terminal")
def test_ls_counts_the_mesh(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /lambda?scope=mesh&count", b'{"count": 9}', Lambda_Unreachable="0000002a")
    assert main(["ls", "--mesh", "--count", "--url", fake_node.url]) == 0
    captured = capsys.readouterr()
    assert captured.out == "9\n"
    assert "0000002a" in captured.err


def peer_rows(fake_node: FakeNode, capsys: pytest.CaptureFixture[str], *peers: Mapping[str, object]) -> list[list[str]]:
    """The cells of the table that ``peers`` makes; two blanks part them. The head is the first row."""
    fake_node.answer("GET /peers", json.dumps(peers).encode())
    assert main(["peers", "--url", fake_node.url]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


@pytest.mark.usefixtures("terminal")
def test_peers_is_a_table(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    seen = (datetime.now(UTC) - timedelta(hours=5, seconds=3)).isoformat()
    own = PEER | {"host": "one", "address": "a.test:1", "heartbeat": seen, "state": "me", "me": True}
    other = own | {
        "host": "two",
        "machine_id": "0000002a",
        "state": "up",
        "me": False,
        "lambdas": 3,
        "latency_ms": 0.42,
    }
    rows = peer_rows(fake_node, capsys, own | {"lambdas": 0, "latency_ms": None}, other)
    assert rows == [
        ["NODE", "MACHINE", "ADDRESS", "STATE", "LATENCY", "VERSION", "LAMBDAS", "SEEN"],
        ["one *", "46301aae", "a.test:1", "me", "0.1.0", "0", "5h 0m"],
        ["two", "0000002a", "a.test:1", "up", "0.4 ms", "0.1.0", "3", "5h 0m"],
    ]


@pytest.mark.usefixtures("terminal")
def test_peers_of_an_older_node_are_alive_or_dead(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    rows = peer_rows(fake_node, capsys, PEER, PEER | {"alive": False}, PEER | {"me": True}, {"host": "bare"})
    assert [row[2:] for row in rows[1:]] == [["alive", "0.1.0"], ["dead", "0.1.0"], ["me", "0.1.0"], []]
    assert rows[-1] == ["bare", "dead"]


@pytest.mark.usefixtures("terminal")
def test_peers_shows_no_control_characters(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    [_, row] = peer_rows(fake_node, capsys, PEER | {"host": "m\x1b[1m", "state": "\x1b[0m"})
    assert row[0] == "m\\x1b[1m"
    assert not [cell for cell in row if "\x1b" in cell]


def test_peers_in_json_on_a_terminal_too(
    fake_node: FakeNode, capsys: pytest.CaptureFixture[str], terminal: None
) -> None:
    fake_node.answer("GET /peers", b"[]")
    assert main(["peers", "--json", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_version_tells_both(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /version", b'"9.9"')
    assert main(["version", "--url", fake_node.url]) == 0
    assert json.loads(capsys.readouterr().out) == {"client": lambdamesh.__version__, "node": "9.9"}


@pytest.mark.usefixtures("terminal")
def test_version_for_people(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer("GET /version", b'"9.9"')
    assert main(["version", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == f"client {lambdamesh.__version__}\nnode   9.9\n"


def test_version_without_a_node_still_tells_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--url", "unix:/nowhere/door.sock"]) == 3
    assert json.loads(capsys.readouterr().out) == {"client": lambdamesh.__version__, "node": None}


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=192), "3m 12s"),
        (timedelta(hours=5, seconds=3), "5h 0m"),
        (timedelta(days=400, hours=2), "400d 2h"),
    ],
)
def test_age_has_two_units(passed: timedelta, text: str) -> None:
    now = datetime(2024, 3, 9, tzinfo=UTC)
    assert age((now - passed).isoformat(), now) == text


@pytest.mark.parametrize("timestamp", ["", "yesterday", "2024-03-09T00:00:00"])
def test_what_is_no_time_stays(timestamp: str) -> None:
    assert age(timestamp, datetime(2024, 3, 9, tzinfo=UTC)) == timestamp


def test_printable_keeps_text_and_escapes_control_characters() -> None:
    assert printable("grüße") == "grüße"
    assert printable("a\x1b\n\u202e") == "a\\x1b\\n\\u202e"


def test_every_state_of_a_node_has_a_look() -> None:
    assert {state.value for state in State} | {"me", "dead"} <= STATE_STYLES.keys()
