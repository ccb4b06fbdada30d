"""The codec json-rpc with a provider: JSON-RPC 1.0, bodies and results as bytes."""

from __future__ import annotations

import json

import pytest

from lambdamesh.errors import BadAnswer, InvalidParams, LambdaError, LambdaLost, MethodNotFound
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.opening import Opening
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters
from tests.unit.fakes import Told


class Talk:
    """A session, what it sent, and how often it opened."""

    def __init__(self, *, is_open: bool = True, limit_bytes: int = 1 << 20) -> None:
        self.sent: list[bytes] = []
        self.opened = 0
        self.counters = SessionCounters()
        self.session = Session(self.sent.append, self._on_open, self.counters, Bounds(limit_bytes, 1024))
        if is_open:
            self.receive(b'{"id":0,"result":"ok"}')

    def _on_open(self) -> None:
        self.opened += 1

    def call(self, body: bytes = b"1") -> Told:
        told = Told()
        self.session.call(Call(b"", b'"test"', body, 60.0), told)
        return told

    def receive(self, *messages: bytes) -> None:
        for message in messages:
            self.session.receive(message, False)


def outcome_of(message: bytes) -> Told:
    """How the one open call, number 1, ends by ``message``."""
    talk = Talk()
    told = talk.call()
    talk.receive(message)
    return told


def lambda_error_of(message: bytes) -> LambdaError:
    error = outcome_of(message).error
    assert isinstance(error, LambdaError)
    return error


def test_the_exchange_of_the_reference() -> None:
    talk = Talk(is_open=False)
    talk.session.open(Opening(b"rhowRuuCUoE5vlcA"))
    talk.receive(b'{"id":0,"result":"ok"}')
    told = talk.call(b'{"hello":"world"}')
    talk.receive(b'{"id":1,"result":{"echo":{"hello":"world"}}}')
    assert talk.sent == [
        b'{"method":"open","params":["rhowRuuCUoE5vlcA"],"id":0}',
        b'{"method":"test","params":[{"hello":"world"}],"id":1}',
    ]
    assert told.raw == b'{"echo":{"hello":"world"}}'


@pytest.mark.parametrize("answer", [b'{"id":0,"result":"ok"}', b'{"id":0}', b'{"error":null,"id":0,"result":[1]}'])
def test_any_answer_to_open_opens_once(answer: bytes) -> None:
    talk = Talk(is_open=False)
    talk.receive(answer, answer)
    assert talk.opened == 1
    assert talk.counters.unknown_answers == 1


@pytest.mark.parametrize("message", [b'{"id":1,"result":"ok"}', b'{"id":null}', b'{"method":"x","params":[],"id":0}'])
def test_nothing_else_opens(message: bytes) -> None:
    talk = Talk(is_open=False)
    talk.receive(message)
    assert talk.opened == 0


def test_a_provider_that_refuses_to_open() -> None:
    talk = Talk(is_open=False)
    with pytest.raises(SessionClosed) as closed:
        talk.receive(b'{"id":0,"error":"no"}')
    assert closed.value.close_code == 4400
    assert talk.opened == 0


def test_calls_are_numbered_from_1_and_answered_in_any_order() -> None:
    talk = Talk()
    tolds = [talk.call() for _ in range(3)]
    talk.receive(b'{"id":3,"result":"c"}', b'{"id":1,"result":"a"}{"id":2,"result":"b"}')
    assert [told.raw for told in tolds] == [b'"a"', b'"b"', b'"c"']
    assert [json.loads(message)["id"] for message in talk.sent] == [1, 2, 3]


def test_numbers_go_on_where_they_are_set() -> None:
    talk = Talk()
    talk.session.number = 41
    assert talk.session.call(Call(b"", b'"test"', b"1", 60.0), Told()) == 42


