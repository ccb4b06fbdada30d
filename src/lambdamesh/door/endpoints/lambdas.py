"""``/lambda`` and ``/lambda/{id}``: what there is, and its end."""

from __future__ import annotations

from functools import partial
from itertools import islice

import msgspec

from lambdamesh.core.asking import Heard
from lambdamesh.core.listing import lambda_map, lambda_object
from lambdamesh.core.survey import Survey
from lambdamesh.core.words import ListedWords, ListWords
from lambdamesh.door.door import Door
from lambdamesh.door.request import Fields, Reply, Request
from lambdamesh.door.targets import Target, flag
from lambdamesh.errors import BadRequest, MeshError
from lambdamesh.ids import machine_id_text

_LIMIT_DIGITS = 9
_TRUNCATED: Fields = ((b"Lambda-Truncated", b"true"),)


def list_lambdas(door: Door, _request: Request, reply: Reply, target: Target) -> None:
    """Answer with every lambda, ``?limit=`` of them, or how many there are (``?count``): this node's, or the mesh's."""
    live = door.registry.live
    others = door.others if is_of_mesh(target) else None
    is_count = flag(target.query, "count")
    limit = _limit(target.query.get("limit"), door.limits.listing_lambdas)
    if others is not None:
        answer = partial(_count_all if is_count else _list_all, door, reply, limit)
        survey = Survey(
            others.asking, others.machines(), door.limits.listing_nodes, door.limits.listing_timeout_s, answer
        )
        # One more than is wanted, to know of each whether there are more.
        survey.ask("count" if is_count else "list", ListWords(limit + 1))
    elif is_count:
        reply.respond(200, b'{"count":%d}' % len(live))
    else:
        fields: Fields = _TRUNCATED if len(live) > limit else ()
        reply.respond(200, lambda_map(islice(live.values(), limit)), fields)


def is_of_mesh(target: Target) -> bool:
    """Whether a request is about the whole mesh (``?scope=mesh``).

    Raises:
        BadRequest: there is no such scope.
    """
    scope = target.query.get("scope", "node")
    if scope not in ("node", "mesh"):
        raise BadRequest("scope is node or mesh")
    return scope == "mesh"


def _count_all(door: Door, reply: Reply, _limit: int, answers: dict[int, bytes], mute: list[int]) -> None:
    count = len(door.registry.live)
    for machine, raw in answers.items():
        try:
            count += msgspec.json.decode(raw, type=int)
        except msgspec.MsgspecError:
            mute.append(machine)
    reply.respond(200, b'{"count":%d}' % count, _unreachable(mute))


def _list_all(door: Door, reply: Reply, limit: int, answers: dict[int, bytes], mute: list[int]) -> None:
    shown = {held.id.decode(): lambda_object(held) for held in islice(door.registry.live.values(), limit + 1)}
    is_cut = False
    for machine, raw in answers.items():
        try:
            listed = msgspec.json.decode(raw, type=ListedWords)
        except msgspec.MsgspecError:
            mute.append(machine)
            continue
        is_cut = is_cut or (listed.is_cut and len(listed.lambdas) <= limit)
        shown |= {text: bytes(seen) for text, seen in islice(listed.lambdas.items(), limit + 1 - len(shown))}
    fields = _TRUNCATED if is_cut or len(shown) > limit else ()
    body = b"{%b}" % b",".join(b'"%b":%b' % (text.encode(), seen) for text, seen in islice(shown.items(), limit))
    reply.respond(200, body, (*fields, *_unreachable(mute)))


def _unreachable(machines: list[int]) -> Fields:
    names = ", ".join(machine_id_text(machine) for machine in sorted(machines))
    return ((b"Lambda-Unreachable", names.encode()),) if names else ()


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
