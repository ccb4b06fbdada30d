"""``doctor`` as a whole: all checks at once, each within a bound, told as a table or as JSON."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdamesh.cli import main
from lambdamesh.cli.checks import table
from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.cli.doctor import summary
from lambdamesh.settings import Settings

AROUND = Surroundings(settings=Settings(), sources={}, state=Path("/none"), url=None)

pytestmark = pytest.mark.usefixtures("plain_log")


def sound(_around: Surroundings) -> Iterator[Finding]:
    yield Finding("sound", State.OK, "well")


async def wrong(_around: Surroundings) -> list[Finding]:
    return [Finding("wrong", State.WRONG, "it is away", "start --it")]


def test_all_are_done_in_their_order() -> None:
    found = asyncio.run(table.look(AROUND, (("sound", sound), ("wrong", wrong), ("sound", sound))))
    assert [finding.check for finding in found] == ["sound", "wrong", "sound"]
    assert summary(found) == "1 wrong, 0 warnings, 2 ok"


def test_one_that_never_ends_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    gone_on = threading.Event()

    def stuck(_around: Surroundings) -> Iterator[Finding]:
        gone_on.wait(60)
        yield Finding("stuck", State.OK, "late")

    async def mute(_around: Surroundings) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(table, "BOUND_S", 0.05)
    first, second, third = asyncio.run(table.look(AROUND, (("stuck", stuck), ("mute", mute), ("sound", sound))))
    gone_on.set()
    assert [found.state for found in (first, second, third)] == [State.WRONG, State.WRONG, State.OK]
    assert "not come to an end" in first.what


def test_what_a_check_raises_is_not_shown() -> None:
    def broken(_around: Surroundings) -> Iterator[Finding]:
        raise ValueError("hush")

    [found] = asyncio.run(table.look(AROUND, (("broken", broken),)))
    assert (found.state, found.what) == (State.WRONG, "it could not be done (ValueError)")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checks that are done by default."""
    monkeypatch.setattr(table.look, "__defaults__", ((("sound", sound), ("wrong", wrong)),))


@pytest.mark.usefixtures("checks")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"check": "sound", "state": "ok", "what": "well", "fix": None},
        {"check": "wrong", "state": "wrong", "what": "it is away", "fix": "start --it"},
    ]


@pytest.mark.usefixtures("checks", "terminal")
def test_people_get_a_table_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()]
    assert ["sound", "ok", "well"] in rows
    assert ["wrong", "wrong", "it", "is", "away"] in rows
    assert "    start --it\n" in shown
    assert shown.endswith("1 wrong, 0 warnings, 1 ok\n")


def test_settings_that_cannot_be_used_are_all_that_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("devv = true\n")
    assert main(["doctor", "--config", str(path)]) == 78
    [found] = json.loads(capsys.readouterr().out)
    assert (found["check"], found["state"], found["fix"]) == ("settings", "wrong", "did you mean dev?")
    assert main(["doctor", "--peer", "a.test"]) == 78
    [found] = json.loads(capsys.readouterr().out)
    assert "lambdamesh secret > mesh.secret" in found["fix"]


def test_nothing_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["doctor", "--state", str(tmp_path / "state"), "--local", f"unix:{tmp_path}/door", "--host-name", "me"]
    assert main(argv) == 0, capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert "structlog" not in capsys.readouterr().out
