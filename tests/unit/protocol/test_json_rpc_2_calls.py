"""The calls of one lambda in JSON-RPC 2.0: what is sent for each, and what ends it."""

from __future__ import annotations

import json

import msgspec
import pytest

from lambdamesh.errors import BadAnswer, InvalidParams, LambdaError, LambdaLost, MethodNotFound
from lambdamesh.protocol import json_rpc_2
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2 import subject_of
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import Told

ID = b"rhowRuuCUoE5vlcA"
RAY = b"0057be39815282ea-MYH"
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KIB = 1024


class Calls:
    """The calls of a lambda, what was sent for them, and messages of their provider."""

    def __init__(self, *, has_meta: bool = True, is_shared: bool = False) -> None:
        self.sent: list[bytes] = []
        self.counters = SessionCounters()
        quote = (b'"%b.' % ID, b'"') if is_shared else (b"", b"")
        self.calls = LambdaCalls(self.sent.append, self.counters, Bounds(1 << 20, 1024), ID, quote)
        self.calls.has_meta = has_meta

    def call(self, body: bytes = b"1", *, credit: int = 0, traceparent: bytes = b"") -> Told:
        told = Told()
        self.calls.call(Call(ID, b'"test"', body, 59.9989, RAY, traceparent, credit), told)
        return told

    def answer(self, number: int, members: bytes) -> None:
        self.calls.settle(number, json_rpc_2.read(b'{"jsonrpc":"2.0","id":%d,%b}' % (number, members), False))

    def item(self, number: int, raw: bytes, times: int = 1) -> None:
        for _ in range(times):
            self.calls.item(number, msgspec.Raw(raw))

    def heard(self) -> list[bytes]:
        """What was sent since the last time."""
        sent = list(self.sent)
        self.sent.clear()
        return sent


def streaming(credit: int = 16) -> tuple[Calls, Told]:
    """One stream that has been asked for, call 1."""
    calls = Calls()
    told = calls.call(credit=credit)
    calls.heard()
    return calls, told


# -- envelopes --------------------------------------------------------------------------------------------------


def test_a_call_with_all_that_meta_may_say() -> None:
    calls = Calls()
    calls.call(b'{"a": 1.0}', credit=7, traceparent=TRACEPARENT)
    assert calls.heard() == [
        b'{"jsonrpc":"2.0","method":"test","params":[{"a": 1.0}],"id":1,"meta":{"deadline_ms":59998,'
        b'"ray":"0057be39815282ea-MYH","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",'
        b'"lambda":"rhowRuuCUoE5vlcA","stream":true,"credit":7}}'
    ]


def test_a_notification_has_neither_an_id_nor_a_deadline() -> None:
    calls = Calls()
    calls.calls.notify(Call(ID, b'"seen"', b"42", 60.0, RAY, TRACEPARENT))
    calls.calls.notify(Call(ID, b'"seen"', b"42", 60.0, RAY))
    calls.calls.has_meta = False
    calls.calls.notify(Call(ID, b'"seen"', b"42", 60.0, RAY, TRACEPARENT))
    assert calls.heard() == [
        b'{"jsonrpc":"2.0","method":"seen","params":[42],"meta":{"ray":"0057be39815282ea-MYH",'
        b'"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","lambda":"rhowRuuCUoE5vlcA"}}',
        b'{"jsonrpc":"2.0","method":"seen","params":[42],"meta":{"ray":"0057be39815282ea-MYH",'
        b'"lambda":"rhowRuuCUoE5vlcA"}}',
        b'{"jsonrpc":"2.0","method":"seen","params":[42]}',
    ]
    assert not calls.calls.pending
    assert calls.calls.number == 0


def test_on_a_shared_socket_ids_name_the_lambda() -> None:
    calls = Calls(is_shared=True)
    calls.call()
    calls.call(credit=16)
    calls.calls.cancel(1)
    calls.calls.credit(2, 8)
    calls.calls.cancel(2)
    sent = calls.heard()
    assert [json.loads(message).get("id") for message in sent[:2]] == ["rhowRuuCUoE5vlcA.1", "rhowRuuCUoE5vlcA.2"]
    assert sent[2:] == [
        b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"rhowRuuCUoE5vlcA.1"}}',
        b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":"rhowRuuCUoE5vlcA.2","add":8}}',
        b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"rhowRuuCUoE5vlcA.2"}}',
    ]


@pytest.mark.parametrize("timeout_s", [0.0, 0.0004, 3600.0, 1e9])
def test_a_deadline_is_a_whole_number_of_milliseconds(timeout_s: float) -> None:
    calls = Calls()
    calls.calls.call(Call(ID, b'"test"', b"1", timeout_s, RAY), Told())
    (message,) = calls.heard()
    assert json.loads(message)["meta"]["deadline_ms"] == int(timeout_s * 1000)


