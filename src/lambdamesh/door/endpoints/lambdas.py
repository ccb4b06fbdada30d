"""``/lambda`` and ``/lambda/{id}``: what there is, and its end."""

from __future__ import annotations

from itertools import islice
from time import monotonic

from lambdamesh.core.listing import lambda_map, lambda_object
from lambdamesh.door.door import Door
from lambdamesh.door.request import Fields, Reply, Request
from lambdamesh.door.targets import Target, flag
from lambdamesh.errors import BadRequest

_LIMIT_DIGITS = 9


def list_lambdas(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Answer with every lambda of this node, ``?limit=`` of them, or how many there are (``?count``)."""
    live = door.registry.live
    if flag(target.query, "count"):
        reply.respond(200, b'{"count":%d}' % len(live))
        return
    limit = _limit(target.query.get("limit"), door.limits.listing_lambdas)
    fields: Fields = ((b"Lambda-Truncated", b"true"),) if len(live) > limit else ()
    reply.respond(200, lambda_map(islice(live.values(), limit)), fields)


def show_lambda(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Answer with one lambda."""
    reply.respond(200, lambda_object(door.registry.find(target.segments[1], monotonic())))


def delete_lambda(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Close a lambda for good."""
    door.registry.delete(target.segments[1], monotonic(), door.clock.unix_ms)
    reply.respond(200, b"{}")


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not (text.isascii() and text.isdecimal() and len(text) <= _LIMIT_DIGITS) or int(text) > most:
        raise BadRequest(f"limit is a number from 0 to {most}")
    return int(text)
