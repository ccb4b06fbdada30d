"""``lambdamesh peers``: the nodes that a node knows."""

from __future__ import annotations

from datetime import UTC, datetime

from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, age, for_people, show_table, write_json


def peers(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the nodes that a node knows, itself included."""
    known = LocalDoor(url).get("/peers")
    if not for_people(as_json):
        write_json(known.raw)
        return
    now = datetime.now(UTC)
    fields = ("machine_id", "host", "address", "version", "heartbeat", "alive", "me")
    rows = [[_cell(age(peer[f], now) if f == "heartbeat" else peer.get(f)) for f in fields] for peer in known.value]
    show_table(("MACHINE", "HOST", "ADDRESS", "VERSION", "SEEN", "ALIVE", "ME"), rows, none="no peer is known")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value