def test_numbers_go_on_where_they_are_set() -> None:
    calls = Calls()
    calls.calls.number = 41
    calls.call()
    assert json.loads(calls.sent[0])["id"] == 42
    assert tuple(calls.calls.pending) == (42,)


# -- answers ----------------------------------------------------------------------------------------------------

PASSED = pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"12345678901234567890123",
        b"1e999",
        b'{"b":1.00, "a" : 1, "a":2}',
        b'"\\ud800"',
        b'["\\\\ud800","\\ue000","\\ue0000\\ue001","\\udc00"]',
        '"é"'.encode(),
        '"\ue000"'.encode(),
        b"[" * 512 + b"]" * 512,
        b'"' + b"[" * 5000 + b'"',
    ],
    ids=lambda raw: repr(raw[:30]),
)


@PASSED
def test_results_come_back_byte_for_byte(raw: bytes) -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, b'"result":%b' % raw)
    assert told.raw == raw


@PASSED
def test_so_do_items(raw: bytes) -> None:
    calls, told = streaming()
    message = json_rpc_2.read(b'{"method":"$/progress","params":{"token":1,"value":%b}}' % raw, False)
    subject = subject_of(message.params)
    assert subject is not None
    calls.calls.item(1, subject.value)
    assert told.items == [raw]


@PASSED
def test_so_does_what_an_error_says_beside(raw: bytes) -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, b'"error":{"code":-32000,"message":"m","data":%b}' % (raw if raw[:2] != b"[[" else raw[2:-2]))
    error = told.error
    assert isinstance(error, LambdaError)
    assert (error.message, error.rpc_code) == ("m", -32000)
    assert error.data == (raw if raw[:2] != b"[[" else raw[2:-2])


@pytest.mark.parametrize(
    ("error", "kind", "message", "rpc_code"),
    [
        (b'{"code":-32601,"message":"no"}', MethodNotFound, "no", -32601),
        (b'{"code":-32602,"message":"path"}', InvalidParams, "path", -32602),
        (b'{"code":7}', LambdaError, '{"code":7}', 7),
        (b'"boom"', LambdaError, "boom", None),
        (b"false", LambdaError, "false", None),
    ],
)
def test_an_error_beats_a_result(error: bytes, kind: type, message: str, rpc_code: int | None) -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, b'"result":1,"error":%b' % error)
    assert type(told.error) is kind
    assert (told.error.message, told.error.rpc_code, told.error.delivered) == (message, rpc_code, "yes")


@pytest.mark.parametrize("members", [b'"error":null', b'"result":null', b'"more":[1]', b'"error":null,"result":null'])
def test_neither_result_nor_error_is_the_result_null(members: bytes) -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, members)
    assert told.raw == b"null"


@pytest.mark.parametrize("member", [b'"result":%b', b'"error":%b', b'"error":{"data":%b}'])
def test_more_than_512_levels_are_no_answer(member: bytes) -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, member % (b"[" * 513 + b"]" * 513))
    assert isinstance(told.error, BadAnswer)
    assert calls.counters.bad_answers == 1


def test_answers_of_no_call_are_counted() -> None:
    calls = Calls()
    told = calls.call()
    calls.answer(1, b'"result":1')
    for number in (1, 2, -1):
        calls.answer(number, b'"result":2')
    calls.calls.settle(None, json_rpc_2.Message())
    calls.item(1, b"1")
    calls.calls.item(None, msgspec.Raw(b"1"))
    calls.calls.spoil(1)
    calls.calls.spoil(7, is_item=True)
    calls.calls.spoil(None)
    assert told.raw == b"1"
    assert (calls.counters.unknown_answers, calls.counters.bad_answers) == (9, 0)


# -- cancelling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_meta", [False, True])
def test_a_cancelled_call_is_forgotten_and_the_provider_told_where_it_can_be(has_meta: bool) -> None:
    calls = Calls(has_meta=has_meta)
    told = calls.call(credit=16)
    calls.heard()
    calls.calls.cancel(1)
    calls.calls.cancel(1)
    calls.item(1, b"1")
    calls.answer(1, b'"result":1')
    calls.calls.credit(1, 8)
    cancel = b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}'
    assert calls.heard() == [cancel] * has_meta
    assert (told.outcomes, told.items) == (0, [])
    assert calls.counters.unknown_answers == 2


# -- streams ----------------------------------------------------------------------------------------------------


def test_items_come_before_the_result() -> None:
    calls, told = streaming()
    calls.item(1, b"1")
    calls.item(1, b"[2]")
    calls.answer(1, b'"result":null')
    assert (told.items, told.raw) == ([b"1", b"[2]"], b"null")


