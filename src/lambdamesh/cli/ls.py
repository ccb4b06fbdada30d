"""``lambdamesh ls``: the lambdas of a node."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, age, for_people, show_table, write_json


def ls(
    *,
    count: Annotated[bool, Parameter(negative="", help="Only how many there are.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the lambdas of a node."""
    listing = LocalDoor(url).get("/lambda?count" if count else "/lambda")
    if listing.headers.get("Lambda-Truncated"):
        print("there are more lambdas than one listing shows; --count tells how many", file=sys.stderr)
    if not for_people(as_json):
        write_json(listing.raw)
    elif count:
        print(listing.value["count"])
    else:
        now = datetime.now(UTC)
        rows = [_row(seen, now) for seen in listing.value.values()]
        show_table(("ID", "AGE", "CODE", "STATE", "FROM"), rows, none="no lambda is open")


def _row(seen: dict[str, Any], now: datetime) -> tuple[object, ...]:
    origin = ", ".join(seen.get("headers", {}).get("P-Ip", []))
    return seen["id"], age(seen["timestamp"], now), seen["code"], seen["state"], origin