def test_a_notification_has_no_id() -> None:
    talk = Talk()
    talk.session.notify(Call(b"", b'"seen"', b"42", 60.0))
    assert talk.sent == [b'{"method":"seen","params":[42],"id":null}']
    assert not talk.session.pending


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"12345678901234567890123",
        b"1e999",
        b'{"b":1.00, "a" : 1, "a":2}',
        b'"\\ud800"',
        b'["\\\\ud800","\\ue000","\\ue0000\\ue001","\\udc00"]',
        '"é"'.encode(),
        b"[" * 512 + b"]" * 512,
        b'"' + b"[" * 5000 + b'"',
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_results_come_back_byte_for_byte(raw: bytes) -> None:
    assert outcome_of(b'{"id":1,"result":%b,"error":null}' % raw).raw == raw
    assert outcome_of(b' {"id":1 ,"result":%b}{"id":7}' % raw).raw == raw


@pytest.mark.parametrize("message", [b'{"id":1}', b'{"id":1,"error":null}', b'{"id":1,"result":null,"more":[1]}'])
def test_neither_result_nor_error_is_the_result_null(message: bytes) -> None:
    assert outcome_of(message).raw == b"null"


@pytest.mark.parametrize(
    ("error", "message", "rpc_code", "data"),
    [
        (b'"boom"', "boom", None, None),
        (b'""', "", None, None),
        (b'"a\\ud800b"', "a\ufffdb", None, None),
        (b"false", "false", None, None),
        (b"0", "0", None, None),
        (b"1e999", "1e999", None, None),
        (b'["a", 1]', '["a", 1]', None, None),
        (b'{"message":"m","code":7,"data":[1.0]}', "m", 7, b"[1.0]"),
        (b'{"message":"m","code":"7","data":null}', "m", None, b"null"),
        (b'{"why":"x"}', '{"why":"x"}', None, None),
        (b'{"message":"a\\ud800b","data":"\\udc00"}', "a\ufffdb", None, b'"\\udc00"'),
        (b'{"message":"\\ue000","data":"\\udc00"}', "\ue000", None, b'"\\udc00"'),
        (b'{"message":["\\ud800"]}', '["\\ud800"]', None, None),
        (b'{"message":[1,2]}', "[1,2]", None, None),
        (b'{"message":"m","code":1e999}', "m", None, None),
        (b'{"message":"m","data":1e999,"code":1}', "m", 1, b"1e999"),
        (b'{"message":1e999}', "1e999", None, None),
    ],
)
def test_what_an_error_says(error: bytes, message: str, rpc_code: int | None, data: bytes | None) -> None:
    fault = lambda_error_of(b'{"id":1,"error":%b}' % error)
    assert (fault.message, fault.rpc_code, fault.data) == (message, rpc_code, data)
    assert fault.delivered == "yes"


def test_an_error_beats_a_result() -> None:
    assert lambda_error_of(b'{"id":1,"result":5,"error":"boom"}').message == "boom"


@pytest.mark.parametrize(
    ("code", "kind"), [(-32601, MethodNotFound), (-32602, InvalidParams), (-32600, LambdaError), (0, LambdaError)]
)
def test_codes_of_json_rpc_have_classes(code: int, kind: type[LambdaError]) -> None:
    fault = lambda_error_of(b'{"id":1,"error":{"code":%d,"message":"m"}}' % code)
    assert type(fault) is kind
    assert fault.rpc_code == code


BAD_RESULTS = [b"NaN", b"[-Infinity]", b'"\n"', b'"\xff"', b'"\xed\xa0\x80"', b"[" * 513 + b"]" * 513]


@pytest.mark.parametrize("raw", BAD_RESULTS, ids=lambda raw: repr(raw[:20]))
@pytest.mark.parametrize("field", [b"result", b"error"])
def test_what_only_a_lenient_reader_takes_ends_that_call_alone(raw: bytes, field: bytes) -> None:
    talk = Talk()
    bad, good = talk.call(), talk.call()
    talk.receive(b'{"id":1,"%b":%b}' % (field, raw), b'{"id":2,"result":5}')
    assert isinstance(bad.error, BadAnswer)
    assert good.raw == b"5"
    assert talk.counters.bad_answers == 1


