"""``lambdamesh peers``: the nodes that a node knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, age, for_people, show_table, write_json

COLUMNS = ("NODE", "MACHINE", "ADDRESS", "STATE", "LATENCY", "VERSION", "LAMBDAS", "SEEN")

STATE_STYLES = {
    "me": "bold",
    "up": "green",
    "alive": "green",
    "connecting": "yellow",
    "idle": "dim",
    "down": "red",
    "dead": "red",
}
"""How each state of a node looks on a terminal."""


def peers(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the nodes that a node knows, itself included."""
    known = LocalDoor(url).get("/peers")
    if not for_people(as_json):
        write_json(known.raw)
        return
    now = datetime.now(UTC)
    show_table(COLUMNS, [_row(peer, now) for peer in known.value], none="no peer is known", styles=STATE_STYLES)


def _row(peer: dict[str, Any], now: datetime) -> list[object]:
    is_own = bool(peer.get("me"))
    cells = (
        f"{peer.get('host', '')}{' *' * is_own}",
        peer.get("machine_id"),
        peer.get("address"),
        peer.get("state") or _state_of_old(is_own, bool(peer.get("alive"))),
        _latency(peer.get("latency_ms")),
        peer.get("version"),
        peer.get("lambdas"),
        age(peer.get("heartbeat") or "", now),
    )
    return ["" if cell is None else cell for cell in cells]


def _state_of_old(is_own: bool, is_alive: bool) -> str:
    """The state where the node asked is an older one, which tells none."""
    return "me" if is_own else "alive" if is_alive else "dead"


def _latency(latency_ms: object) -> str:
    return f"{latency_ms:.1f} ms" if isinstance(latency_ms, int | float) else ""
