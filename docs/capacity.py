"""Works out the numbers of the two pages about capacity, so that neither can drift.

``how-to/plan-capacity.md`` has one table of figures, each with the run of the benchmark, the case, the row and the
column that it was measured in. ``explanation/one-million-lambdas.md`` has one table of plans, each line of which is
given or is arithmetic from lines above it, from figures, and from what the code says. ``python -m docs.capacity``
writes both again; what has not been measured, and what follows from it, says so.
"""

from __future__ import annotations

import ast
import json
import operator
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.outcome import Row
from lambdamesh.client.reconnecting import LONGEST_PAUSE_S
from lambdamesh.core.limits import Limits
from lambdamesh.core.places import WORKERS_MOST
from lambdamesh.directory.pace import Pace

ROOT = Path(__file__).resolve().parent.parent
FIGURES_PAGE = ROOT / "docs" / "how-to" / "plan-capacity.md"
PLAN_PAGE = ROOT / "docs" / "explanation" / "one-million-lambdas.md"
RESULTS = ROOT / "bench" / "results"
TO_BE_MEASURED = "TO-BE-MEASURED"
GIVEN = "given"

CONSTANTS: dict[str, float] = {
    "drain_spread_s": Limits().drain_spread_s,
    "grace_s": Limits().grace_s,
    "heartbeat_s": Pace().heartbeat_s,
    "longest_pause_s": LONGEST_PAUSE_S,
    "relist_s": Pace().relist_s,
    "workers_most": float(WORKERS_MOST),
}
"""What arithmetic may use of the code."""

_FIGURE = re.compile(r"^\| `(\w+)` \| (\S+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
"""Name, figure, unit, meaning, origin."""
_ORIGIN = re.compile(r"`(?P<case>[\w-]+)`: (?P<row>[^,]+), `(?P<column>\w+)`, (?P<run>\S+)")
_PLAN = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \| ([^|]+) \|$", re.MULTILINE)
"""Name, arithmetic, a result for each plan, unit."""

_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

Value = float | None
"""``None`` has not been measured."""


def figures(text: str) -> dict[str, Value]:
    """Return the figures of the first page by name."""
    return {name: read(figure) for name, figure, *_ in _FIGURE.findall(text)}


def with_measures(text: str) -> str:
    """Write into each figure that the benchmark measures what the run that is named beside it has measured.

    Raises:
        KeyError: that run has no such case, row or column.
    """

    def written(line: re.Match[str]) -> str:
        origin = _ORIGIN.fullmatch(line[5])
        if origin is None:
            return line[0]
        value = None if origin["run"] == TO_BE_MEASURED else _measured(**origin.groupdict())
        return f"| `{line[1]}` | {shown(value)} | {line[3]} | {line[4]} | {line[5]} |"

    return _FIGURE.sub(written, text)


def _measured(run: str, case: str, row: str, column: str) -> float:
    outcomes = json.loads((RESULTS / f"{run}.json").read_text("utf-8"))["outcomes"]
    rows = {(outcome["name"], found["subject"]): found["rounds"] for outcome in outcomes for found in outcome["rows"]}
    rounds = rows[case, row]
    if column not in rounds:
        raise KeyError(f"{run}: {case} has measured no {column} of {row}")
    return Row(row, rounds).typical(column)


def with_results(text: str, measured: Mapping[str, Value]) -> str:
    """Write into each line of the plans what its arithmetic comes to, ``measured`` being the figures.

    Raises:
        KeyError: the arithmetic names what is neither a figure, nor in ``CONSTANTS``, nor a line above it.
    """
    known: list[dict[str, Value]] = []

    def written(line: re.Match[str]) -> str:
        name, arithmetic, cells = line[1], line[2], line[3].split(" | ")
        known.extend({**CONSTANTS, **measured} for _ in cells[len(known) :])
        for plan, cell in zip(known, cells, strict=True):
            plan[name] = read(cell) if arithmetic == GIVEN else evaluate(arithmetic.strip("`"), plan)
        results = " | ".join(shown(plan[name]) for plan in known)
        return f"| `{name}` | {arithmetic} | {results} | {line[4]} |"

    return _PLAN.sub(written, text)


def plans(text: str) -> dict[str, list[str]]:
    """Return the cells of each line of the plans by name."""
    return {name: cells.split(" | ") for name, _, cells, _ in _PLAN.findall(text)}


def evaluate(arithmetic: str, names: Mapping[str, Value]) -> Value:
    """Work out ``+ - * /``, ``min`` and ``A if B == C else D``; ``None`` where what it needs is not measured.

    Raises:
        KeyError: it names what is not in ``names``.
        ValueError: it is some other arithmetic.
    """
    return _worked_out(ast.parse(arithmetic, mode="eval").body, names)


def _worked_out(node: ast.expr, names: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            one, other = _worked_out(left, names), _worked_out(right, names)
            return None if one is None or other is None else _OPERATORS[type(op)](one, other)
        case ast.Call(func=ast.Name(id="min"), args=[left, right]):
            one, other = _worked_out(left, names), _worked_out(right, names)
            return None if one is None or other is None else min(one, other)
        case ast.IfExp(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]), body=body, orelse=orelse):
            is_so = _worked_out(left, names) == _worked_out(right, names)
            return _worked_out(body if is_so else orelse, names)
    raise ValueError(f"{ast.unparse(node)} is not arithmetic that is known here")


def read(cell: str) -> Value:
    """Read a number as it is shown."""
    return None if cell == TO_BE_MEASURED else float(cell.replace(",", ""))


def shown(value: Value) -> str:
    """Write whole numbers as they are, others with three digits that count."""
    if value is None:
        return TO_BE_MEASURED
    if value.is_integer():
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{value:#.3g}"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield both pages with what they should say."""
    measured = with_measures(FIGURES_PAGE.read_text("utf-8"))
    yield FIGURES_PAGE, measured
    yield PLAN_PAGE, with_results(PLAN_PAGE.read_text("utf-8"), figures(measured))


def main() -> int:
    """Rewrite what is stale, and say so."""
    for path, after in pages():
        if after != path.read_text("utf-8"):
            path.write_text(after, "utf-8")
            sys.stdout.write(f"renewed {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
