"""What a command shows: tables and colours for people on a terminal, JSON for everything else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from cyclopts import Parameter

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON also on a terminal.")]


def for_people(as_json: bool) -> bool:
    """Whether to print for people: on a terminal, unless JSON was asked for."""
    return not as_json and sys.stdout.isatty()


def write_json(text: bytes) -> None:
    """Print JSON as it is, and a line end where it lacks one."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text if text.endswith(b"\n") else text + b"\n")
    sys.stdout.buffer.flush()


def show_json(text: bytes) -> None:
    """Print JSON for people, indented and coloured. Numbers, keys and their order stay as they are."""
    from rich.console import Console
    from rich.highlighter import JSONHighlighter
    from rich.text import Text

    try:
        shown = msgspec.json.format(text, indent=2).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        write_json(text)
        return
    coloured = Text(shown)
    JSONHighlighter().highlight(coloured)
    Console().print(coloured, soft_wrap=True)


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str, styles: Mapping[str, str] | None = None
) -> None:
    """Print a table, or the text ``none`` where it has no rows. ``styles`` are those of cells with a certain text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in rows:
        texts = [printable(str(cell)) for cell in row]
        table.add_row(*(Text(text, style=(styles or {}).get(text, ""), overflow="fold") for text in texts))
    Console().print(table if table.row_count else none)


def printable(text: str) -> str:
    """``text`` without control characters, which could speak to the terminal; escapes stand in their place."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def age(timestamp: str, now: datetime) -> str:
    """How long ago an RFC 3339 time was, in its two largest units: ``3m 12s``; what is no such time stays as it is."""
    try:
        passed = max(now - datetime.fromisoformat(timestamp), timedelta())
    except (ValueError, TypeError):
        return timestamp
    return age_text(passed.total_seconds())


def age_text(seconds_passed: float) -> str:
    """A time that has passed, in its two largest units: ``3m 12s``."""
    minutes, seconds = divmod(int(max(seconds_passed, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count}{unit}" for count, unit in parts[:2])
