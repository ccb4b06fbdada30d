"""The routes that become WebSockets, and the stream of events."""

from __future__ import annotations

from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.door.caller import CallerSocket
from lambdamesh.door.door import Door
from lambdamesh.door.endpoints.lambdas import is_of_mesh
from lambdamesh.door.handshake import Offer, check_handshake, read_offer, says_why_by_close
from lambdamesh.door.provider import GOING_DOWN, SESSIONS, ProviderSocket
from lambdamesh.door.registration import registration_headers
from lambdamesh.door.request import Fields, HttpReply, Request
from lambdamesh.door.targets import Target, seconds
from lambdamesh.door.turned_away import TurnedAway
from lambdamesh.errors import Draining, Forbidden, MeshError
from lambdamesh.protocol import json_rpc, json_rpc_2

CODECS = tuple(code.encode() for code in SESSIONS)


def open_lambda(door: Door, request: Request, reply: HttpReply, target: Target) -> None:
    """Open a lambda under a new id."""
    offer = _shake(request)
    grace_s = _grace_s(door, offer, target)
    if not door.is_ready:
        _turn_away(door, request, reply, offer, Draining(GOING_DOWN))
        return
    text = door.mint(_code(offer) == json_rpc_2.CODE).text
    grant = Grant(door.keys.mint(text, door.clock.unix_ms / 1000))
    _seat(door, request, reply, offer, Claim(text, True, Key.NONE, grace_s, _headers(request, offer)), grant)


def reopen_lambda(door: Door, request: Request, reply: HttpReply, target: Target) -> None:
    """Open a lambda again under its id."""
    offer = _shake(request)
    grace_s = _grace_s(door, offer, target)
    shown = _shown_key(request, offer, target)
    text = target.segments[2]
    claim = Claim(text, False, door.judge(shown, text), grace_s, _headers(request, offer), shown, door.name)

    def heard(outcome: Grant | MeshError) -> None:
        if isinstance(outcome, Grant):
            _seat(door, request, reply, offer, claim, outcome)
        else:
            door.counters.reopens_refused += 1
            _turn_away(door, request, reply, offer, outcome)

    refusal = _refusal(door, request, claim)
    if refusal is None:
        door.claims.claim(claim, heard)
    else:
        heard(refusal)


def connect(door: Door, request: Request, reply: HttpReply, _target: Target) -> None:
    """Open the whole API over one socket."""
    offer = _shake(request)
    if not door.is_ready:
        _turn_away(door, request, reply, offer, Draining(GOING_DOWN))
        return
    reply.upgrade(CallerSocket(door, request, _code(offer)), _protocol(offer))


def events(door: Door, _request: Request, reply: HttpReply, target: Target) -> None:
    """Answer with the events of this node's lambdas as they happen, or of the mesh's."""
    if door.mesh_events is not None:
        door.mesh_events.subscribe(reply, door.clock.now, is_of_mesh=is_of_mesh(target))
    else:
        is_of_mesh(target)
        door.events.subscribe(reply)


def _shake(request: Request) -> Offer:
    check_handshake(request.head)
    return read_offer(request.head, CODECS)


def _seat(door: Door, request: Request, reply: HttpReply, offer: Offer, claim: Claim, grant: Grant) -> None:
    code = _code(offer)
    fields = _protocol(offer)
    if code == json_rpc.CODE:
        fields = (*fields, (b"Lambda-Resume-Key", grant.resume_key))
    reply.upgrade(ProviderSocket(door, request.peer, claim, grant, code), fields)


def _turn_away(door: Door, request: Request, reply: HttpReply, offer: Offer, refusal: MeshError) -> None:
    if not says_why_by_close(request.head):
        reply.refuse(refusal)
        return
    reply.upgrade(TurnedAway(door, request.peer, refusal), _protocol(offer))


def _protocol(offer: Offer) -> Fields:
    return () if offer.codec is None else ((b"Sec-WebSocket-Protocol", offer.codec),)


def _headers(request: Request, offer: Offer) -> bytes:
    return registration_headers(request, offer.codec)


def _code(offer: Offer) -> str:
    return json_rpc.CODE if offer.codec is None else offer.codec.decode()


def _grace_s(door: Door, offer: Offer, target: Target) -> float:
    grace = target.query.get("grace")
    if grace is None:
        return door.limits.grace_s if _code(offer) == json_rpc_2.CODE else 0.0
    return seconds(grace, door.limits.grace_max_s, "grace")


def _shown_key(request: Request, offer: Offer, target: Target) -> bytes:
    return (
        request.head.fields.get(b"lambda-resume-key")
        or offer.credentials.get("key")
        or target.query.get("key", "").encode()
    )


def _refusal(door: Door, request: Request, claim: Claim) -> MeshError | None:
    if not door.is_ready:
        return Draining(GOING_DOWN)
    if claim.key is Key.NONE and not request.admission.is_own:
        return Forbidden("a page of another origin re-opens a lambda with its key only")
    return None
