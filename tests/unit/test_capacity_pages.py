"""The pages about capacity: figures are those of the benchmark's runs, and every number of the plans follows from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.capacity import (
    CONSTANTS,
    FIGURES_PAGE,
    PLAN_PAGE,
    TO_BE_MEASURED,
    evaluate,
    figures,
    pages,
    plans,
    read,
    shown,
    with_measures,
    with_results,
)
from lambdamesh.core.limits import Limits
from lambdamesh.door.listening import BACKLOG
from lambdamesh.links.acquaintance import _HINTS

FIGURES_TEXT, PLAN_TEXT = FIGURES_PAGE.read_text("utf-8"), PLAN_PAGE.read_text("utf-8")
LINE = "| `call_us` | 1 | us | what | `calls`: node, `cpu_us`, {run} |\n"
PLAN = "| `nodes` | given | 2 | 3 | in all |\n| `links` | `nodes * (nodes - 1) / 2` | 0 | 0 | links |\n"


@pytest.mark.parametrize(("path", "text"), list(pages()), ids=lambda one: one.stem if isinstance(one, Path) else "")
def test_the_numbers_are_what_they_follow_from(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "stale: run `python -m docs.capacity`"


def test_every_row_is_read() -> None:
    """A row in another form would stand there unseen."""
    for text, read_rows in ((FIGURES_TEXT, figures(FIGURES_TEXT)), (PLAN_TEXT, plans(PLAN_TEXT))):
        [table] = re.findall(r"^\| name \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
        assert len(table.splitlines()) == len(read_rows) > 10


def test_every_figure_tells_where_it_is_from() -> None:
    by_hand = [line for line in FIGURES_TEXT.splitlines() if line.startswith("| `") and "| by hand: " in line]
    assert [line.split("`")[1] for line in by_hand] == ["shared_lambda_kb"]
    measured = re.findall(r"`[\w-]+`: [^,|]+, `\w+`, \S+ \|$", FIGURES_TEXT, re.MULTILINE)
    assert len(measured) + len(by_hand) == len(figures(FIGURES_TEXT))


def test_the_plan_uses_the_figures() -> None:
    used = set(re.findall(r"[a-z]\w+", " ".join(re.findall(r"\| `\w+` \| `([^`]+)` \|", PLAN_TEXT))))
    assert {"idle_lambda_kb", "shared_lambda_kb", "link_kb", "hop_entry_us", "worker_mb", "open_us"} <= used
    assert used - set(figures(FIGURES_TEXT)) - set(CONSTANTS) - set(plans(PLAN_TEXT)) == {"min", "if", "else"}


def test_the_prose_has_no_number_of_its_own() -> None:
    """A number in a sentence would drift where no table holds it; these few are the code's, or count something."""
    limits = Limits()
    own = {
        *(shown(float(number)) for number in (BACKLOG, _HINTS, limits.lambda_calls, limits.listing_lambdas)),
        *(shown(float(number)) for number in (limits.recovering_s, limits.drain_spread_s, limits.link_idle_s / 60)),
        *(shown(CONSTANTS[name]) for name in ("longest_pause_s", "workers_most")),
        "0.5",  # s: the first pause of the client in JavaScript
        "65,535",  # ports of one address
        *(str(status) for status in (502, 503)),
        *(str(number) for number in range(1, 6)),  # of the list
    }
    sentences = "\n".join(line for line in PLAN_TEXT.splitlines() if not line.startswith("|"))
    numbers = set(re.findall(r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d(?!\w)", re.sub(r"\]\([^)]*\)", "]", sentences)))
    cells = {cell for row in plans(PLAN_TEXT).values() for cell in row}
    assert numbers - own - cells == set()


# --- how they are worked out ---


@pytest.mark.parametrize(
    ("arithmetic", "value"),
    [
        ("a + b * 2", 8.0),
        ("(a + b) / 2", 2.5),
        ("min(a, b) - 1", 1.0),
        ("a if b == 3 else unmeasured", 2.0),
        ("a if b == 4 else unmeasured", None),
        ("a * unmeasured", None),
        ("min(a, unmeasured)", None),
    ],
)
def test_arithmetic(arithmetic: str, value: float | None) -> None:
    assert evaluate(arithmetic, {"a": 2.0, "b": 3.0, "unmeasured": None}) == value


@pytest.mark.parametrize("text", ["print(1)", "a ** 2", "a < 2", "[a]", "'a'", "max(a, a)"])
def test_other_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not arithmetic that is known here"):
        evaluate(text, {"a": 1.0})


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        evaluate("nodes * 2", {})
    with pytest.raises(KeyError):
        with_results("| `links` | `nodes * 2` | 0 | links |\n", {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10_000.0, "10,000"),
        (50_605.65, "50,600"),
        (18.386, "18.4"),
        (26.0, "26"),
        (25.99, "26.0"),
        (0.02477, "0.0248"),
        (999.7, "1,000"),
        (None, TO_BE_MEASURED),
    ],
)
def test_how_numbers_are_shown(value: float | None, text: str) -> None:
    assert shown(value) == text
    assert read(text) == (None if value is None else pytest.approx(value, rel=0.005))


def test_a_figure_is_that_of_its_run() -> None:
    line = LINE.format(run="20261126T135125Z")
    assert with_measures(line) == line.replace("| 1 |", "| 15.0 |")
    assert with_measures(LINE.format(run=TO_BE_MEASURED)) == LINE.format(run=TO_BE_MEASURED).replace(
        "| 1 |", f"| {TO_BE_MEASURED} |"
    )
    with pytest.raises(KeyError):
        with_measures(line.replace("cpu_us", "cpu_ms"))
    with pytest.raises(FileNotFoundError):
        with_measures(LINE.format(run="never"))


def test_each_plan_is_worked_out_for_itself() -> None:
    assert plans(with_results(PLAN, {})) == {"nodes": ["2", "3"], "links": ["1", "3"]}
    assert plans(with_results(PLAN.replace("nodes - 1", "more"), {"more": None})) == {
        "nodes": ["2", "3"],
        "links": [TO_BE_MEASURED, TO_BE_MEASURED],
    }
