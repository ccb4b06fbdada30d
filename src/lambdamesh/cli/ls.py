"""``lambdamesh ls``: the lambdas of a node."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, age, for_people, printable, show_table, write_json
from lambdamesh.ids import machine_id_text, parse_lambda_id


def ls(
    *,
    count: Annotated[bool, Parameter(negative="", help="Only how many there are.")] = False,
    mesh: Annotated[bool, Parameter(negative="", help="The lambdas of every node of the mesh.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the lambdas of a node."""
    query = "&".join(["scope=mesh"] * mesh + ["count"] * count)
    listing = LocalDoor(url).get(f"/lambda?{query}" if query else "/lambda")
    if silent := listing.headers.get("Lambda-Unreachable"):
        print(
            f"no answer from {printable(silent)}: what they have is missing here; see lambdamesh peers",
            file=sys.stderr,
        )
    if listing.headers.get("Lambda-Truncated"):
        print("there are more lambdas than one listing shows; --count tells how many", file=sys.stderr)
    if not for_people(as_json):
        write_json(listing.raw)
    elif count:
        print(listing.value["count"])
    else:
        now = datetime.now(UTC)
        columns = ["ID", *["HOME"] * mesh, "AGE", "CODE", "STATE", "FROM"]
        rows = [_row(seen, now, has_home=mesh) for seen in listing.value.values()]
        show_table(columns, rows, none="no lambda is open")


def _row(seen: dict[str, Any], now: datetime, *, has_home: bool) -> list[object]:
    origin = ", ".join(seen.get("headers", {}).get("P-Ip", []))
    home = [_home(seen["id"])] if has_home else []
    return [seen["id"], *home, age(seen["timestamp"], now), seen["code"], seen["state"], origin]


def _home(lambda_id: str) -> str:
    """The machine that minted the id."""
    try:
        return machine_id_text(parse_lambda_id(lambda_id.encode()).machine)
    except ValueError:
        return ""
