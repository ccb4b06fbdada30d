"""The codec json-rpc-2.0 of `/connect`: the calls of lambdas that were opened there."""

from __future__ import annotations

import pytest

from lambdamesh.errors import BadAnswer, LambdaError, MethodNotFound
from tests.unit.protocol.callers import Talk


def test_answers_and_items_find_their_call() -> None:
    talk = Talk()
    stream, plain = talk.call(credit=16), talk.call()
    talk.receive(
        b'{"method":"$/progress","params":{"token":"rhowRuuCUoE5vlcA.1","value":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":"rhowRuuCUoE5vlcA.2","error":{"code":-32601,"message":"no","data":[1.0]}}',
        b'{"jsonrpc":"2.0","id":"rhowRuuCUoE5vlcA.1","result":["\\udc00"]}',
    )
    assert (stream.items, stream.raw) == ([b'"\\ud800"'], b'["\\udc00"]')
    assert isinstance(plain.error, MethodNotFound)
    assert isinstance(plain.error, LambdaError)
    assert plain.error.data == b"[1.0]"
    assert not (talk.sent or talk.asked)


@pytest.mark.parametrize(
    "call_id",
    [
        b'"rhowRuuCUoE5vlcA.2"',
        b'"rhowRuuCUoE5vlcA.01"',
        b'"rhowRuuCUoE5vlcA.-1"',
        b'"rhowRuuCUoE5vlcA."',
        b'"rhowRuuCUoE5vlcA.%b"' % (b"1" * 5000),
        b'"rhowRuuCUoE5vlcB.1"',
        b'"rhowRuuCUoE5vlcA.1 "',
        b'""',
        b'"."',
        b"1",
    ],
    ids=lambda call_id: repr(call_id[:24]),
)
@pytest.mark.parametrize("result", [b"1", b"NaN"])
def test_an_answer_to_no_call_ends_none(call_id: bytes, result: bytes) -> None:
    talk = Talk()
    told = talk.call(credit=16)
    talk.receive(b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (call_id, result))
    talk.receive(b'{"method":"$/progress","params":{"token":%b,"value":1}}' % call_id)
    assert (told.outcomes, told.items) == (0, [])
    assert not talk.asked


@pytest.mark.parametrize("call_id", [b'"rhowRuuCUoE5vlcA.2"', b'"rhowRuuCUoE5vlcB.1"', b'"x"'])
def test_it_is_counted(call_id: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","id":%b,"result":1}' % call_id)
    assert talk.counters.unknown_answers == 1
    assert not talk.sent


@pytest.mark.parametrize("member", [b'"result":1', b'"error":{"code":-32700,"message":"what?"}', b'"error":null'])
def test_an_answer_to_null_is_dropped_in_silence(member: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","id":null,%b}' % member)
    assert not talk.sent
    assert talk.counters.unknown_answers == 0


@pytest.mark.parametrize("raw", [b"NaN", b'"\n"', b'"\xff"', b"[" * 513 + b"]" * 513], ids=lambda raw: repr(raw[:9]))
@pytest.mark.parametrize(
    "message",
    [
        b'{"jsonrpc":"2.0","id":"rhowRuuCUoE5vlcA.1","result":%b}',
        b'{"jsonrpc":"2.0","id":"rhowRuuCUoE5vlcA.1","error":%b}',
        b'{"method":"$/progress","params":{"token":"rhowRuuCUoE5vlcA.1","value":%b}}',
    ],
)
def test_what_only_a_lenient_reader_takes_ends_that_call_alone(message: bytes, raw: bytes) -> None:
    talk = Talk()
    bad, good = talk.call(credit=16), talk.call()
    talk.receive(message % raw, b'{"id":"rhowRuuCUoE5vlcA.2","result":5}')
    assert isinstance(bad.error, BadAnswer)
    assert good.raw == b"5"
    cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "rhowRuuCUoE5vlcA.1"}}
    assert talk.heard() == [cancel] * (b"$/progress" in message)