@pytest.mark.parametrize("has_meta", [False, True])
def test_a_plain_caller_gets_no_items(has_meta: bool) -> None:
    calls = Calls(has_meta=has_meta)
    plain = calls.call()
    stream = calls.call(credit=1)
    calls.item(1, b"1", times=100)
    calls.item(1, b"[" * 513 + b"]" * 513)
    calls.item(1, b'"%b"' % (b"x" * 100 * KIB))
    calls.answer(1, b'"result":5')
    assert (plain.items, plain.raw) == ([], b"5")
    assert stream.outcomes == 0
    assert calls.counters.stream_overruns == 0


def test_credit_lets_more_items_come() -> None:
    calls, told = streaming(credit=1)
    calls.item(1, b"1")
    calls.calls.credit(1, 2)
    calls.item(1, b"2", times=2)
    assert calls.heard() == [b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"add":2}}']
    assert told.items == [b"1", b"2", b"2"]
    assert told.outcomes == 0


def test_an_item_beyond_the_credit_cancels_the_stream() -> None:
    calls, told = streaming(credit=16)
    calls.item(1, b"1", times=17)
    calls.item(1, b"1")
    calls.answer(1, b'"result":1')
    assert len(told.items) == 16
    assert isinstance(told.error, BadAnswer)
    assert "beyond its credit" in told.error.message
    assert calls.heard() == [b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}']
    assert calls.counters.stream_overruns == 1


@pytest.mark.parametrize(("size", "items"), [(64 * KIB, 1), (64 * KIB + 1, 0)])
def test_an_item_is_at_most_64_kib(size: int, items: int) -> None:
    calls, told = streaming()
    calls.item(1, b'"%b"' % (b"x" * (size - 2)))
    assert len(told.items) == items
    if items == 0:
        assert isinstance(told.error, BadAnswer)
        assert "65536 bytes" in told.error.message
        assert calls.heard() == [b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}']


@pytest.mark.parametrize(("levels", "is_good"), [(512, True), (513, False)])
def test_an_item_is_at_most_512_deep(levels: int, is_good: bool) -> None:
    calls, told = streaming()
    calls.item(1, b"[" * levels + b"]" * levels)
    assert len(told.items) == is_good
    assert calls.counters.bad_answers == (not is_good)
    assert len(calls.heard()) == (not is_good)


def test_a_caller_may_go_at_an_item() -> None:
    calls = Calls()

    class Going(Told):
        def item(self, raw: bytes) -> None:
            super().item(raw)
            calls.calls.cancel(1)

    told = Going()
    calls.calls.call(Call(ID, b'"test"', b"1", 60.0, RAY, credit=16), told)
    calls.item(1, b"1", times=2)
    assert told.items == [b"1"]
    assert told.outcomes == 0


# -- ends -------------------------------------------------------------------------------------------------------


def test_the_end_answers_every_open_call_once() -> None:
    calls = Calls()
    tolds = [calls.call(credit=number) for number in range(3)]
    calls.answer(2, b'"result":2')
    calls.calls.end(LambdaLost("gone"))
    calls.calls.end(LambdaLost("gone again"))
    assert [told.outcomes for told in tolds] == [1, 1, 1]
    assert isinstance(tolds[0].error, LambdaLost)
    assert tolds[1].raw == b"2"
    assert not calls.calls.pending


def test_streams_cannot_be_answered_on_another_socket() -> None:
    calls = Calls()
    calls.call()
    stream = calls.call(credit=16)
    calls.call()
    assert calls.calls.keepable() == (1, 3)
    calls.calls.suspend(LambdaLost("gone"))
    assert isinstance(stream.error, LambdaLost)
    assert tuple(calls.calls.pending) == (1, 3)
    assert calls.calls.keepable() == (1, 3)


def test_without_streams_nothing_is_lost_at_once() -> None:
    calls = Calls()
    told = calls.call()
    calls.calls.suspend(LambdaLost("gone"))
    assert told.outcomes == 0


@pytest.mark.parametrize("how", ["end", "suspend"])
def test_a_caller_may_go_while_the_calls_before_its_own_are_ended(how: str) -> None:
    calls, second = Calls(), Told()
    first = Told(then=lambda: calls.calls.cancel(2))
    for told in (first, second):
        calls.calls.call(Call(ID, b'"test"', b"1", 60.0, RAY, credit=16), told)
    getattr(calls.calls, how)(LambdaLost("gone"))
    assert (first.outcomes, second.outcomes) == (1, 0)


def test_calls_that_were_released_are_still_counted_and_end() -> None:
    calls = Calls()
    told = calls.call()
    calls.heard()
    calls.calls.release()
    calls.calls.cancel(7)
    calls.answer(1, b'"result":1')
    calls.call()
    calls.calls.cancel(2)
    assert told.raw == b"1"
    assert not calls.heard()
