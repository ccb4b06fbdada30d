"""How a stream is written over HTTP: a table from ``Accept`` to the words of the format (contract: streams)."""

from __future__ import annotations

import msgspec

_NO_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class StreamForm(msgspec.Struct, frozen=True, gc=False):
    """One format. ``item``, ``result`` and ``error`` have a place for JSON text; ``ping`` keeps the connection open."""

    content_type: bytes
    item: bytes
    result: bytes
    error: bytes
    ping: bytes

    def write(self, form: bytes, raw: bytes) -> bytes:
        """Write JSON text into ``form``, on one line: outside of strings a line end is white space."""
        return form % raw.translate(_NO_LINE_ENDS)


FORMS: dict[bytes, StreamForm] = {
    b"text/event-stream": StreamForm(
        content_type=b"text/event-stream; charset=utf-8",
        item=b"data: %b\n\n",
        result=b"event: result\ndata: %b\n\n",
        error=b"event: error\ndata: %b\n\n",
        ping=b": ping\n\n",
    ),
    b"application/x-ndjson": StreamForm(
        content_type=b"application/x-ndjson; charset=utf-8",
        item=b'{"item":%b}\n',
        result=b'{"result":%b}\n',
        error=b"%b\n",
        ping=b"",
    ),
}
"""By the one value of ``Accept`` that asks for it. An error is the object that would have been the body."""
