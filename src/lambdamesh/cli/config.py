"""``lambdamesh config``: what a node would be told, and by whom."""

from __future__ import annotations

import textwrap
from typing import Annotated

import msgspec
from cyclopts import Parameter

from lambdamesh.cli.node_flags import NodeFlags
from lambdamesh.cli.output import AsJson, for_people, show_table, write_json
from lambdamesh.settings import Described, Effective, describe, toml_text

_COLUMNS = 100
_LIMITS = "limits."


def config(
    flags: NodeFlags | None = None,
    *,
    defaults: Annotated[
        bool,
        Parameter(negative="", help="Print a TOML file of every setting and limit: what it means, and its default."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every setting that `serve` with the same flags would have, its value and its source."""
    if defaults:
        print(defaults_file())
        return
    effective = (flags or NodeFlags()).effective()
    if for_people(as_json):
        rows = [(key, toml_text(value), source) for key, value, source in effective.rows()]
        show_table(("SETTING", "VALUE", "FROM"), rows, none="")
    else:
        write_json(as_document(effective))


def as_document(effective: Effective) -> bytes:
    """Each setting as ``{"value": ..., "source": ...}``, by key."""
    content = {key: {"value": value, "source": source} for key, value, source in effective.rows()}
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def defaults_file() -> str:
    """A configuration file that changes nothing: what can be set, what it means, and what it is.

    What is nothing by default is commented out.
    """
    lines = [
        "# Every setting of a node with its default. Flags and variables (LAMBDAMESH_...) go before what stands here.",
        "# Keep what you change: a later version may have better defaults for the rest.",
        "",
    ]
    described = describe()
    for row in described:
        if not row.key.startswith(_LIMITS):
            lines += _entry(row)
    lines += ["[limits]", ""]
    for row in described:
        if row.key.startswith(_LIMITS):
            lines += _entry(row)
    return "\n".join(lines).rstrip("\n")


def _entry(row: Described) -> list[str]:
    name = row.key.removeprefix(_LIMITS)
    text = textwrap.wrap(row.help.replace("`", ""), _COLUMNS, break_long_words=False, break_on_hyphens=False)
    has_default = bool(row.default)
    return [*(f"# {line}" for line in text), f"{name} = {row.default}" if has_default else f"# {name} = ...", ""]
