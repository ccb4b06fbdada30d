"""``POST /lambda/{id}/{method}``: the call."""

from __future__ import annotations

from time import monotonic
from typing import NamedTuple, cast

from lambdamesh.door.door import Door
from lambdamesh.door.request import HttpReply, Reply, Request
from lambdamesh.door.stream_forms import StreamForm
from lambdamesh.door.streaming import HttpStream
from lambdamesh.door.targets import (
    REMEMBERED_BYTES,
    REMEMBERED_TARGETS,
    Target,
    flag,
    parse_target,
    quoted_method,
    seconds,
)
from lambdamesh.errors import BadRequest, MeshError, Unsupported
from lambdamesh.ids import parse_lambda_id
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_text import NULL, is_json

_ENCODED = "the body is plain JSON: send it without Content-Encoding"


class CallTarget(NamedTuple):
    """The target of a call: ``method`` is a JSON string; ``timeout_s`` is ``None`` where the query names none."""

    lambda_id: bytes
    method: bytes
    timeout_s: float | None
    pretty: bool


class Calls:
    """Answers calls. Targets are taken apart once and remembered, as many as fit."""

    __slots__ = ("_call_timeout_s", "_door", "_relay_call", "_timeout_max_s", "known_targets")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._relay_call = door.relay.call
        self.known_targets: dict[bytes, CallTarget] = {}
        self._call_timeout_s = door.limits.call_timeout_s
        self._timeout_max_s = door.limits.call_timeout_max_s

    def target(self, target: bytes) -> CallTarget:
        """Read the target of a call.

        Raises:
            BadRequest: its id, its method or its query is not legal.
        """
        known = self.known_targets.get(target)
        if known is None:
            known = self._read(parse_target(target))
            if len(self.known_targets) >= REMEMBERED_TARGETS:
                self.known_targets.clear()
            if len(target) <= REMEMBERED_BYTES:
                self.known_targets[target] = known
        return known

    def _read(self, target: Target) -> CallTarget:
        _, lambda_id, segment = target.segments
        try:
            parse_lambda_id(lambda_id)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        timeout = target.query.get("timeout")
        timeout_s = None if timeout is None else seconds(timeout, self._timeout_max_s, "timeout")
        if timeout_s == 0:
            raise BadRequest("timeout is more than 0 seconds")
        return CallTarget(lambda_id, quoted_method(segment), timeout_s, flag(target.query, "pretty"))

    def precheck(self, request: Request) -> MeshError | None:
        """Say why a call would be refused whatever its body."""
        if request.head.is_encoded:
            return Unsupported(_ENCODED)
        return None

    def answer(self, request: Request, reply: Reply, target: CallTarget) -> None:
        """Call the lambda, or send it a notification where the caller prefers not to wait.

        Raises:
            MeshError: the call is refused.
        """
        wishes = request.wishes
        request.is_call = True
        request.pretty = target.pretty
        if request.head.is_encoded:
            raise Unsupported(_ENCODED)
        body = request.body or NULL
        if not (request.is_read or is_json(body)):
            raise BadRequest("the body is not JSON (RFC 8259, in UTF-8, at most 512 levels)")
        timeout_s = target.timeout_s
        if timeout_s is None:
            wait_s = wishes.wait_s
            timeout_s = self._call_timeout_s if wait_s is None else min(wait_s, self._timeout_max_s)
        call = Call(target.lambda_id, target.method, body, timeout_s, request.ray, wishes.traceparent, wishes.credit)
        if wishes.respond_async:
            reply.in_flight(self._door.relay.notify(call, _Accepted(reply), monotonic()))
            return
        # From here on the body is the relay's: nobody holds it while the call is in flight.
        request.body = b""
        if wishes.stream is not None and reply.owns_connection:
            self._stream(call, wishes.stream, cast("HttpReply", reply))
        else:
            reply.in_flight(self._relay_call(call, reply, monotonic()))

    def _stream(self, call: Call, form: StreamForm, reply: HttpReply) -> None:
        limits = self._door.limits
        call.credit = limits.stream_credit
        stream = HttpStream(reply, form, self._door.wheel, self._door.clock, limits)
        stream.in_flight(self._relay_call(call, stream, monotonic()))


class _Accepted:
    """Tells the caller of a notification that the provider was given it (``protocol.answer.Answer``)."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def result(self, raw: bytes) -> None:
        """It was."""
        self._reply.respond(202, raw)

    def item(self, raw: bytes) -> None:
        """A notification has none."""

    def fault(self, error: MeshError) -> None:
        """It was not."""
        self._reply.refuse(error)
