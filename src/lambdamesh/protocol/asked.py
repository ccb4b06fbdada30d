"""One request of a caller's socket, whatever the codec."""

from __future__ import annotations

import msgspec

from lambdamesh.protocol.json_text import NULL


class Asked(msgspec.Struct, gc=False):
    """One request: ``id`` as the caller wrote it (``null`` for a notification), ``body`` JSON text.

    ``fault`` says what is wrong with a request whose id could be read, else it is ``None``. ``timeout_s`` is what a
    call may take (``None``: the node's own), ``credit`` how many items of a stream are taken unasked (0: no stream is
    wanted), ``traceparent`` empty where there is none.
    """

    id: bytes
    method: str
    body: bytes
    fault: str | None = None
    timeout_s: float | None = None
    credit: int = 0
    traceparent: bytes = b""

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.id == NULL
