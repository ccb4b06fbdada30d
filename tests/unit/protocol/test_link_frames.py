"""The frames of a link, byte for byte, and how what is no frame is read."""

from __future__ import annotations

import msgspec
import pytest

from lambdamesh import errors
from lambdamesh.errors import LambdaError, MeshError, MethodNotFound, Overloaded
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link_frames import (
    FRAME_BYTES,
    HEAD_BYTES,
    PIECE_BYTES,
    BadFrame,
    Goodbye,
    Hello,
    Kind,
    PeerHint,
    call_frame,
    count_frame,
    fault_frame,
    frame,
    part_frame,
    read_call,
    read_count,
    read_fault,
    read_topic,
    topic_frame,
)
from tests.unit.protocol.linked import ID

CALL = Call(
    lambda_id=ID,
    method=b'"test"',
    body=b'{"hello":"world"}',
    timeout_s=60.0,
    ray=b"0057be39815282ea-MYH",
    traceparent=b"00-4bf9",
    credit=16,
    passages=2,
    at_holder=True,
)
CALL_PAYLOAD = (
    bytes.fromhex("02 01 0000ea60 0000000000000000 0010 14 07 0006")
    + ID
    + b'0057be39815282ea-MYH00-4bf9"test"{"hello":"world"}'
)
PLAIN_PAYLOAD = bytes.fromhex("00 00 00000001 0000000000000009 0000 00 00 0006") + ID + b'"test"'
PLAIN = Call(ID, b'"test"', b"", 0.0001)

HELLO = (
    b'{"versions":[1,2],"machine":"46301aae","instance":"i","host":"h","address":":7631","version":"0.1","worker":0,'
    b'"workers":1,'
    b'"started_at":5.5,"is_kept":true,"peers":[{"machine":"00000001","address":"a:1","host":"","instance":"",'
    b'"version":"","workers":1,"started_at":0.0,"age_s":2.0}]}'
)
GOLDEN = {
    "hello": (
        frame(
            Kind.HELLO,
            0,
            msgspec.json.encode(
                Hello(
                    machine="46301aae",
                    instance="i",
                    host="h",
                    address=":7631",
                    version="0.1",
                    started_at=5.5,
                    is_kept=True,
                    peers=[PeerHint(machine="00000001", address="a:1", age_s=2.0)],
                )
            ),
        ),
        (5 + len(HELLO)).to_bytes(4, "big") + bytes.fromhex("01 00000000") + HELLO,
    ),
    "goodbye": (
        frame(Kind.GOODBYE, 0, msgspec.json.encode(Goodbye("x", True))),
        bytes.fromhex("00000022 02 00000000") + b'{"why":"x","is_refusal":true}',
    ),
    "ping": (frame(Kind.PING, 7), bytes.fromhex("00000005 03 00000007")),
    "pong": (count_frame(Kind.PONG, 7, 300), bytes.fromhex("00000009 04 00000007 0000012c")),
    "part": (part_frame(9, 0x20000, b"abc"), bytes.fromhex("0000000c 05 00000009 00020000") + b"abc"),
    "part forgotten": (part_frame(9, 0, b""), bytes.fromhex("00000009 05 00000009 00000000")),
    "cancel": (frame(Kind.CANCEL, 0xFFFFFFFF), bytes.fromhex("00000005 15 ffffffff")),
    "credit": (count_frame(Kind.CREDIT, 2, 4), bytes.fromhex("00000009 16 00000002 00000004")),
    "ask": (topic_frame(Kind.ASK, 3, "show", b"{}"), bytes.fromhex("0000000c 13 00000003 04") + b"show{}"),
    "tell": (topic_frame(Kind.TELL, 0, "left", b"1"), bytes.fromhex("0000000b 14 00000000 04") + b"left1"),
    "result": (frame(Kind.RESULT, 2, b"null"), bytes.fromhex("00000009 20 00000002") + b"null"),
    "item": (frame(Kind.ITEM, 2, b"1"), bytes.fromhex("00000006 21 00000002") + b"1"),
}


def with_head(kind: str, number: str, payload: bytes) -> bytes:
    return (5 + len(payload)).to_bytes(4, "big") + bytes.fromhex(kind + number) + payload


