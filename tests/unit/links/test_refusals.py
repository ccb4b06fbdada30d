"""What the log has of whoever was turned away at the mesh door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from lambdamesh.links.mesh_door import LOG_LINES, Refusals


class Handle:
    """A timer that the test lets fire."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Door:
    """Refusals with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None], Handle]] = []
        call_later: Any = self._call_later
        self.refusals = Refusals(lambda: self.now, call_later)

    def _call_later(self, delay_s: float, callback: Callable[[], None]) -> Handle:
        handle = Handle()
        self.timers.append((self.now + delay_s, callback, handle))
        return handle

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer not in due]
        for _, callback, handle in due:
            assert not handle.is_cancelled
            callback()


def test_an_address_and_a_reason_are_told_once_a_minute() -> None:
    door = Door()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            door.refusals.log("10.0.0.1", "no node")
            door.refusals.log("10.0.0.1", "no certificate")
            door.refusals.log("10.0.0.2", "no node")
        door.pass_time(59.9)
        door.refusals.log("10.0.0.1", "no node")
        assert [(line["peer"], line["why"]) for line in logs] == [
            ("10.0.0.1", "no node"),
            ("10.0.0.1", "no certificate"),
            ("10.0.0.2", "no node"),
        ]
        door.pass_time(0.1)
        door.refusals.log("10.0.0.1", "no node")
        door.refusals.log("10.0.0.1", "no node")
    assert len(logs) == 4
    assert not door.timers


def test_many_addresses_fill_no_log() -> None:
    door = Door()
    with structlog.testing.capture_logs() as logs:
        for number in range(5000):
            door.refusals.log(f"10.0.{number // 250}.{number % 250}", "no node")
        assert [line["event"] for line in logs] == ["link_refused"] * LOG_LINES
        # Who was told of already is not one that was left out.
        door.refusals.log("10.0.0.0", "no node")
        door.pass_time(60.0)
        assert (logs[-1]["event"], logs[-1]["count"], len(logs)) == ("link_refusals_left_out", 4940, LOG_LINES + 1)
        door.refusals.log("10.0.99.1", "no node")
        assert logs[-1]["peer"] == "10.0.99.1"
        door.pass_time(600.0)
    assert len(logs) == LOG_LINES + 2


def test_in_no_minute_are_there_more_lines_than_may_be() -> None:
    door, written_at = Door(), list[float]()
    with structlog.testing.capture_logs() as logs:
        for number in range(3000):
            before = len(logs)
            door.refusals.log(f"10.1.{number // 250}.{number % 250}", "no node")
            written_at += [door.now] * (len(logs) - before)
            door.pass_time(0.1)
    for at in written_at:
        assert sum(at - 60.0 < other <= at for other in written_at) <= LOG_LINES
    assert len(written_at) >= 4 * LOG_LINES
    left_out = sum(line["count"] for line in logs if line["event"] == "link_refusals_left_out")
    assert 0 < left_out <= 3000 - len(written_at)


def test_what_was_left_out_is_told_at_the_end_too() -> None:
    door = Door()
    with structlog.testing.capture_logs() as logs:
        door.refusals.close()
        assert not logs
        for number in range(LOG_LINES + 7):
            door.refusals.log(f"10.2.0.{number}", "no node")
        door.refusals.close()
    assert logs[-1]["count"] == 7
    assert door.timers[0][2].is_cancelled
