"""``/lambda`` and ``/lambda/{id}``: what there is, and its end."""

from __future__ import annotations

from lambdamesh.core.asking import Heard
from lambdamesh.door.door import Door
from lambdamesh.door.listings import Count, Listing
from lambdamesh.door.request import Reply, Request
from lambdamesh.door.targets import Target, flag
from lambdamesh.errors import BadRequest, MeshError

_LIMIT_DIGITS = 9


def list_lambdas(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Answer with every lambda, ``?limit=`` of them, or how many there are (``?count``): this node's, or the mesh's."""
    others = door.others if is_of_mesh(target) else door.siblings
    is_count = flag(target.query, "count")
    limit = _limit(target.query.get("limit"), door.limits.listing_lambdas)
    answer = Count(door, reply, others) if is_count else Listing(door, reply, others, limit)
    answer.begin()


def is_of_mesh(target: Target) -> bool:
    """Whether a request is about the whole mesh (``?scope=mesh``).

    Raises:
        BadRequest: there is no such scope.
    """
    scope = target.query.get("scope", "node")
    if scope not in ("node", "mesh"):
        raise BadRequest("scope is node or mesh")
    return scope == "mesh"


def show_lambda(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Answer with one lambda, wherever it is."""
    door.claims.show(target.segments[1], _answers(reply))


def delete_lambda(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Close a lambda for good, wherever it is."""
    door.claims.delete(target.segments[1], _answers(reply))


def _answers(reply: Reply) -> Heard:
    def heard(outcome: bytes | MeshError) -> None:
        if isinstance(outcome, MeshError):
            reply.refuse(outcome)
        else:
            reply.respond(200, outcome)

    return heard


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not (text.isascii() and text.isdecimal() and len(text) <= _LIMIT_DIGITS) or int(text) > most:
        raise BadRequest(f"limit is a number from 0 to {most}")
    return int(text)
