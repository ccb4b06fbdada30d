"""Where a call for an id goes next, decided by arithmetic alone."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from lambdamesh.core.ports import Directory
from lambdamesh.errors import LambdaNotFound, Loop, MeshError, PeerUnreachable
from lambdamesh.ids import LambdaId, machine_id_text, parse_lambda_id

PASSAGES = 3
"""How often a call may go from node to node."""


class Place(Enum):
    """How far away the home of an id is."""

    HERE = "here"
    ELSEWHERE = "elsewhere"


def place_of(lambda_id: LambdaId, machine: int) -> Place:
    """Say whether ``lambda_id`` has its home on ``machine``, the one that asks."""
    return Place.HERE if lambda_id.machine == machine else Place.ELSEWHERE


@lru_cache(maxsize=16_384)
def home_of(text: bytes) -> int:
    """Return the machine in a lambda id; 0, which is no machine, where ``text`` is none."""
    try:
        return parse_lambda_id(text).machine
    except ValueError:
        return 0


def next_stop(home: int, me: int, holder: int | None, passages: int, *, at_holder: bool) -> int | MeshError | None:
    """Say which machine a call goes to from ``me``, where its lambda is not; ``None`` where nobody else can have it.

    ``home`` is the machine in its id, ``holder`` the one that holds the lambda, as far as the home knows; ``at_holder``
    whether the home has sent the call here.
    """
    if at_holder:
        return None
    machine = holder if home in (me, 0) else home
    if machine is not None and passages >= PASSAGES:
        return Loop(f"the call went from node to node {PASSAGES} times and has not met its lambda: try again")
    return machine


def out_of_reach(lambda_id: LambdaId, directory: Directory) -> MeshError:
    """Say why a call for an id of another machine cannot be passed on from here."""
    name = machine_id_text(lambda_id.machine)
    if directory.knows(lambda_id.machine) or not directory.complete():
        return PeerUnreachable(f"the node {name}, home of this lambda, cannot be reached: try again")
    return LambdaNotFound(f"no node of this mesh is {name}, the home in this id: check where the id came from")
