"""The log: its two forms, what it hides, what it holds back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from lambdamesh.telemetry.logs import OnceAMinute, blank_secrets, configure


@pytest.fixture(autouse=True)
def standard_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("picows").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    structlog.get_logger().info("listening", address="127.0.0.1:7630", raw=b"\xff", text="a\nb")
    [line] = lines(capsys)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "listening",
        "address": "127.0.0.1:7630",
        "raw": "\\xff",
        "text": "a\nb",
    }


def test_auto_is_json_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    configure("auto")
    structlog.get_logger().warning("full")
    assert lines(capsys)[0]["event"] == "full"


def test_below_the_level_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line["event"] for line in lines(capsys)] == ["c"]


def test_console_keeps_control_characters_from_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure("console")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        structlog.get_logger().exception("failed", host="\x1b[31mred")
    shown = capsys.readouterr().err
    assert "failed" in shown
    assert "ValueError" in shown
    assert "\x1b" not in shown


def test_a_traceback_is_a_field_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    try:
        raise ValueError("reason")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: reason" in lines(capsys)[0]["exception"]


def test_libraries_speak_through_the_same_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    configure("json")
    logging.getLogger("asyncio").error("lost %d", 2)
    logging.getLogger("asyncio").info("not this")
    logging.getLogger("picows").error("nor this")
    [line] = lines(capsys)
    assert (line["event"], line["logger"], line["message"], line["level"]) == ("library", "asyncio", "lost 2", "error")


def test_a_log_that_nobody_reads_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    configure("json")
    structlog.get_logger().info("listening")


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "resume_key",
        "Cookie",
        "set-cookie",
        "Authorization",
        "proxy_authorization",
        "ticket",
        "X-Api-Key",
        "mesh_secret",
    ],
)
def test_secrets_are_blanked_by_name(name: str) -> None:
    assert blank_secrets(None, "info", {"event": "x", name: "hush"}) == {"event": "x", name: "***"}


def test_secrets_are_blanked_within_mappings() -> None:
    event = {"headers": {b"Cookie": "hush", "Host": "pm3", "more": {"ticket": ["hush"]}}}
    assert blank_secrets(None, "info", event) == {
        "headers": {"Cookie": "***", "Host": "pm3", "more": {"ticket": "***"}}
    }


def test_what_is_no_secret_stays() -> None:
    event = {
        "event": "key",
        "keys": 3,
        "token": None,
        "local_token_file": "/run/token",
        "monkey": "x",
        "lambda_id": "y",
    }
    assert blank_secrets(None, "info", dict(event)) == event


def test_once_a_minute_counts_what_it_holds_back() -> None:
    now = 0.0
    limit = OnceAMinute(clock=lambda: now)

    def say(name: str = "refused") -> dict[str, Any] | None:
        try:
            return dict(limit(None, "info", {"event": name, "once_a_minute": True}))
        except structlog.DropEvent:
            return None

    assert say() == {"event": "refused"}
    now = 59.9
    assert say() is None
    assert say() is None
    assert say("other") == {"event": "other"}
    now = 60.0
    assert say() == {"event": "refused", "suppressed": 2}
    now = 120.0
    assert say() == {"event": "refused"}


def test_other_events_always_pass() -> None:
    limit = OnceAMinute(clock=lambda: 0.0)
    for _ in range(3):
        assert limit(None, "info", {"event": "opened", "once_a_minute": False}) == {"event": "opened"}


def test_what_is_remembered_is_bounded() -> None:
    limit = OnceAMinute(clock=lambda: 0.0)
    for number in range(2000):
        limit(None, "info", {"event": f"event {number}", "once_a_minute": True})
    assert len(limit._passed) == 1024
