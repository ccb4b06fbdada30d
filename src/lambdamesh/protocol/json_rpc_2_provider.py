"""The codec ``json-rpc-2.0`` with a provider: one lambda on one socket."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambdamesh.protocol import json_rpc_2
from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.json_rpc_2 import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_AN_ID,
    PING,
    PROGRESS,
    Fault,
    Message,
    Unreadable,
    error_answer,
    is_id,
    result_answer,
    subject_of,
)
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.json_text import NULL, mended, number_of
from lambdamesh.protocol.opening import Opening
from lambdamesh.protocol.outcome import ABSENT
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters


class _Opened(msgspec.Struct, gc=False):
    meta: msgspec.Raw = ABSENT
    keep: msgspec.Raw = ABSENT


_decode_opened = msgspec.json.Decoder(_Opened).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_KEEP_BYTES = 16 * 1024
"""What the numbers of all calls of a lambda fit into, many times over."""


class Session(LambdaCalls):
    """One conversation with a provider, from ``open`` to its end; ``on_open`` is called once it has answered that.

    ``keep`` are the numbers of the calls that it still holds from a socket before this one. ``reply`` takes what nobody
    but the provider has asked for: whoever sets it may drop it.
    """

    __slots__ = ("_on_open", "is_open", "keep", "reply")

    code = json_rpc_2.CODE
    framing: Framing | None = None
    """A message is whole, always."""

    def __init__(
        self, send: Callable[[bytes], None], on_open: Callable[[], None], counters: SessionCounters, bounds: Bounds
    ) -> None:
        super().__init__(send, counters, bounds)
        self.reply = send
        self._on_open = on_open
        self.is_open = False
        self.keep: tuple[int, ...] = ()

    def open(self, opening: Opening) -> None:
        """Tell the provider what it has opened."""
        self._lambda_id = opening.lambda_id
        told = {
            "id": opening.lambda_id.decode(),
            "resume_key": opening.resume_key.decode(),
            "grace_s": opening.grace_s,
            "node": opening.node,
            "pending": opening.pending,
        }
        self._send(b'{"jsonrpc":"2.0","method":"open","params":[%b],"id":0}' % msgspec.json.encode(told))

    def drop_unpending(self) -> None:
        """Cancel what the provider said that it still holds and nobody waits for any more."""
        keep, self.keep = self.keep, ()
        for number in keep:
            if number not in self.pending:
                self.recall(number)

    def release(self) -> None:
        """Hold nothing any more."""
        super().release()
        self.reply = _send_nothing
        self._on_open = _ignore

    def receive(self, text: bytes, utf8_checked: bool) -> None:
        """Take one message.

        Raises:
            SessionClosed: it cannot be read, not even whom it answers (4400).
        """
        try:
            message = json_rpc_2.read(text, utf8_checked)
        except Unreadable as unreadable:
            self._spoiled(unreadable)
            return
        if message.method is None:
            request_id = bytes(message.id)
            number = number_of(request_id)
            if number == 0 and not self.is_open:
                self._opened(message)
            elif request_id not in (b"", NULL):
                self.settle(number, message)
        elif message.method == PROGRESS:
            subject = subject_of(message.params)
            if subject is not None:
                self.item(number_of(bytes(subject.token)), subject.value)
        elif message.id is not ABSENT:
            self._asked(message.method, bytes(message.id))

    def _asked(self, method: str, request_id: bytes) -> None:
        if not is_id(request_id):
            self.reply(error_answer(NULL, INVALID_REQUEST, NOT_AN_ID))
        elif method == PING:
            self.reply(result_answer(request_id, NULL))
        else:
            self.reply(error_answer(request_id, METHOD_NOT_FOUND, "a provider may ask for $/ping, and nothing else"))

    def _opened(self, message: Message) -> None:
        if bytes(message.error) not in (b"", NULL):
            raise SessionClosed(4400, "open was answered with an error")
        try:
            opened = _decode_opened(mended(bytes(message.result)))
        except (msgspec.MsgspecError, RecursionError):
            opened = _Opened()
        self.has_meta = bytes(opened.meta) == b"true"
        self.keep = _whole_numbers(opened.keep)
        self.is_open = True
        self._on_open()

    def _spoiled(self, unreadable: Unreadable) -> None:
        """End the one call that something unreadable was for, if a lenient reader can tell which that is."""
        if unreadable.fault is Fault.NOT_ONE:
            self.reply(error_answer(NULL, INVALID_REQUEST, unreadable.fault.value))
            return
        if not unreadable.is_object:
            raise SessionClosed(4400, "a message is not a JSON object")
        if unreadable.subject not in (b"", NULL) and (unreadable.is_item or unreadable.is_answer):
            self.spoil(number_of(unreadable.subject), is_item=unreadable.is_item)


def _whole_numbers(raw: msgspec.Raw) -> tuple[int, ...]:
    """Read an array of whole numbers and pass over what is none; more than a lambda can have calls are none at all."""
    text = bytes(raw)
    if len(text) > _KEEP_BYTES:
        return ()
    try:
        numbers = _decode_list(text)
    except msgspec.MsgspecError:
        return ()
    return tuple(number for number in (number_of(bytes(one)) for one in numbers) if number is not None)


def _send_nothing(_message: bytes) -> None:
    """Stand in for what is gone."""


def _ignore() -> None:
    """Stand in for what is gone."""
