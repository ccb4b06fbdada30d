"""The routes: a table from verb and path to what is done, and what the door must allow."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, cast

from lambdamesh.door.door import Door
from lambdamesh.door.endpoints import about, lambdas, sockets
from lambdamesh.door.endpoints.calls import Calls
from lambdamesh.door.request import HttpReply, Reply, Request
from lambdamesh.door.targets import Target, flag, parse_target
from lambdamesh.errors import BadRequest, Forbidden, MeshError, MethodNotAllowed, NotFound, Unauthorized


class Gate(Enum):
    """Whose requests a route takes."""

    ANY = "pages of allowed origins too"
    OWN = "no page, or a page of this door's own origin"


class Form(Enum):
    """How a route answers."""

    JSON = "one JSON text"
    TEXT = "one text"
    STREAM = "a stream of events"
    WEBSOCKET = "a WebSocket"
    CALL = "a call"
    PREFLIGHT = "what a browser asks before a call"


Endpoint = Callable[[Door, Request, Any, Target], None]


class Route(NamedTuple):
    """One row: ``path`` with ``{}`` for a segment of any content."""

    verbs: tuple[str, ...]
    path: str
    form: Form
    gate: Gate
    endpoint: Endpoint


_READ = ("GET", "HEAD")
_READ_OR_POST = ("GET", "HEAD", "POST")


def _call(_door: Door, _request: Request, _reply: Reply, _target: Target) -> None:
    """Calls and preflights are answered by ``Routes`` itself."""


ROUTES: tuple[Route, ...] = (
    Route(_READ_OR_POST, "/lambda", Form.JSON, Gate.OWN, lambdas.list_lambdas),
    Route(_READ, "/lambda/new", Form.WEBSOCKET, Gate.ANY, sockets.open_lambda),
    Route(_READ, "/lambda/new/{}", Form.WEBSOCKET, Gate.ANY, sockets.reopen_lambda),
    Route(_READ, "/lambda/{}", Form.JSON, Gate.ANY, lambdas.show_lambda),
    Route(("DELETE",), "/lambda/{}", Form.JSON, Gate.OWN, lambdas.delete_lambda),
    Route(("POST",), "/lambda/{}/{}", Form.CALL, Gate.ANY, _call),
    Route(("OPTIONS",), "/lambda/{}/{}", Form.PREFLIGHT, Gate.ANY, _call),
    Route(_READ, "/connect", Form.WEBSOCKET, Gate.ANY, sockets.connect),
    Route(_READ, "/events", Form.STREAM, Gate.OWN, sockets.events),
    Route(_READ_OR_POST, "/ping", Form.JSON, Gate.ANY, about.ping),
    Route(_READ_OR_POST, "/version", Form.JSON, Gate.ANY, about.version),
    Route(_READ_OR_POST, "/peers", Form.JSON, Gate.OWN, about.peers),
    Route(_READ_OR_POST, "/peers/alive", Form.JSON, Gate.OWN, about.alive_peers),
    Route(_READ, "/debug/headers", Form.TEXT, Gate.OWN, about.debug_headers),
    Route(_READ, "/healthz", Form.JSON, Gate.ANY, about.healthz),
    Route(_READ, "/readyz", Form.JSON, Gate.ANY, about.readyz),
    Route(_READ, "/metrics", Form.TEXT, Gate.OWN, about.metrics),
    Route(_READ, "/", Form.JSON, Gate.OWN, about.version),
)
"""The first path that fits counts; where it does not take the verb, the answer is 405."""

_PREFLIGHT_FIELDS = (
    (b"Access-Control-Allow-Methods", b"POST"),
    (b"Access-Control-Allow-Headers", b"authorization, content-type, accept, prefer, traceparent"),
    (b"Access-Control-Max-Age", b"600"),
)


class Routes:
    """Answers the requests of one door (``door.door.Dispatcher``)."""

    __slots__ = ("_calls", "_door", "_known_targets", "_rows")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._calls = Calls(door)
        self._known_targets = self._calls.known_targets
        self._rows = [(tuple(route.path.encode().split(b"/")[1:]), route) for route in ROUTES]

    def dispatch(self, request: Request, reply: Reply) -> None:
        """Answer ``request`` through ``reply``, now or later.

        Raises:
            MeshError: it is refused.
        """
        refusal = request.refusal or request.admission.refusal
        if request.verb == b"POST" and refusal is None:
            known = self._known_targets.get(request.target)
            if known is not None:
                self._calls.answer(request, reply, known)
                return
        target = self._read_target(request)
        request.pretty = flag(target.query, "pretty")
        request.is_call = _is_call(request, target)
        if refusal is not None and not self._is_spared(request, target):
            reply.refuse(refusal)
            return
        route = self._find(request, target)
        if route.form is Form.CALL:
            self._calls.answer(request, reply, self._calls.target(request.target))
        elif route.form is Form.PREFLIGHT:
            fields = _PREFLIGHT_FIELDS if request.admission.origin is not None else ((b"Allow", b"OPTIONS, POST"),)
            reply.respond(204, b"", fields)
        elif reply.owns_connection or route.form is Form.JSON:
            route.endpoint(self._door, request, cast("HttpReply", reply), target)
        else:
            raise BadRequest("this route does not answer JSON: ask for it over HTTP")

    def precheck(self, request: Request) -> MeshError | None:
        """Say why ``request`` would be refused whatever its body; ``None`` if it would not."""
        try:
            target = parse_target(request.target)
            if request.admission.refusal is not None and not self._is_spared(request, target):
                return request.admission.refusal
            if self._find(request, target).form is Form.CALL:
                self._calls.target(request.target)
                return self._calls.precheck(request)
        except MeshError as error:
            return error
        return None

    def _find(self, request: Request, target: Target) -> Route:
        """Find the route of a request that the door lets in."""
        route = self._match(request.verb.decode("latin-1"), target)
        if route.gate is Gate.OWN and not request.admission.is_own:
            raise Forbidden("a page of another origin may open, call and ask for one lambda, and nothing else")
        return route

    def _is_spared(self, request: Request, target: Target) -> bool:
        if request.refusal is not None:
            return False
        # A browser asks before a call, and never shows a token when it does.
        asks_before = request.verb == b"OPTIONS" and isinstance(request.admission.refusal, Unauthorized)
        return asks_before or b"/" + b"/".join(target.segments) in request.admission.spared

    def _match(self, verb: str, target: Target) -> Route:
        path: str | None = None
        allow: list[str] = []
        for segments, route in self._rows:
            if path in (None, route.path) and _fits(segments, target.segments):
                if verb in route.verbs:
                    return route
                path = route.path
                allow += route.verbs
        if path is None:
            raise NotFound("there is no such route: see GET /lambda, POST /lambda/ID/METHOD, /ping, /version, /peers")
        raise MethodNotAllowed(", ".join(allow))

    def _read_target(self, request: Request) -> Target:
        try:
            return parse_target(request.target)
        except BadRequest:
            if request.refusal is None:
                raise
            return Target((), {})


def _is_call(request: Request, target: Target) -> bool:
    return request.verb == b"POST" and len(target.segments) == 3 and target.segments[0] == b"lambda"


def _fits(pattern: tuple[bytes, ...], segments: tuple[bytes, ...]) -> bool:
    return len(pattern) == len(segments) and all(
        want in (b"{}", have) for want, have in zip(pattern, segments, strict=True)
    )
