"""What can go wrong, whose fault it was, whether the call was delivered, and how each transport says so.

One class an outcome. The tables of the documentation are generated from these classes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Delivered = Literal["no", "yes", "unknown"]


class MeshError(Exception):
    """Root of every error that a caller or a provider can be told.

    ``code`` is the word of the wire, ``http_status`` and ``close_code`` how HTTP and WebSocket say it,
    ``delivered`` whether the provider was given the call (meaningful on calls only), ``retryable`` whether
    the same request may succeed later. ``retry_after_s`` is a whole number of seconds or ``None``.
    """

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    close_code: ClassVar[int] = 1011
    retryable: ClassVar[bool] = False
    retry_after_s: ClassVar[int | None] = None
    delivered: Delivered = "no"
    ray: str | None = None
    """The trace id of the request, where a client was told it."""
    rpc_code: int | None = None
    data: Any = None

    def __init__(self, message: str, *, delivered: Delivered | None = None) -> None:
        super().__init__(message)
        self.message = message
        if delivered is not None:
            self.delivered = delivered

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Header fields that an HTTP answer carries beside the body."""
        if self.retry_after_s is None:
            return ()
        return ((b"Retry-After", b"%d" % self.retry_after_s),)


class LambdaError(MeshError):
    """The provider answered with an error. ``rpc_code`` is its number or ``None``.

    ``data`` is what it said beside: in a node JSON text, in a client any value that JSON can carry; or ``None``.
    """

    code = "lambda_error"
    http_status = 400
    close_code = 4400
    delivered: Delivered = "yes"

    def __init__(self, message: str, *, rpc_code: int | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.data = data


class MethodNotFound(LambdaError):
    """The provider has no such method (JSON-RPC -32601)."""

    code = "method_not_found"


class InvalidParams(LambdaError):
    """The provider does not take such a body (JSON-RPC -32602)."""

    code = "invalid_params"


class BadRequest(MeshError):
    """The request breaks the rules: not JSON, a bad id, a bad method, a bad header."""

    code = "bad_request"
    http_status = 400
    close_code = 4400


class RequestTimeout(MeshError):
    """The request did not arrive in time."""

    code = "request_timeout"
    http_status = 408
    close_code = 4408
    retryable = True


class Unauthorized(MeshError):
    """The door wants its token."""

    code = "unauthorized"
    http_status = 401
    close_code = 4403

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"WWW-Authenticate", b"Bearer"),)


class Forbidden(MeshError):
    """The door, the host, the origin or the key does not allow it."""

    code = "forbidden"
    http_status = 403
    close_code = 4403


class NotFound(MeshError):
    """There is no such route."""

    code = "not_found"
    http_status = 404
    close_code = 4404


class LambdaNotFound(MeshError):
    """The lambda's home does not know it, or there is no such machine."""

    code = "lambda_not_found"
    http_status = 404
    close_code = 4404


class MethodNotAllowed(MeshError):
    """The route does not take this verb; ``allow`` lists those it takes."""

    code = "method_not_allowed"
    http_status = 405
    close_code = 4400

    def __init__(self, allow: str) -> None:
        super().__init__(f"this route takes {allow}")
        self.allow = allow

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Allow", self.allow.encode()),)


class LambdaGone(MeshError):
    """The lambda was here and has closed."""

    code = "lambda_gone"
    http_status = 410
    close_code = 4410


class TooLarge(MeshError):
    """The body or the message is over its limit."""

    code = "too_large"
    http_status = 413
    close_code = 1009


class HeadTooLarge(MeshError):
    """The head of the request is over its limit."""

    code = "too_large"
    http_status = 431
    close_code = 1009


class Unsupported(MeshError):
    """The body has a Content-Encoding; only plain JSON is taken."""

    code = "unsupported"
    http_status = 415
    close_code = 4400


class UpgradeRequired(MeshError):
    """The route is a WebSocket and wants RFC 6455's handshake, version 13."""

    code = "upgrade_required"
    http_status = 426
    close_code = 4400

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Sec-WebSocket-Version", b"13"), (b"Upgrade", b"websocket"))


class CallerOverloaded(MeshError):
    """The caller has as many calls in flight as one caller may."""

    code = "overloaded"
    http_status = 429
    close_code = 4429
    retryable = True
    retry_after_s = 1


class Overloaded(MeshError):
    """The lambda or the node has as much to do as it may."""

    code = "overloaded"
    http_status = 503
    close_code = 4429
    retryable = True
    retry_after_s = 1


class Draining(MeshError):
    """The node is going down and takes nothing new."""

    code = "draining"
    http_status = 503
    close_code = 4503
    retryable = True
    retry_after_s = 1


class Recovering(MeshError):
    """The node has just started; the lambda may be on its way back."""

    code = "recovering"
    http_status = 503
    close_code = 4503
    retryable = True
    retry_after_s = 1


class LambdaLost(MeshError):
    """The provider's socket or the link died before the answer came."""

    code = "lambda_lost"
    http_status = 502
    close_code = 4503
    delivered: Delivered = "unknown"


class PeerUnreachable(MeshError):
    """The lambda's node cannot be reached, which does not mean that the lambda is gone."""

    code = "peer_unreachable"
    http_status = 502
    close_code = 4503
    retryable = True


class BadAnswer(MeshError):
    """The provider's answer was not JSON."""

    code = "bad_answer"
    http_status = 502
    close_code = 4400
    delivered: Delivered = "yes"


class CallTimeout(MeshError):
    """The deadline passed before the answer came."""

    code = "timeout"
    http_status = 504
    close_code = 4408
    delivered: Delivered = "unknown"


class Loop(MeshError):
    """The call passed from node to node more than three times."""

    code = "loop"
    http_status = 508
    close_code = 4400


CLOSE_CODES: dict[int, str] = {
    1000: "closed by the provider for good",
    1001: "going away; a lambda with a grace may come back",
    1002: "protocol error",
    1007: "a text message that is not UTF-8",
    1009: "message over the limit",
    1011: "internal error; reconnect",
    4400: "bad message",
    4401: "ticket; final for that ticket",
    4403: "forbidden",
    4404: "no such id",
    4408: "timeout; reconnect",
    4409: "superseded by a newer socket",
    4410: "deleted",
    4429: "rate; reconnect later",
    4503: "draining, or home out of reach; reconnect",
}
"""Close codes that a node sends, and what the other side should make of it (4400-4499 are final but for 4408, 4429)."""
