"""JSON-RPC 1.0 with a caller that asks for routes over one socket (contract: `/connect`).

``{"id":1,"method":"POST /lambda/ID/test","params":[BODY]}`` is answered by ``{"id":1,"result":...,"error":null}`` or by
``{"id":1,"result":null,"error":"error 404: {...}"}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_text import (
    NULL,
    SHALLOW_BYTES,
    SurrogatesAside,
    id_of,
    is_shallow,
    is_utf8,
    lenient,
    mended,
    quoted,
)
from lambdamesh.protocol.session import Bounds, SessionClosed

CODE = "json-rpc"

_ID_BYTES = 16 * 1024
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class _Request(msgspec.Struct, gc=False):
    method: str
    id: msgspec.Raw = msgspec.Raw(NULL)
    params: list[msgspec.Raw] = []


_decode_request = msgspec.json.Decoder(_Request).decode


class CallerSession:
    """One conversation with a caller; ``send`` takes one whole message, ``on_request`` each request."""

    __slots__ = ("_on_request", "_send", "framing")

    code = CODE

    def __init__(self, send: Callable[[bytes], None], on_request: Callable[[Asked], None], bounds: Bounds) -> None:
        self._send = send
        self._on_request = on_request
        self.framing = Framing(bounds)

    def answer(self, request_id: bytes, result: bytes) -> None:
        """Answer a request; ``result`` is JSON text."""
        self._send(b'{"id":%b,"result":%b,"error":null}' % (request_id, result))

    def refuse(self, request_id: bytes, status: int, fields: Mapping[str, object], ray: bytes) -> None:
        """Answer a request with the status and the body that HTTP would have given."""
        message = quoted(f"error {status}: {msgspec.json.encode(fields).decode()}")
        self._send(b'{"id":%b,"result":null,"error":%b}' % (request_id, message))

    def item(self, request_id: bytes, raw: bytes) -> None:
        """This codec has no streams."""

    def release(self) -> None:
        """Hold nothing any more: whoever sends holds this session, and nobody shall hold the other for ever."""
        self._send = _ignore
        self._on_request = _ignore
        self.framing.release()

    def receive(self, message: bytes, utf8_checked: bool) -> None:
        """Take one message, which may hold a request, several, or a part of one.

        Raises:
            SessionClosed: the message cannot be read (4400), or a value is too long or one too many (1009).
        """
        if self.framing.reads_alone(message, utf8_checked):
            try:
                request = _decode_request(message)
            except (msgspec.MsgspecError, RecursionError):
                pass
            else:
                self._on_request(_asked(request, None))
                return
        for value in self.framing.values(message):
            self._on_request(_read(value))


def _read(value: bytes) -> Asked:
    if value.isascii() or is_utf8(value):
        aside = SurrogatesAside(value)
        try:
            request = _decode_request(aside.plain)
        except (msgspec.MsgspecError, RecursionError):
            return _unreadable(value)
        if aside.plain != value:
            request.method = str(lenient(value)["method"])
        return _asked(request, aside)
    return _unreadable(value)


def _asked(request: _Request, aside: SurrogatesAside | None) -> Asked:
    request_id = bytes(request.id)
    body = bytes(request.params[0]) if request.params else NULL
    if aside is not None:
        request_id, body = aside.restore(request_id), aside.restore(body)
    fault = None
    if request_id != NULL and (request_id[0] not in b'"-0123456789' or len(request_id) > _ID_BYTES):
        request_id, fault = NULL, f"an id is a number or a string of at most {_ID_BYTES} bytes"
    elif len(request.params) > 1:
        fault = "params is an array of one: the body"
    elif len(body) > SHALLOW_BYTES and not is_shallow(body):
        fault = "the body is more than 512 levels deep"
    elif _LONE_SURROGATE.search(request.method):
        fault = "the method is not Unicode text"
    return Asked(request_id, request.method, body, fault)


def _unreadable(value: bytes) -> Asked:
    """Say what is wrong to whoever a lenient reader can tell has asked.

    Raises:
        SessionClosed: not even an id can be read.
    """
    try:
        request_id = id_of(mended(value))
    except (msgspec.MsgspecError, RecursionError):
        raise SessionClosed(4400, "a message is not JSON") from None
    if not request_id or request_id[0] not in b'"-0123456789':
        raise SessionClosed(4400, "a message is not a request: method, params and id")
    fault = "the request is not JSON-RPC 1.0: method is a string, params an array, all of it RFC 8259 in UTF-8"
    # One that had to be mended is not what the caller wrote, and cannot be echoed.
    is_as_written = len(request_id) <= _ID_BYTES and request_id in value
    return Asked(request_id if is_as_written else NULL, "", NULL, fault)


def _ignore(*_: object) -> None:
    """Stand in for what is gone."""