@pytest.mark.parametrize("name", GOLDEN)
def test_a_frame_is_these_bytes(name: str) -> None:
    written, golden = GOLDEN[name]
    assert written == golden


@pytest.mark.parametrize(
    ("written", "golden"),
    [
        (call_frame(Kind.CALL, 1, CALL), with_head("10", "00000001", CALL_PAYLOAD)),
        (call_frame(Kind.NOTIFY, 2, CALL), with_head("11", "00000002", CALL_PAYLOAD)),
        (call_frame(Kind.ADOPT, 3, PLAIN, 9), with_head("12", "00000003", PLAIN_PAYLOAD)),
        (
            fault_frame(4, Overloaded("full")),
            with_head(
                "22",
                "00000004",
                b'{"status":503,"code":"overloaded","error":"full","delivered":"no","rpc_code":null,"data":null}',
            ),
        ),
        (
            fault_frame(5, MethodNotFound("no", rpc_code=-32601, data=b'{"a": 1}')),
            with_head(
                "22",
                "00000005",
                b'{"status":400,"code":"method_not_found","error":"no","delivered":"yes","rpc_code":-32601,"data":{"a": 1}}',
            ),
        ),
    ],
    ids=["call", "notify", "adopt", "fault", "fault with data"],
)
def test_a_frame_of_an_exchange_is_these_bytes(written: bytes, golden: bytes) -> None:
    assert written == golden


def test_each_kind_has_its_number_for_ever() -> None:
    assert {kind.name: int(kind) for kind in Kind} == {
        "HELLO": 1, "GOODBYE": 2, "PING": 3, "PONG": 4, "PART": 5, "CALL": 16, "NOTIFY": 17, "ADOPT": 18, "ASK": 19,
        "TELL": 20, "CANCEL": 21, "CREDIT": 22, "RESULT": 32, "ITEM": 33, "FAULT": 34,
    }  # fmt: skip


def test_a_piece_and_its_head_fit_into_the_longest_frame() -> None:
    assert len(part_frame(1, 2**32 - 1, b"x" * PIECE_BYTES)) <= FRAME_BYTES
    assert PIECE_BYTES == 65_536


def test_a_call_is_read_as_it_was_written() -> None:
    text = b"before" + CALL_PAYLOAD + b"behind"
    call, adopted = read_call(text, 6, 6 + len(CALL_PAYLOAD))
    assert call == CALL
    assert adopted == 0
    call, adopted = read_call(PLAIN_PAYLOAD, 0, len(PLAIN_PAYLOAD))
    assert (call.body, call.timeout_s, call.at_holder, adopted) == (b"", 0.001, False, 9)


@pytest.mark.parametrize("cut", range(35))
def test_a_call_without_all_of_its_head_is_none(cut: int) -> None:
    with pytest.raises(BadFrame, match="head"):
        read_call(CALL_PAYLOAD[:cut], 0, cut)


@pytest.mark.parametrize("cut", [36, 55, 62, 68])
def test_a_call_that_is_shorter_than_it_says_is_none(cut: int) -> None:
    with pytest.raises(BadFrame, match="shorter"):
        read_call(CALL_PAYLOAD, 0, cut)


@pytest.mark.parametrize("timeout_s", [0.0, 0.0001, 0.001, 0.0011, 1.0, 1.001, 2.3, 4.035, 59.9999, 3600.0, 1e12])
def test_a_deadline_is_never_early(timeout_s: float) -> None:
    text = call_frame(Kind.CALL, 1, Call(ID, b'"test"', b"", timeout_s))
    left_s = read_call(text, HEAD_BYTES, len(text))[0].timeout_s
    assert left_s >= min(timeout_s, (2**32 - 1) / 1000)
    assert left_s < timeout_s + 0.001 or timeout_s == 0.0


@pytest.mark.parametrize(("credit", "told"), [(0, 0), (65_534, 65_534), (65_535, 65_535), (65_536, 65_535)])
def test_credit_has_a_bound(credit: int, told: int) -> None:
    text = call_frame(Kind.CALL, 1, Call(ID, b'"test"', b"", 1.0, credit=credit))
    assert read_call(text, HEAD_BYTES, len(text))[0].credit == told


