"""Lambdas of ``bench``'s own, that answer with what they are sent: at one node, or at every other one of a mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

import lambdamesh
from lambdamesh.cli.failure import NO_NODE, USAGE, Failure
from lambdamesh.cli.load import Target
from lambdamesh.cli.local_door import LocalDoor
from lambdamesh.cli.output import printable

METHOD = "echo"
CALLS_OF_ONE = 256
"""Calls that one lambda has in flight at the most; with more of them there are more lambdas."""
_DEFAULT_PORT = 7630


class Place(msgspec.Struct, frozen=True):
    """A node whose local door can be had from here."""

    url: str
    machine_id: str
    name: str


class Places(msgspec.Struct, frozen=True):
    """Where lambdas are opened; ``left_out`` are nodes of the mesh whose local doors nobody knows, by name."""

    chosen: tuple[Place, ...]
    left_out: tuple[str, ...] = ()


@asynccontextmanager
async def echoes(places: Sequence[Place], in_flight: int) -> AsyncIterator[list[Target]]:
    """Open lambdas at each of ``places``, enough for so many calls in flight. Raises: CallError."""
    each = -(-in_flight // (CALLS_OF_ONE * len(places)))
    async with AsyncExitStack() as stack:
        targets: list[Target] = []
        meshes = [(place, await stack.enter_async_context(lambdamesh.connect(place.url))) for place in places]
        for _ in range(each):
            for place, mesh in meshes:
                exposed = await mesh.expose({METHOD: _echo})
                targets.append(Target(exposed.id, METHOD, place.name))
        yield targets


async def _echo(body: Any = None) -> Any:
    return body


def choose(url: str, via: Iterable[str], *, is_mesh: bool) -> Places:
    """Say where to open lambdas that are called through the node at ``url``.

    Without ``via`` and ``is_mesh`` that is the same node. ``is_mesh`` adds every other node whose local door is found
    where its mesh door is, at the port of ``url``: that is so where each has a loopback address of its own.

    Raises:
        Failure: a node does not answer, or is not of the same mesh; or there is none.
    """
    here = LocalDoor(url).get("/peers").value
    own = _own_row(here)
    chosen = {_place(each, here).machine_id: _place(each, here) for each in dict.fromkeys(via)}
    if not is_mesh:
        return Places(tuple(chosen.values()) or (Place(url, own["machine_id"], _name(own)),))
    left_out = []
    for row in here:
        if row.get("me") or row["machine_id"] in chosen or not row.get("alive"):
            continue
        found = _found(row, url)
        if found is None:
            left_out.append(_name(row))
        else:
            chosen[found.machine_id] = found
    chosen.pop(own["machine_id"], None)
    if not chosen:
        named = f"; those it knows are {', '.join(left_out)}" if left_out else ""
        raise Failure(f"no other node's local door is known{named}: name one with --via URL, as often as needed", USAGE)
    return Places(_told_apart(chosen.values()), tuple(left_out))


def _place(url: str, here: list[dict[str, Any]]) -> Place:
    own = _own_row(LocalDoor(url).get("/peers").value)
    machine_id = own["machine_id"]
    if machine_id not in {row["machine_id"] for row in here}:
        raise Failure(f"the node at {url} ({_name(own)}) is not of this mesh: lambdamesh peers shows who is", USAGE)
    return Place(url, machine_id, _name(own))


def _found(row: dict[str, Any], url: str) -> Place | None:
    """The local door of another node, if it is where it might be."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = str(row.get("address", "")).rpartition(":")[0]
    guess = f"http://{host}:{parts.port or _DEFAULT_PORT}"
    try:
        own = _own_row(LocalDoor(guess).get("/peers").value)
    except Failure:
        return None
    return Place(guess, own["machine_id"], _name(row)) if own["machine_id"] == row["machine_id"] else None


def _own_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = next((row for row in rows if row.get("me")), None)
    if own is None:
        raise Failure("the node does not say which one it is: is it one of lambdamesh?", NO_NODE)
    return own


def _name(row: dict[str, Any]) -> str:
    return printable(str(row.get("host") or row.get("machine_id")))


def _told_apart(places: Iterable[Place]) -> tuple[Place, ...]:
    """The same places, with the machine id beside names that several have."""
    places = tuple(places)
    names = [place.name for place in places]
    return tuple(
        msgspec.structs.replace(place, name=f"{place.name} ({place.machine_id})")
        if names.count(place.name) > 1
        else place
        for place in places
    )
