"""Bytes in, whole and legal HTTP/1.1 requests out (RFC 9112), with every limit of a head and a body; no I/O."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import httptools

from lambdamesh.core.admission import Admission
from lambdamesh.door.bodies import Body, Refused, Shared
from lambdamesh.door.head import Head, HeaderLines
from lambdamesh.door.request import Request
from lambdamesh.door.targets import REMEMBERED_BYTES, REMEMBERED_TARGETS
from lambdamesh.door.unforeseen import unforeseen
from lambdamesh.errors import BadRequest, HeadTooLarge, MeshError, TooLarge

_PADDING_BYTES = 64 * 1024
_PADDING_FACTOR = 8
_HOP_FIELDS = frozenset((b"upgrade", b"connection", b"http2-settings"))


class Phase(Enum):
    """Where in a request the last byte was."""

    BETWEEN = "between"
    HEAD = "head"
    BODY = "body"


_BETWEEN, _HEAD, _BODY = Phase
_SLASH = ord("/")


class Requests(Protocol):
    """Where a reader puts what it has read."""

    def request(self, request: Request) -> None:
        """One whole request, or the refusal with which the connection ends."""

    def expectation(self, request: Request) -> MeshError | None:
        """The head of a request that waits for ``100 Continue``; a refusal where it shall not come."""

    def handshake(self, request: Request, tail: bytes) -> None:
        """A WebSocket handshake, and the bytes behind it."""


class RequestReader:
    """Reads the requests of one connection. After a refusal, a handshake or the last request it is ``done``."""

    __slots__ = (
        "_admission",
        "_head",
        "_known_fields",
        "_last_lines",
        "_last_version",
        "_lines",
        "_parser",
        "_piece",
        "_raw_bytes",
        "_requests",
        "_shared",
        "_target",
        "_target_room_bytes",
        "_upgrading",
        "_verb",
        "_watched_stage",
        "body",
        "done",
        "phase",
        "stage",
    )

    def __init__(self, shared: Shared, requests: Requests) -> None:
        self._shared = shared
        self._requests = requests
        self._parser = httptools.HttpRequestParser(self)
        self._lines: HeaderLines = []
        self._last_lines: HeaderLines | None = None
        self._last_version = ""
        self._target_room_bytes = 0
        self._head = shared.no_head
        self._admission = Admission()
        self._target = b""
        self._verb = b""
        self._raw_bytes = 0
        self._watched_stage = 0
        self._upgrading = False
        self._piece = b""
        self._known_fields = b""
        self.body: Body | None = None
        """The body in hand, from its second piece on."""
        self.phase = Phase.BETWEEN
        self.stage = 0
        """Counts the heads and bodies that have begun, to tell one that lasts from several in a row."""
        self.done = False

    def feed(self, chunk: bytes) -> None:
        """Read on; whatever is complete is handed over before this returns."""
        if self.done or (self.phase is _BETWEEN and self._is_familiar(chunk)):
            return
        rest: bytes | None = chunk
        while rest is not None and not self.done:
            rest = self._parse(rest)

    def _parse(self, chunk: bytes) -> bytes | None:
        """Have a chunk parsed; return what is to be parsed instead of its rest, where an upgrade stands in between."""
        fresh_stage = self.stage + 1 if self.phase is _BETWEEN else 0
        tail: bytes | None = None
        try:
            self._parser.feed_data(chunk)
        except httptools.HttpParserUpgrade as upgrade:
            tail = chunk[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self.refuse(_refusal_of(error))
        except httptools.HttpParserError as error:
            self.refuse(BadRequest(f"this is not HTTP/1.1: {error}"))
        else:
            self._look_back(chunk, fresh_stage)
        return None if tail is None else self._upgrade(tail)

    def _look_back(self, chunk: bytes, fresh_stage: int) -> None:
        """See to what ``chunk`` left behind; ``fresh_stage`` is the stage of a head that began with it, else 0."""
        if self.done:
            return
        if self.phase is not _BETWEEN:
            self._check_unfinished(len(chunk), fresh_stage)
        elif fresh_stage:
            self._learn(chunk)

    def _is_familiar(self, chunk: bytes) -> bool:
        """Read a chunk that is one call whose head has been read before, to the byte, without parsing it again.

        Clients say the same with each request. The fields are compared with those of the last request of this
        connection, the request line is looked up among those of all: both were legal when the parser read them.
        """
        line_end = chunk.find(b"\r\n")
        fields = self._known_fields
        body_at = line_end + len(fields)
        if len(chunk) - body_at != self._head.content_length or not fields or not chunk.startswith(fields, line_end):
            return False
        target = self._shared.post_targets.get(chunk[:line_end])
        if target is None:
            return False
        try:
            body = chunk[body_at:]
        except MemoryError as error:
            self.starve(error)
        else:
            self._requests.request(Request(b"POST", target, self._head, self._admission, body))
        return True

    def _learn(self, chunk: bytes) -> None:
        """Remember the head in ``chunk`` if that was one call, whole, and nothing else."""
        head = self._head
        line_end, fields_end = chunk.find(b"\r\n"), chunk.find(b"\r\n\r\n") + 4
        is_plain = not (head.is_special or head.is_http10 or b"transfer-encoding" in head.fields)
        is_one = len(chunk) - fields_end == head.content_length and chunk.startswith(b"POST ")
        if not is_plain or not is_one or line_end > REMEMBERED_BYTES:
            return
        self._known_fields = chunk[line_end:fields_end]
        targets = self._shared.post_targets
        if len(targets) >= REMEMBERED_TARGETS:
            targets.clear()
        targets[chunk[:line_end]] = self._target

    def refuse(self, error: MeshError) -> None:
        """Give up on what is being read, and on the connection, with ``error``."""
        if self.done:
            return
        self._shared.counters.refused_requests += 1
        try:
            verb = self._parser.get_method()
        except ValueError:
            verb = b""
        request = Request(verb, self._target, self._head, self._admission)
        if self.phase is _HEAD:
            # What is known of the last request says nothing of this one.
            request.admission = Admission()
        request.keep_alive = False
        request.refusal = error
        self.close()
        self._requests.request(request)

    def starve(self, error: MemoryError) -> None:
        """Give up on what has come and cannot be taken for want of memory, and on the connection."""
        if self.done:
            return
        if self.phase is _BETWEEN:
            # Whatever begins here, nothing of the last request says anything of it.
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_begin()
        self.refuse(unforeseen(error))

    def close(self) -> None:
        """Read no more and hold nothing."""
        self.done = True
        self.phase = _BETWEEN
        self._piece = b""
        if self.body is not None:
            self.body.discard()
            self.body = None

    def release(self) -> None:
        """Read no more, ever. Parser and reader hold one another: after this no cycle is left to be collected."""
        self.close()
        del self._parser

    def _upgrade(self, tail: bytes) -> bytes | None:
        """Go on behind a head with ``Upgrade``: to WebSocket, or as if it had not been there.

        Returns what is to be parsed next, if anything.
        """
        self._upgrading = False
        verb = self._parser.get_method()
        if verb != b"GET" or not self._head.asks_websocket:
            head = self._without_upgrade(verb)
            self._parser = httptools.HttpRequestParser(self)
            return head + tail
        if self._head.has_body:
            self.refuse(BadRequest("a WebSocket handshake has no body"))
            return None
        request = Request(verb, self._target, self._head, self._admission)
        request.keep_alive = False
        self.close()
        self._requests.handshake(request, tail)
        return None

    def _without_upgrade(self, verb: bytes) -> bytes:
        lines = [b"%b %b HTTP/%b" % (verb, self._target, self._parser.get_http_version().encode())]
        lines += [b"%b: %b" % line for line in self._lines if line[0].lower() not in _HOP_FIELDS]
        if b"close" in self._head.fields.get(b"connection", b"").lower():
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    @property
    def body_bytes(self) -> int:
        """How much of the body in hand has arrived."""
        return len(self._piece) if self.body is None else self.body.size_bytes

    def _check_unfinished(self, size_bytes: int, fresh_stage: int) -> None:
        """Bound what the parser holds of a request whose end has not come."""
        if self.stage == self._watched_stage:
            self._raw_bytes += size_bytes
        else:
            # A head or a body that begins somewhere in a chunk has much else before it: only what is known counts.
            self._watched_stage = self.stage
            self._raw_bytes = size_bytes if self.stage == fresh_stage else self._known_bytes()
        limits = self._shared.limits
        if self.phase is Phase.HEAD:
            if self._raw_bytes > limits.head_bytes or len(self._lines) > limits.head_lines:
                self.refuse(HeadTooLarge(f"the head of a request is at most {limits.head_bytes} bytes"))
        elif (
            self._raw_bytes > _PADDING_BYTES + _PADDING_FACTOR * self.body_bytes or len(self._lines) > limits.head_lines
        ):
            self.refuse(BadRequest("the body has more chunk heads and trailers than body"))

    def _known_bytes(self) -> int:
        return len(self._target) + sum(len(name) + len(value) + 4 for name, value in self._lines)

    # -- what the parser calls ----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins (httptools)."""
        if self.done:
            raise Refused(BadRequest("the connection has ended"))
        self.phase = _HEAD
        self.stage += 1
        self._lines = []
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """A piece of the target (httptools)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer's, which nobody reads (httptools)."""
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole (httptools)."""
        lines = self._lines
        version = self._parser.get_http_version()
        if lines != self._last_lines or version != self._last_version:
            self._read_head(version)
        elif len(self._target) > self._target_room_bytes:
            raise Refused(HeadTooLarge(f"the head of a request is at most {self._shared.limits.head_bytes} bytes"))
        self._lines = []
        if self._target[0] != _SLASH:
            raise Refused(BadRequest("the request target is a path, as in GET /lambda: no scheme, no host"))
        self._verb = verb = self._parser.get_method()
        if verb == b"CONNECT":
            raise Refused(BadRequest("CONNECT is for proxies, and this is none"))
        self.phase = _BODY
        self.stage += 1
        head = self._head
        if head.is_special:
            self._read_special(head, lines)

    def on_body(self, piece: bytes) -> None:
        """A piece of the body (httptools)."""
        if self.body is not None:
            self.body.add(piece)
        elif self._piece or len(piece) > self._shared.limits.body_bytes:
            self.body = Body(self._shared)
            self.body.add(self._piece)
            self.body.add(piece)
        else:
            self._piece = piece

    def on_message_complete(self) -> None:
        """The request is whole (httptools)."""
        if self._upgrading:
            return
        body, self._piece = self._piece, b""
        if self.body is not None:
            body = self.body.take()
            self.body = None
        self.phase = _BETWEEN
        parser = self._parser
        request = Request(self._verb, self._target, self._head, self._admission, body)
        if not parser.should_keep_alive():
            request.keep_alive = False
            self.done = True
        elif self._head.is_http10:
            request.keep_alive_said = True
        self._requests.request(request)

    def _read_special(self, head: Head, lines: HeaderLines) -> None:
        """See to what few heads have: a body over the limit, an upgrade, an expectation."""
        limit_bytes = self._shared.limits.body_bytes
        if head.content_length > limit_bytes:
            raise Refused(TooLarge(f"a body is at most {limit_bytes} bytes"))
        if b"upgrade" in head.fields and self._parser.should_upgrade():
            self._upgrading = True
            self._lines = lines
        elif head.expects_continue and head.has_body and not head.is_http10:
            request = Request(self._verb, self._target, head, self._admission)
            refusal = self._requests.expectation(request)
            if refusal is not None:
                raise Refused(refusal)

    def _read_head(self, version: str) -> None:
        self._known_fields = b""
        size_bytes = self._known_bytes()
        head = Head(self._lines, size_bytes, self._shared.limits)
        if head.error is not None:
            raise Refused(head.error)
        if version not in ("1.1", "1.0"):
            raise Refused(BadRequest("this node speaks HTTP/1.1"))
        head.is_http10 = version == "1.0"
        self._head = head
        self._admission = self._shared.admit(head.fields)
        self._last_lines = self._lines
        self._last_version = version
        self._target_room_bytes = self._shared.limits.head_bytes - size_bytes + len(self._target)


def _refusal_of(error: httptools.HttpParserCallbackError) -> MeshError:
    cause = error.__context__
    if isinstance(cause, Refused):
        return cause.error
    return unforeseen(cause)