@pytest.mark.parametrize("message", [b"hello", b"[]", b'{"id":1,}', b'{"id":1]', b"{]", b'{"id":1,"result":01}'])
def test_anything_worse_closes_the_session(message: bytes) -> None:
    talk = Talk()
    told = talk.call()
    with pytest.raises(SessionClosed) as closed:
        talk.receive(message)
    assert closed.value.close_code == 4400
    assert told.outcomes == 0


@pytest.mark.parametrize(
    ("message", "counted"),
    [
        (b'{"id":null,"result":1}', 0),
        (b'{"result":1}', 0),
        (b'{"id":null,"result":NaN}', 0),
        (b'{"id":2,"result":1}', 1),
        (b'{"id":-1,"result":1}', 1),
        (b'{"id":"1","result":1}', 1),
        (b'{"id":true,"result":1}', 1),
        (b'{"id":2,"result":NaN}', 1),
        (b'{"id":18446744073709551617,"result":1}', 1),
        (b'{"id":1,"method":"test","params":[]}', 1),
        (b'{"id":null,"method":"test","params":[]}', 0),
        (b" ", 0),
        (b"", 0),
    ],
)
def test_an_unknown_id_is_counted_and_null_is_dropped_in_silence(message: bytes, counted: int) -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(message)
    assert told.outcomes == 0
    assert talk.counters.unknown_answers == counted


def test_a_second_answer_changes_nothing() -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(b'{"id":1,"result":1}', b'{"id":1,"result":2}')
    assert told.raw == b"1"
    assert talk.counters.unknown_answers == 1


def test_a_cancelled_call_is_forgotten() -> None:
    talk = Talk()
    told = talk.call()
    talk.session.cancel(1)
    talk.session.cancel(1)
    talk.receive(b'{"id":1,"result":1}')
    assert told.outcomes == 0
    assert talk.sent == [b'{"method":"test","params":[1],"id":1}']


def test_the_end_answers_every_open_call_once() -> None:
    talk = Talk()
    tolds = [talk.call() for _ in range(3)]
    talk.receive(b'{"id":2,"result":2}')
    talk.session.end(LambdaLost("gone"))
    talk.session.end(LambdaLost("gone again"))
    talk.receive(b'{"id":1,"result":1}')
    assert [told.outcomes for told in tolds] == [1, 1, 1]
    assert isinstance(tolds[0].error, LambdaLost)
    assert tolds[1].raw == b"2"


def test_a_caller_may_go_while_the_calls_before_its_own_are_ended() -> None:
    talk, second = Talk(), Told()
    first = Told(then=lambda: talk.session.cancel(2))
    talk.session.call(Call(b"", b'"test"', b"1", 60.0), first)
    talk.session.call(Call(b"", b'"test"', b"1", 60.0), second)
    talk.session.end(LambdaLost("gone"))
    assert (first.outcomes, second.outcomes) == (1, 0)


def test_a_value_over_messages_and_values_in_one_message() -> None:
    talk = Talk()
    tolds = [talk.call() for _ in range(3)]
    talk.receive(b'{"id":1,"resu', b'lt":"a"}{"id":2,"result":"b"}\n{"id":3', b',"result":"c"}')
    assert [told.raw for told in tolds] == [b'"a"', b'"b"', b'"c"']


def test_a_character_may_be_cut_in_two() -> None:
    talk = Talk()
    told = talk.call()
    message = '{"id":1,"result":"é"}'.encode()
    cut = message.index(b"\xc3") + 1
    talk.receive(message[:cut], message[cut:])
    assert told.raw == '"é"'.encode()


def test_after_a_split_value_messages_are_read_on_their_own_again() -> None:
    talk = Talk()
    tolds = [talk.call() for _ in range(2)]
    talk.receive(b'{"id":1,"result":', b'"a"}', b'{"id":2,"result":"b"}')
    assert [told.raw for told in tolds] == [b'"a"', b'"b"']


def test_a_value_over_the_limit_closes_with_1009() -> None:
    talk = Talk(limit_bytes=100)
    with pytest.raises(SessionClosed) as closed:
        talk.receive(b'{"id":1,"result":"' + b"x" * 60, b"x" * 60)
    assert closed.value.close_code == 1009
