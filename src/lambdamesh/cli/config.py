"""``lambdamesh config``: what a node would be told, and by whom."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from lambdamesh.cli.node_flags import NodeFlags
from lambdamesh.cli.output import AsJson, for_people, show_table, write_json
from lambdamesh.settings import Effective, describe, toml_text


def config(
    flags: NodeFlags | None = None,
    *,
    defaults: Annotated[
        bool, Parameter(negative="", help="Print a TOML file of every setting with its default, all commented out.")
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
    """A configuration file that changes nothing: what can be set, what it means and what it is."""
    lines: list[str] = []
    for described in describe():
        if described.key.startswith("limits.") and "[limits]" not in lines:
            lines += ["[limits]", ""]
        name = described.key.removeprefix("limits.")
        lines += ["# " + described.help.replace("`", ""), f"# {name} = {described.default or '...'}", ""]
    return "\n".join(lines)
