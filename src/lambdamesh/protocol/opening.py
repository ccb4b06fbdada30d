"""What a provider is told when its lambda opens."""

from __future__ import annotations

import msgspec


class Opening(msgspec.Struct, frozen=True, gc=False):
    """The lambda of a socket: its id, the key that re-opens it, its grace in seconds, the host name of the node.

    ``pending`` are the numbers of the calls that were sent on another socket and may be answered on this one.
    """

    lambda_id: bytes
    resume_key: bytes = b""
    grace_s: float = 0.0
    node: str = ""
    pending: tuple[int, ...] = ()
