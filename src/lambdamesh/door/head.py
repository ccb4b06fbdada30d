"""What the head of a request says, read once for all requests of a connection that say the same."""

from __future__ import annotations

import msgspec

from lambdamesh.core.limits import Limits
from lambdamesh.door.stream_forms import FORMS, StreamForm
from lambdamesh.errors import BadRequest, HeadTooLarge, MeshError
from lambdamesh.protocol.traceparent import traceparent


class Wishes(msgspec.Struct, gc=False):
    """How a caller wants to be answered.

    ``wait_s`` and ``respond_async`` are those of ``Prefer`` (RFC 7240), ``traceparent`` is empty where there is none.
    ``stream`` is the form in which items are wanted over HTTP, ``credit`` how many unasked over `/connect`.
    """

    wait_s: float | None = None
    respond_async: bool = False
    traceparent: bytes = b""
    stream: StreamForm | None = None
    credit: int = 0


HeaderLines = list[tuple[bytes, bytes]]

_LENGTH_DIGITS = 18
_ONCE = frozenset((b"host", b"content-length", b"origin", b"sec-websocket-key", b"authorization", b"lambda-resume-key"))


class Head:
    """The header fields of a request by lower-case name; lines of the same name are joined with commas.

    ``error`` says why the head cannot be accepted at all; ``wishes`` how the caller wants to be answered;
    ``content_length`` is 0 where none is given; ``has_body`` also where its length is unknown. Most heads
    are not ``is_special``: nothing is to be done before the body has come.
    """

    __slots__ = (
        "content_length",
        "error",
        "expects_continue",
        "fields",
        "has_body",
        "is_encoded",
        "is_http10",
        "is_special",
        "lines",
        "wishes",
    )

    def __init__(self, lines: HeaderLines, size_bytes: int, limits: Limits) -> None:
        self.lines = lines
        self.fields: dict[bytes, bytes] = {}
        self.error: MeshError | None = None
        if size_bytes > limits.head_bytes or len(lines) > limits.head_lines:
            self.error = HeadTooLarge(
                f"the head of a request is at most {limits.head_bytes} bytes and {limits.head_lines} lines"
            )
        for name, value in lines:
            self._add(name.lower(), value.strip(b" \t"))
        if self.error is None:
            self.error = self._framing_error()
        self.content_length = (
            int(self.fields.get(b"content-length", b"0")[-_LENGTH_DIGITS:]) if self.error is None else 0
        )
        self.has_body = self.content_length > 0 or b"transfer-encoding" in self.fields
        self.is_encoded = self.fields.get(b"content-encoding", b"identity").lower() != b"identity"
        self.is_http10 = False
        self.expects_continue = self.fields.get(b"expect", b"").lower() == b"100-continue"
        self.is_special = self.content_length > limits.body_bytes or self.expects_continue or b"upgrade" in self.fields
        self.wishes = self._read_wishes()

    def _add(self, name: bytes, value: bytes) -> None:
        fields = self.fields
        if name not in fields:
            fields[name] = value
        elif name in _ONCE:
            self.error = self.error or BadRequest(f"{name.decode()} is given twice")
        else:
            fields[name] = fields[name] + b", " + value

    def _framing_error(self) -> MeshError | None:
        fields = self.fields
        if not fields.get(b"host"):
            return BadRequest("the request has no Host")
        length = fields.get(b"content-length")
        encoding = fields.get(b"transfer-encoding")
        if length is not None and (not length.isdigit() or len(length.lstrip(b"0")) > _LENGTH_DIGITS):
            return BadRequest("Content-Length is not a number of bytes")
        if encoding is not None and encoding.lower() != b"chunked":
            return BadRequest("the Transfer-Encoding that is taken is chunked, and no other")
        if length is not None and encoding is not None:
            return BadRequest("the request has both Content-Length and Transfer-Encoding")
        return None

    def _read_wishes(self) -> Wishes:
        fields = self.fields
        wishes = Wishes(
            traceparent=traceparent(fields.get(b"traceparent", b"")), stream=FORMS.get(fields.get(b"accept", b""))
        )
        for part in fields.get(b"prefer", b"").lower().split(b","):
            name, _, value = part.partition(b";")[0].partition(b"=")
            if name.strip() == b"respond-async":
                wishes.respond_async = True
            elif name.strip() == b"wait":
                wishes.wait_s = _seconds(value.strip(b' \t"'))
        return wishes

    @property
    def asks_websocket(self) -> bool:
        """Whether this is the head of a WebSocket handshake (RFC 6455, 4.2.1)."""
        return _has_token(self.fields.get(b"upgrade", b""), b"websocket") and _has_token(
            self.fields.get(b"connection", b""), b"upgrade"
        )


def _has_token(value: bytes, token: bytes) -> bool:
    return token in (part.strip() for part in value.lower().split(b","))


def _seconds(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
