"""A door without a listener, and a reply that keeps what it was told."""

from __future__ import annotations

import json
from time import monotonic

from lambdamesh.access.local_door import LocalDoor
from lambdamesh.access.resume_keys import ResumeKeys
from lambdamesh.core.budget import Budget
from lambdamesh.core.claims import Claims
from lambdamesh.core.clock import Clock
from lambdamesh.core.flight import Flight
from lambdamesh.core.homes import Homes
from lambdamesh.core.limits import Limits
from lambdamesh.directory.alone import Alone
from lambdamesh.door.door import Core, Door, Facts
from lambdamesh.door.request import Adopting, Fields, Request
from lambdamesh.door.routes import Routes
from lambdamesh.errors import MeshError
from lambdamesh.ids import LambdaId, Rays, parse_lambda_id
from lambdamesh.protocol.session import SessionCounters
from tests.lambda_ids import NEEDS_KEY
from tests.unit.door.heads import request_of
from tests.unit.fakes import MACHINE, NOW_MS, TEXT, FakeSeat, Told, World

VERSION = "1.2.3"
NODE_KEY = bytes(range(32))


class Reply(Told):
    """What a request was answered with; ``stays`` is what ``stream`` says."""

    def __init__(self, *, owns_connection: bool = True, stays: bool = True) -> None:
        super().__init__()
        self.owns_connection = owns_connection
        self.status = 0
        self.body = b""
        self.fields: Fields = ()
        self.flight: Flight | None = None
        self.socket: Adopting | None = None
        self.content_type = b""
        self.pieces: list[bytes] = []
        self._stays = stays

    def respond(self, status: int, body: bytes, fields: Fields = ()) -> None:
        assert self.status == 0
        self.status, self.body, self.fields = status, body, fields

    def refuse(self, error: MeshError) -> None:
        self.respond(error.http_status, error.code.encode(), error.headers)

    def in_flight(self, flight: Flight | None) -> None:
        self.flight = flight

    def stream(self, content_type: bytes) -> bool:
        self.respond(200, b"")
        self.content_type = content_type
        return self._stays

    def send(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def upgrade(self, socket: Adopting, fields: Fields) -> None:
        self.respond(101, b"", fields)
        self.socket = socket


class Stage:
    """A door with one lambda open, ``TEXT``, and its routes."""

    def __init__(self, limits: Limits | None = None, access: LocalDoor | None = None) -> None:
        self.world = World(limits, now=monotonic())  # which the routes read themselves
        core = Core()
        core.limits = self.world.limits
        core.counters = self.world.counters
        core.clock = Clock(self.world.now, NOW_MS)
        core.wheel = self.world.wheel
        core.budget = Budget(self.world.limits.buffered_bytes)
        core.registry = self.world.registry
        core.relay = self.world.relay
        core.relay.time = lambda: core.clock.now
        core.rays = Rays("my-host", 0, NOW_MS)
        core.sessions = SessionCounters()
        core.mint = self._mint
        homes = Homes(core.registry, core.relay, None, core.clock, self._mint_key)
        core.claims = Claims(core.registry, core.relay, homes, None, core.clock, core.limits)
        core.others = core.siblings = None
        facts = Facts("my-host", MACHINE, VERSION)
        self.access = access or LocalDoor()
        self.keys = ResumeKeys(NODE_KEY, "local", self.world.limits.resume_key_ttl_s)
        self.door = Door(core, facts, self.access, self.keys, Alone(MACHINE, "my-host", VERSION))
        self.door.exposition = lambda _siblings: b"# metrics\n"
        self.door.is_ready = True
        self.routes = self.door.routes = Routes(self.door)
        self.seat: FakeSeat = self.world.open()
        self._minted = parse_lambda_id(TEXT)

    def _mint_key(self, lambda_id: bytes, door: str) -> bytes:
        assert door == self.door.name
        return self.keys.mint(lambda_id, self.door.clock.unix_ms / 1000)

    def _mint(self, needs_key: bool) -> LambdaId:
        self._minted = LambdaId(MACHINE, self._minted.uid + 1)
        return LambdaId(MACHINE, self._minted.uid | (NEEDS_KEY << 12)) if needs_key else self._minted

    def ask(self, request: Request, *, over_http: bool = True) -> Reply:
        """Dispatch as a connection does."""
        reply = Reply(owns_connection=over_http)
        try:
            self.routes.dispatch(request, reply)
        except MeshError as error:
            reply.refuse(error)
        return reply


def get(stage: Stage, target: str) -> object:
    """The JSON that a GET is answered with."""
    reply = stage.ask(request_of("GET", target))
    assert reply.status == 200
    return json.loads(reply.body)
