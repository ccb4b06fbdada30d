"""A reader of requests, and what it made of the bytes it was fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lambdamesh.core.admission import Admission
from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.door.bodies import Shared
from lambdamesh.door.reading import RequestReader
from lambdamesh.door.request import Request
from lambdamesh.errors import MeshError

HOST = b"Host: a\r\n"
PLAIN = b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n"
WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


class Outcome(NamedTuple):
    """What a reader handed over: ``kind`` is ``request``, ``handshake`` or the word of a refusal."""

    kind: str
    verb: bytes
    target: bytes
    body: bytes
    keep_alive: bool


NEXT = Outcome("request", b"GET", b"/plain", b"", True)


class Reading:
    """Feeds a reader; ``expected`` are the targets of the heads that wait for ``100 Continue``."""

    def __init__(self, limits: Limits | None = None, *, refuse_expectation: MeshError | None = None) -> None:
        self.limits = limits or Limits()
        self.budget = Budget(self.limits.buffered_bytes)
        self.counters = Counters()
        self.requests: list[Request] = []
        self.outcomes: list[Outcome] = []
        self.expected: list[bytes] = []
        self.tail = b""
        self.on_request: Callable[[], object] = lambda: None
        self._refuse_expectation = refuse_expectation
        self.shared = Shared(self.limits, self.budget, self.counters, _admit)
        self.reader = RequestReader(self.shared, self)

    def feed(self, *chunks: bytes) -> list[Outcome]:
        """Read on and return every outcome until now."""
        for chunk in chunks:
            self.reader.feed(chunk)
        return self.outcomes

    def request(self, request: Request) -> None:
        """One whole request, or a refusal (``Requests``)."""
        kind = "request" if request.refusal is None else request.refusal.code
        self._keep(kind, request)
        self.on_request()

    def expectation(self, request: Request) -> MeshError | None:
        """A head that waits (``Requests``)."""
        self.expected.append(request.target)
        return self._refuse_expectation

    def handshake(self, request: Request, tail: bytes) -> None:
        """A WebSocket handshake (``Requests``)."""
        self.tail = tail
        self._keep("handshake", request)

    def _keep(self, kind: str, request: Request) -> None:
        self.requests.append(request)
        self.outcomes.append(Outcome(kind, request.verb, request.target, request.body, request.keep_alive))


def _admit(fields: Mapping[bytes, bytes]) -> Admission:
    origin = fields.get(b"origin")
    return Admission(None, frozenset(), origin is None, origin)


def post(body: bytes, *lines: bytes, target: bytes = b"/p") -> bytes:
    """A request with a body and its length."""
    head = b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, lines: tuple[bytes, ...] = (), trailer: bytes = b"") -> bytes:
    """A request with a body in chunks."""
    head = b"POST /c HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines)
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n" + trailer + b"\r\n"