@pytest.mark.parametrize(("payload", "count"), [(b"", 0), (b"\0\0\1", 0), (b"\0\0\1\0", 256), (b"\0\0\0\5more", 5)])
def test_a_count_that_is_not_there_is_none(payload: bytes, count: int) -> None:
    assert read_count(payload) == count


def test_a_count_has_a_bound() -> None:
    assert count_frame(Kind.PONG, 1, 2**40)[-4:] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("payload", [b"", b"\1", b"\5show"])
def test_a_topic_that_is_shorter_than_it_says_is_none(payload: bytes) -> None:
    with pytest.raises(BadFrame, match="topic"):
        read_topic(payload)


def test_a_topic_is_read_as_it_was_written() -> None:
    assert read_topic(topic_frame(Kind.ASK, 1, "wer-ist-ä", b'{"a":1}')[HEAD_BYTES:]) == ("wer-ist-ä", b'{"a":1}')
    assert read_topic(b"\0") == ("", b"")
    assert read_topic(b"\2\xff\xfe{}")[1] == b"{}"


# -- errors ------------------------------------------------------------------------------------------------------

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeshError)]


def an_error(kind: type[MeshError]) -> MeshError:
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed("GET, HEAD")
    return kind("what went wrong, \U0001f600 and how to mend it")


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_of_every_class_survives_the_passage(kind: type[MeshError]) -> None:
    error = an_error(kind)
    told = read_fault(fault_frame(1, error)[HEAD_BYTES:])
    assert type(told) is kind
    assert (told.message, told.delivered, told.headers) == (error.message, error.delivered, error.headers)
    assert (told.rpc_code, told.data) == (None, None)
    assert str(told) == str(error)


@pytest.mark.parametrize("delivered", ["no", "yes", "unknown"])
def test_what_became_of_the_call_survives_the_passage(delivered: str) -> None:
    error = Overloaded("full", delivered=delivered)  # type: ignore[arg-type]
    assert read_fault(fault_frame(1, error)[HEAD_BYTES:]).delivered == delivered


@pytest.mark.parametrize(
    "data",
    [
        b'{"a" : 1.0}',
        b"0",
        b'""',
        b"false",
        b"[" * 500 + b"]" * 500,
        rb'"\ud800\u0041"',
        rb'["\ud83d\ude00", "\udfff\\u"]',
    ],
)
def test_what_a_provider_said_of_its_error_passes_byte_for_byte(data: bytes) -> None:
    told = read_fault(fault_frame(1, LambdaError("boom", rpc_code=-5, data=data))[HEAD_BYTES:])
    assert (type(told), told.message, told.rpc_code, told.data) == (LambdaError, "boom", -5, data)


@pytest.mark.parametrize(
    ("payload", "code", "status"),
    [
        (b'{"status":418,"code":"teapot","error":"x"}', "internal_error", 500),
        (b'{"status":503,"code":"of the future","error":"x"}', "overloaded", 503),
        (b'{"status":404,"code":"of the future","error":"x"}', "not_found", 404),
        (b'{"status":400,"code":"of the future","error":"x"}', "bad_request", 400),
        (b'{"status":1,"code":"lambda_gone","error":"x","more":1}', "lambda_gone", 410),
    ],
)
def test_an_error_that_is_not_known_goes_by_its_status(payload: bytes, code: str, status: int) -> None:
    told = read_fault(payload)
    assert (told.code, told.http_status, told.message, told.delivered) == (code, status, "x", "unknown")


@pytest.mark.parametrize("payload", [b"", b"nonsense", b"[]", b'{"status":503}', b'{"status":"a","code":1,"error":2}'])
def test_an_error_that_cannot_be_read_is_one_all_the_same(payload: bytes) -> None:
    told = read_fault(payload)
    assert (told.http_status, told.delivered) == (500, "unknown")


def test_a_delivery_that_is_no_word_of_ours_is_unknown() -> None:
    payload = b'{"status":503,"code":"overloaded","error":"x","delivered":"perhaps"}'
    assert read_fault(payload).delivered == "unknown"
