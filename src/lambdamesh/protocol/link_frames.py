"""The frames of a link between two workers or two nodes: what stands in them, byte for byte.

A frame is its length (u32, of all that follows it), a kind (u8), a number (u32), and a payload; integers are
big-endian. Which numbers those are depends on the kind: of an exchange, of a transfer, of a ping. Kinds that a reader
does not know are skipped.
"""

from __future__ import annotations

import math
from enum import IntEnum
from struct import Struct

import msgspec

from lambdamesh.errors import LambdaError, MeshError
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.faults import fault
from lambdamesh.protocol.json_text import SurrogatesAside

VERSIONS = (1, 2)
"""The lowest and the highest version of this protocol that is spoken here."""
WORKERS_VERSION = 2
"""The version from which a node may have several workers, each a place of its own."""

PIECE_BYTES = 64 * 1024
"""What is longer goes in pieces of so many bytes, between which others have their turn."""
FRAME_BYTES = PIECE_BYTES + 8 * 1024
"""Longest frame that is sent whole: a piece, and the longest head that may stand before it."""

HEAD = Struct(">IBI")
"""Length of kind, number and payload; kind; number."""
_pack_head = HEAD.pack
HEAD_BYTES = HEAD.size
_UNCOUNTED_BYTES = 4
_COUNTED_BYTES = HEAD_BYTES - _UNCOUNTED_BYTES


class BadFrame(Exception):
    """What was read is no frame of this protocol; the text says why."""


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    """The first frame of each side (``Hello``, as JSON)."""
    GOODBYE = 2
    """The sender begins no more exchanges here (``Goodbye``, as JSON); what is in flight goes on."""
    PING = 3
    """To be answered by a pong of the same number."""
    PONG = 4
    """The answer; payload: how many lambdas the sender holds (u32)."""
    PART = 5
    """A piece of a long frame: its length in all (u32, 0: forget it), the piece. Number: of the transfer."""
    CALL = 16
    """A call (``CALL_HEAD``, then ray, traceparent, method, body). Number: of the exchange, as in all that follow."""
    NOTIFY = 17
    """The same as a notification: answered as soon as it was given to the provider."""
    ADOPT = 18
    """The same, of a call that the provider still holds from another socket under ``number`` of ``CALL_HEAD``."""
    ASK = 19
    """A question between nodes: length of its topic (u8), topic, JSON."""
    TELL = 20
    """The same without an answer."""
    CANCEL = 21
    """Nobody waits for the answer any more."""
    CREDIT = 22
    """So many more items are taken (u32)."""
    RESULT = 32
    """The answer: JSON text."""
    ITEM = 33
    """One value of a stream: JSON text."""
    FAULT = 34
    """The error that ends the exchange (``_Fault``, as JSON)."""


REQUESTS = frozenset((Kind.CALL, Kind.NOTIFY, Kind.ADOPT, Kind.ASK))
"""Kinds that begin an exchange."""
ANSWERS = frozenset((Kind.RESULT, Kind.ITEM, Kind.FAULT))
"""Kinds that come back."""

BEHIND = frozenset(("release",))
"""Topics whose questions go behind all that is on its way, long frames too: no call comes after its lambda left."""

