"""Where a call for an id goes, decided by arithmetic alone."""

from __future__ import annotations

from enum import Enum

from lambdamesh.core.ports import Directory
from lambdamesh.errors import LambdaNotFound, MeshError, PeerUnreachable
from lambdamesh.ids import LambdaId, machine_id_text


class Place(Enum):
    """How far away the home of an id is."""

    HERE = "here"
    ELSEWHERE = "elsewhere"


def place_of(lambda_id: LambdaId, machine: int) -> Place:
    """Say whether ``lambda_id`` has its home on ``machine``, the one that asks."""
    return Place.HERE if lambda_id.machine == machine else Place.ELSEWHERE


def out_of_reach(lambda_id: LambdaId, directory: Directory) -> MeshError:
    """Say why a call for an id of another machine cannot be passed on from here."""
    name = machine_id_text(lambda_id.machine)
    if directory.knows(lambda_id.machine) or not directory.complete():
        return PeerUnreachable(f"the node {name}, home of this lambda, cannot be reached: try again")
    return LambdaNotFound(f"no node of this mesh is {name}, the home in this id: check where the id came from")
