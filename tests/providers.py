"""Providers of the JSON-RPC 1.0 codec: one whose calls the test answers by hand, one that answers by itself."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.websocket import BINARY, Closed, WebSocket
from tests.wire import HOST, Address, Closing, Headers, WireError

_ENVELOPE = re.compile(rb'\{"method":("(?:[^"\\]|\\.)*"),"params":\[(.*)\],"id":([0-9]+|null)\}', re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9_-]{16}")

Function = Callable[[str, bytes], bytes]
"""From method and body to result, as bytes of JSON."""


@dataclass(frozen=True)
class Call:
    """One message of the node, taken apart but not decoded; ``number`` is ``None`` for a notification."""

    method: str
    body: bytes
    number: int | None
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Call:
        """Raises: WireError where the envelope is not exactly the reference's."""
        found = _ENVELOPE.fullmatch(raw)
        if not found:
            raise WireError(f"not an envelope of the reference: {raw[:200]!r}")
        number = None if found[3] == b"null" else int(found[3])
        return cls(json.loads(found[1]), found[2], number, raw)


class Provider(Closing):
    """An open lambda whose calls the test takes and answers. ``held`` is for a call that is answered later."""

    held: Call | None = None

    def __init__(
        self,
        address: Address,
        target: str = "/lambda/new",
        *,
        headers: Headers = (),
        host: str = HOST,
        subprotocols: tuple[str, ...] = (),
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self.ws = WebSocket.open(
            address,
            target,
            headers=headers,
            host=host,
            subprotocols=subprotocols,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        try:
            self.id = self._opened()
        except BaseException:
            self.ws.http.close()
            raise

    def _opened(self) -> str:
        call = self.next_call()
        lambda_id = json.loads(call.body)
        if call.method != "open" or call.number != 0 or not _ID.fullmatch(lambda_id):
            raise WireError(f"not an open: {call}")
        return str(lambda_id)

    @property
    def key(self) -> str:
        """The resume key of the handshake."""
        value = self.ws.handshake.header("Lambda-Resume-Key")
        assert value is not None, self.ws.handshake
        return value

    def accept(self) -> Self:
        """Answer ``open``, and know that the node has read it: it answers a ping behind it."""
        self.ws.send(b'{"id":0,"result":"ok"}')
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the node has read all that was sent. Raises: WireError if a message comes meanwhile."""
        self.ws.send_frame(9, b"settle")
        assert self.ws.pong() == b"settle"

    def next_call(self) -> Call:
        return Call.parse(self.ws.message())

    def answer(self, call: Call, result: bytes = b'"ok"') -> None:
        assert call.number is not None
        self.ws.send(b'{"id":%d,"result":%b}' % (call.number, result))

    def answer_binary(self, call: Call, raw: bytes) -> None:
        """Answer in a binary frame, with anything."""
        assert call.number is not None
        self.ws.send_frame(BINARY, b'{"id":%d,"result":%b}' % (call.number, raw))

    def fail(self, call: Call, error: bytes) -> None:
        assert call.number is not None
        self.ws.send(b'{"id":%d,"error":%b}' % (call.number, error))

    def close(self) -> None:
        self.ws.http.close()


class Answering(Provider):
    """A lambda that answers by itself, from a thread; ``calls`` are those that came."""

    def __init__(
        self, address: Address, function: Function, target: str = "/lambda/new", *, headers: Headers = ()
    ) -> None:
        super().__init__(address, target, headers=headers)
        self.function = function
        self.calls: list[Call] = []
        self.accept()
        self.ws.http.socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                call = self.next_call()
                self.calls.append(call)
                if call.number is not None:
                    self.answer(call, self.function(call.method, call.body))
        except (Closed, WireError, OSError):
            self.ws.http.close()

    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def close(self) -> None:
        """Leave with a close frame; the node ends the connection and with it the thread."""
        with contextlib.suppress(OSError):
            self.ws.send_close(1000)
        self._thread.join(5.0)
        super().close()


def echo(method: str, body: bytes) -> bytes:
    """The body as it came."""
    return body


def wrap(method: str, body: bytes) -> bytes:
    """What the reference's example does."""
    return b'{"echo":%b}' % body