CALL_HEAD = Struct(">BBIQHBBH16s")
"""Passages from node to node; flags; milliseconds left; number of an adopted call; credit; lengths of ray, traceparent
and method; lambda id."""
AT_HOLDER = 1
"""Flag: the home says that the receiver holds the lambda."""
_CALL = Struct(">IBIBBIQHBBH16s")
_pack_call = _CALL.pack
_CALL_COUNTED_BYTES = _CALL.size - _UNCOUNTED_BYTES
_COUNT = Struct(">I")
_ASK_HEAD_BYTES = 1
_MS_MOST = 2**32 - 1
_CREDIT_MOST = 2**16 - 1
_PART_HEAD = Struct(">IBII")


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks: ``machine`` as 8 hex digits, ``address`` as others dial it (``:port``: where this link comes from).

    ``worker`` of ``workers`` is which part of its node it is. ``started_at`` is Unix seconds.
    ``is_kept`` says that the sender dialled and means to keep the link while idle. ``peers`` are the nodes that
    the sender knows.
    """

    versions: tuple[int, int] = VERSIONS
    machine: str
    instance: str
    host: str = ""
    address: str = ""
    version: str = ""
    worker: int = 0
    workers: int = 1
    started_at: float = 0.0
    is_kept: bool = False
    peers: list[PeerHint] = []


class PeerHint(msgspec.Struct, frozen=True, kw_only=True):
    """Another node, by hearsay: the sender has heard it ``age_s`` seconds ago."""

    machine: str
    address: str
    host: str = ""
    instance: str = ""
    version: str = ""
    workers: int = 1
    started_at: float = 0.0
    age_s: float = 0.0


class Goodbye(msgspec.Struct, frozen=True):
    """Why a side ends a link, for people. ``is_refusal`` where there shall be none between the two as they are."""

    why: str
    is_refusal: bool = False


class _Fault(msgspec.Struct, gc=False):
    status: int
    code: str
    error: str
    delivered: str = "unknown"
    rpc_code: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


_decode_fault = msgspec.json.Decoder(_Fault).decode


def frame(kind: int, number: int, payload: bytes = b"") -> bytes:
    """Write one frame."""
    return _pack_head(_COUNTED_BYTES + len(payload), kind, number) + payload


def count_frame(kind: Kind, number: int, count: int) -> bytes:
    """Write a frame whose payload is a u32."""
    return frame(kind, number, _COUNT.pack(min(count, _MS_MOST)))


def read_count(payload: bytes) -> int:
    """Read that u32; 0 where it is not there."""
    return int(_COUNT.unpack_from(payload)[0]) if len(payload) >= _COUNT.size else 0


def call_frame(kind: int, number: int, call: Call, adopted: int = 0) -> bytes:
    """Write a call. The time it has left is rounded up: a deadline is never early."""
    ray, traceparent, method, body = call.ray, call.traceparent, call.method, call.body
    ray_bytes, traceparent_bytes, method_bytes = len(ray), len(traceparent), len(method)
    left_ms = math.ceil(call.timeout_s * 1000)
    head = _pack_call(
        _CALL_COUNTED_BYTES + ray_bytes + traceparent_bytes + method_bytes + len(body),
        kind,
        number,
        call.passages,
        AT_HOLDER if call.at_holder else 0,
        left_ms if left_ms < _MS_MOST else _MS_MOST,
        adopted,
        call.credit if call.credit < _CREDIT_MOST else _CREDIT_MOST,
        ray_bytes,
        traceparent_bytes,
        method_bytes,
        call.lambda_id,
    )
    return b"".join((head, ray, traceparent, method, body))


def read_call(text: bytes, at: int, stop: int) -> tuple[Call, int]:
    """Read the payload of a call and the number of an adopted one. Raises: BadFrame."""
    body_at = at + CALL_HEAD.size
    if body_at > stop:
        raise BadFrame("a call without its head")
    passages, flags, left_ms, adopted, credit, ray, traceparent, method, lambda_id = CALL_HEAD.unpack_from(text, at)
    traceparent_at = body_at + ray
    method_at = traceparent_at + traceparent
    ray_at, body_at = body_at, method_at + method
    if body_at > stop:
        raise BadFrame("a call that is shorter than it says")
    call = Call(
        lambda_id,
        text[method_at:body_at],
        text[body_at:stop],
        left_ms / 1000,
        text[ray_at:traceparent_at],
        text[traceparent_at:method_at],
        credit,
        passages,
        bool(flags & AT_HOLDER),
    )
    return call, adopted


def topic_frame(kind: Kind, number: int, topic: str, body: bytes) -> bytes:
    """Write a question or a word to another node."""
    name = topic.encode()
    return frame(kind, number, b"%c%b%b" % (len(name), name, body))


def read_topic(payload: bytes) -> tuple[str, bytes]:
    """Read topic and JSON of such a frame. Raises: BadFrame."""
    if not payload or _ASK_HEAD_BYTES + payload[0] > len(payload):
        raise BadFrame("a topic that is shorter than it says")
    body_at = _ASK_HEAD_BYTES + payload[0]
    return payload[_ASK_HEAD_BYTES:body_at].decode("utf-8", "replace"), payload[body_at:]


def part_frame(transfer: int, total_bytes: int, piece: bytes | memoryview) -> bytes:
    """Write one piece of a long frame."""
    return _PART_HEAD.pack(_PART_HEAD.size - _UNCOUNTED_BYTES + len(piece), Kind.PART, transfer, total_bytes) + piece


def fault_frame(number: int, error: MeshError) -> bytes:
    """Write the error that ends an exchange."""
    told = _Fault(error.http_status, error.code, error.message, error.delivered, error.rpc_code)
    if error.data is not None:
        told.data = msgspec.Raw(error.data)
    return frame(Kind.FAULT, number, msgspec.json.encode(told))


def read_fault(payload: bytes) -> MeshError:
    """Read such an error; one that is not known here goes by its HTTP status."""
    aside = SurrogatesAside(payload) if b"\\u" in payload else None
    try:
        told = _decode_fault(payload if aside is None else aside.plain)
    except msgspec.MsgspecError:
        return MeshError("another node answered with an error that cannot be read", delivered="unknown")
    delivered = told.delivered if told.delivered in ("no", "yes", "unknown") else "unknown"
    error = fault(told.status, told.code, told.error, delivered)  # type: ignore[arg-type]
    error.rpc_code = told.rpc_code
    if isinstance(error, LambdaError) and bytes(told.data) != b"null":
        error.data = bytes(told.data) if aside is None else aside.restore(bytes(told.data))
    return error
