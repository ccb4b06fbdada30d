"""What is answered, and logged, where nobody foresaw an error."""

from __future__ import annotations

import structlog

from lambdamesh.door.unforeseen import unforeseen


def test_want_of_memory_is_no_bug() -> None:
    with structlog.testing.capture_logs() as logs:
        error = unforeseen(MemoryError(), b"0057be39815282ea-MYH")
    assert (error.code, error.http_status, error.retryable) == ("overloaded", 503, True)
    [line] = logs
    assert (line["event"], line["log_level"]) == ("out_of_memory", "error")
    assert "memory" in line["why"] and "exc_info" not in line


def test_a_bug_is_told_by_its_ray() -> None:
    bug = ValueError("oops")
    with structlog.testing.capture_logs() as logs:
        errors = [unforeseen(bug, b"0057be39815282ea-MYH"), unforeseen(bug)]
    assert {(error.code, error.http_status) for error in errors} == {("internal_error", 500)}
    assert all("oops" not in error.message for error in errors)
    assert [line.get("ray") for line in logs] == ["0057be39815282ea-MYH", None]
    assert all(line["exc_info"] is bug for line in logs)
