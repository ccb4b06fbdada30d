"""One call on its way to a provider."""

from __future__ import annotations

import msgspec


class Call(msgspec.Struct, gc=False):
    """``method`` is a JSON string, ``body`` JSON text, ``timeout_s`` what the call may take from now on.

    ``ray`` and ``traceparent`` (W3C Trace Context; empty: none) name it in traces. ``credit`` is how many items its
    caller takes unasked; 0 where it wants the result only. ``passages`` is how often it has gone from node to node,
    ``at_holder`` whether the last of them said that the lambda is held here.
    """

    lambda_id: bytes
    method: bytes
    body: bytes
    timeout_s: float
    ray: bytes = b""
    traceparent: bytes = b""
    credit: int = 0
    passages: int = 0
    at_holder: bool = False
