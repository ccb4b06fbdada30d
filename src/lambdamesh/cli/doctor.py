"""``lambdamesh doctor``: what keeps a node from running here, or would, and how to mend it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.cli.failure import BAD_CONFIGURATION, CALL_FAILED
from lambdamesh.cli.node_flags import NodeFlags
from lambdamesh.cli.output import AsJson, for_people, printable, show_table, write_json
from lambdamesh.cli.running import run
from lambdamesh.settings import ConfigError, Effective, Unix, parse_address
from lambdamesh.state import default_path

COLUMNS = ("CHECK", "STATE", "WHAT")
STATE_STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red"}
"""How each state looks on a terminal."""


def doctor(
    flags: NodeFlags | None = None,
    *,
    url: Annotated[
        str | None,
        Parameter(
            name="--url",
            env_var="LAMBDAMESH_URL",
            help="Local door of the node that may run: http://host:port or unix:/path; else that of the settings.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Tell what keeps a node with the same flags as `serve` from running well here, and how to mend it.

    Nothing is created or changed. Exit code 1 where something is wrong; warnings alone are 0.
    """
    try:
        effective = (flags or NodeFlags()).effective()
    except ConfigError as error:
        found, exit_code = [_of_settings(str(error))], BAD_CONFIGURATION
    else:
        # Brought in here: what a node is made of takes its time.
        from lambdamesh.cli.checks.table import look

        found = run(look(surroundings(effective, url)))
        exit_code = CALL_FAILED if any(finding.state is State.WRONG for finding in found) else 0
    if for_people(as_json):
        _show(found)
    else:
        write_json(msgspec.json.format(msgspec.json.encode(found), indent=2))
    return exit_code


def _of_settings(text: str) -> Finding:
    """What the settings say of themselves: where they name a remedy, it stands behind the first semicolon or so."""
    for mark in (": add ", ": make one", "; "):
        what, found, fix = text.partition(mark)
        if found:
            return Finding("settings", State.WRONG, what, (found + fix).lstrip(":; "))
    return Finding(
        "settings", State.WRONG, text, "lambdamesh config --defaults  # has every setting, and what it may be"
    )


def surroundings(effective: Effective, url: str | None) -> Surroundings:
    """What the checks look at, for these settings."""
    settings = effective.settings
    token = os.environ.get("LAMBDAMESH_TOKEN") or _token(settings.local_token_file)
    return Surroundings(
        settings=settings,
        sources=effective.sources,
        state=Path(settings.state) if settings.state else default_path(os.environ),
        url=url or _url(settings.local[0]),
        token=token,
    )


def _url(local: str) -> str | None:
    address = parse_address(local)
    if isinstance(address, Unix):
        return f"unix:{address.path}"
    if not address.port:
        return None
    return f"http://localhost:{address.port}" if address.is_everywhere else f"http://{address.text}"


def _token(path: str | None) -> str | None:
    """What is in the file of the door's token; ``None`` where that cannot be read, which a check tells of."""
    try:
        return None if path is None else Path(path).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _show(found: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    styles = {str(state): style for state, style in STATE_STYLES.items()}
    show_table(COLUMNS, _rows(found), none="", styles=styles)
    console = Console(highlight=False, soft_wrap=True)
    fixes = [(finding, finding.fix) for finding in found if finding.fix is not None]
    if fixes:
        console.print("To mend it:\n")
        for finding, fix in fixes:
            # A line of its own, however long: it is copied to be typed.
            console.print(Text(f"  {finding.check}: {printable(finding.what)}", style=styles[finding.state]))
            console.print(Text(f"    {printable(fix)}\n"))
    console.print(summary(found))


def _rows(found: list[Finding]) -> list[tuple[str, str, str]]:
    """Rows of the table; the name of a check stands where it begins."""
    rows, before = [], ""
    for finding in found:
        rows.append((finding.check if finding.check != before else "", str(finding.state), finding.what))
        before = finding.check
    return rows


def summary(found: list[Finding]) -> str:
    """How much there is of what."""
    counts = Counter(finding.state for finding in found)
    warnings = f"{counts[State.WARNING]} warning{'' if counts[State.WARNING] == 1 else 's'}"
    return f"{counts[State.WRONG]} wrong, {warnings}, {counts[State.OK]} ok"
