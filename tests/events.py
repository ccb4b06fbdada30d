"""A reader of ``/events``: server-sent events over a raw connection."""

from __future__ import annotations

import json
from typing import Any

from tests.wire import Address, Closing, Headers, RawHttp, WireError, request, sound


class EventStream(Closing):
    """An open event stream. Comments are counted and skipped."""

    def __init__(self, address: Address, target: str = "/events", headers: Headers = ()) -> None:
        self.http = RawHttp(address)
        self.comments = 0
        self._text = b""
        try:
            self.http.send(request("GET", target, headers=[("Accept", "text/event-stream"), *headers]))
            self.head = sound(self.http.head())
            if self.head.status != 200:
                raise WireError(f"no event stream but {self.head}")
            self._chunked = self.head.header("Transfer-Encoding") is not None
        except BaseException:
            self.http.close()
            raise

    def close(self) -> None:
        """End the connection in the ordinary way (FIN)."""
        self.http.close()

    def block(self) -> list[bytes]:
        """The lines of the next block, which an empty line ends."""
        while b"\n\n" not in self._text:
            data = self.http.chunk() if self._chunked else self.http.some()
            if not data:
                raise WireError("the stream ended")
            self._text += data.replace(b"\r\n", b"\n")
        block, _, self._text = self._text.partition(b"\n\n")
        return block.split(b"\n")

    def next_event(self) -> tuple[str, Any]:
        """The next event: its name and its data."""
        while True:
            fields = dict(line.split(b": ", 1) for line in self.block() if not line.startswith(b":"))
            if fields:
                return fields[b"event"].decode(), json.loads(fields[b"data"])
            self.comments += 1

    def of(self, lambda_id: str) -> tuple[str, Any]:
        """The next event of one lambda; those of others are skipped."""
        while (event := self.next_event())[1]["id"] != lambda_id:
            pass
        return event

    def comment(self) -> bytes:
        """The next comment. Raises: WireError if an event comes first."""
        (line,) = self.block()
        if not line.startswith(b":"):
            raise WireError(f"no comment but {line!r}")
        return line
