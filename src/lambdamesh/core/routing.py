"""Where a call for an id goes next, decided by arithmetic alone."""

from __future__ import annotations

from lambdamesh.core.places import NOWHERE
from lambdamesh.core.ports import Directory
from lambdamesh.errors import LambdaNotFound, Loop, MeshError, PeerUnreachable
from lambdamesh.ids import machine_id_text

PASSAGES = 3
"""How often a call may go from place to place."""


def next_stop(home: int, here: int, holder: int | None, passages: int, *, at_holder: bool) -> int | MeshError | None:
    """Say to which place a call goes from ``here``, where its lambda is not; ``None`` where nobody else can have it.

    ``home`` is the place in its id, ``holder`` the one that holds the lambda, as far as the home knows; ``at_holder``
    whether the home has sent the call here.
    """
    if at_holder:
        return None
    place = holder if home in (here, NOWHERE) else home
    if place is not None and passages >= PASSAGES:
        return Loop(f"the call went from node to node {PASSAGES} times and has not met its lambda: try again")
    return place


def out_of_reach(machine: int, directory: Directory) -> MeshError:
    """Say why a call for an id of another machine cannot be passed on from here."""
    name = machine_id_text(machine)
    if directory.knows(machine) or not directory.complete():
        return PeerUnreachable(f"the node {name}, home of this lambda, cannot be reached: try again")
    return LambdaNotFound(f"no node of this mesh is {name}, the home in this id: check where the id came from")
