"""The codec json-rpc-2.0 with a provider: one lambda on one socket, with ``meta`` or without."""

from __future__ import annotations

import pytest

from lambdamesh.errors import BadAnswer
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_provider import Session
from lambdamesh.protocol.opening import Opening
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters
from tests.unit.fakes import Told

ID = b"rhowRuuCUoE5vlcA"
RAY = b"0057be39815282ea-MYH"
META = b'{"jsonrpc":"2.0","id":0,"result":{"meta":true}}'
PLAIN = b'{"jsonrpc":"2.0","id":0,"result":"ok"}'


class Talk:
    """A session, what it sent since it was opened, and how often it opened."""

    def __init__(self, opened_by: bytes = META) -> None:
        self.sent: list[bytes] = []
        self.opened = 0
        self.counters = SessionCounters()
        self.session = Session(self.sent.append, self._on_open, self.counters, Bounds(1 << 20, 1024))
        self.session.open(Opening(ID, b"key", 15.0, "my-host"))
        self.opening = self.sent.pop()
        if opened_by:
            self.receive(opened_by)

    def _on_open(self) -> None:
        self.opened += 1

    def call(self, body: bytes = b"1", *, credit: int = 0) -> Told:
        told = Told()
        self.session.call(Call(ID, b'"test"', body, 60.0, RAY, b"", credit), told)
        return told

    def receive(self, *messages: bytes) -> None:
        for message in messages:
            self.session.receive(message, False)

    def close_code(self, message: bytes) -> int:
        with pytest.raises(SessionClosed) as closed:
            self.receive(message)
        return closed.value.close_code


# -- open -------------------------------------------------------------------------------------------------------


def test_open_says_all_that_a_provider_has_to_know() -> None:
    assert Talk(b"").opening == (
        b'{"jsonrpc":"2.0","method":"open","params":[{"id":"rhowRuuCUoE5vlcA","resume_key":"key","grace_s":15.0,'
        b'"node":"my-host","pending":[]}],"id":0}'
    )


def test_open_names_the_calls_that_it_may_still_answer() -> None:
    talk = Talk(b"")
    talk.session.open(Opening(ID, b"key", 0.5, 'a "host"', (3, 17)))
    assert talk.sent == [
        b'{"jsonrpc":"2.0","method":"open","params":[{"id":"rhowRuuCUoE5vlcA","resume_key":"key","grace_s":0.5,'
        b'"node":"a \\"host\\"","pending":[3,17]}],"id":0}'
    ]


@pytest.mark.parametrize(
    ("result", "has_meta", "keep"),
    [
        (b'"ok"', False, ()),
        (b"null", False, ()),
        (b"[true]", False, ()),
        (b"{}", False, ()),
        (b'{"meta":true}', True, ()),
        (b'{"meta":false}', False, ()),
        (b'{"meta":1}', False, ()),
        (b'{"meta":"true"}', False, ()),
        (b'{"meta":true,"keep":[]}', True, ()),
        (b'{"meta":true,"keep":[3,17]}', True, (3, 17)),
        (b'{"keep":[3],"meta":true,"more":{"a":[1]}}', True, (3,)),
        (b'{"meta":true,"keep":[3.0,17]}', True, (3, 17)),
        (b'{"meta":true,"keep":null}', True, ()),
        (b'{"meta":true,"keep":"3"}', True, ()),
        (b'{"meta":true,"keep":[1.5,3]}', True, (3,)),
        (b'{"meta":true,"keep":["3",3,1e308]}', True, (3,)),
        (b'{"meta":true,"keep":[%b1]}' % (b"1," * 10_000), True, ()),
        (b'{"meta":true,"name":"\\ud800"}', True, ()),
    ],
)
def test_what_the_answer_to_open_says(result: bytes, has_meta: bool, keep: tuple[int, ...]) -> None:
    talk = Talk(b'{"jsonrpc":"2.0","id":0,"result":%b}' % result)
    assert talk.opened == 1
    assert talk.session.has_meta is has_meta
    assert talk.session.keep == keep


@pytest.mark.parametrize(
    "answer", [b'{"id":0,"result":"ok"}', b'{"id":0}', b'{"id":0.0,"result":1}', b'{"id":-0,"error":null}']
)
def test_any_answer_to_open_opens_once(answer: bytes) -> None:
    talk = Talk(answer)
    talk.receive(answer)
    assert talk.opened == 1
    assert talk.counters.unknown_answers == 1


@pytest.mark.parametrize(
    "message",
    [
        b'{"id":1,"result":"ok"}',
        b'{"id":null,"result":"ok"}',
        b'{"id":"0","result":"ok"}',
        b'{"result":"ok"}',
        b'{"id":0,"result":NaN}',
        b'{"id":0,"method":"open","params":[]}',
        b'{"method":"$/progress","params":{"token":0,"value":1}}',
        b'[{"id":0,"result":"ok"}]',
    ],
)
def test_nothing_else_opens(message: bytes) -> None:
    assert Talk(message).opened == 0


def test_a_provider_that_refuses_to_open() -> None:
    talk = Talk(b"")
    assert talk.close_code(b'{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"what?"}}') == 4400
    assert talk.opened == 0


# -- calls ------------------------------------------------------------------------------------------------------


def test_a_plain_provider_gets_what_the_standard_knows_and_nothing_else() -> None:
    talk = Talk(PLAIN)
    told = talk.call(b'{"a":1}', credit=16)
    talk.session.notify(Call(ID, b'"seen"', b"42", 60.0, RAY, b""))
    talk.session.credit(1, 8)
    talk.session.cancel(1)
    assert talk.sent == [
        b'{"jsonrpc":"2.0","method":"test","params":[{"a":1}],"id":1}',
        b'{"jsonrpc":"2.0","method":"seen","params":[42]}',
    ]
    assert told.outcomes == 0


def test_a_provider_that_asked_for_meta_gets_it() -> None:
    talk = Talk()
    talk.call(b"[1]")
    assert talk.sent == [
        b'{"jsonrpc":"2.0","method":"test","params":[[1]],"id":1,"meta":{"deadline_ms":60000,'
        b'"ray":"0057be39815282ea-MYH","lambda":"rhowRuuCUoE5vlcA","stream":false}}'
    ]


# -- $/ping, and what is no answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_id", [b"1", b'"a\\u00e9"', b"1e2", b"0", b"-7", b"12345678901234567890", b'"\\ud800"']
)
@pytest.mark.parametrize("opened_by", [b"", PLAIN, META])
def test_a_ping_is_answered_at_any_time(opened_by: bytes, request_id: bytes) -> None:
    talk = Talk(opened_by)
    talk.receive(b'{"jsonrpc":"2.0","method":"$/ping","id":%b}' % request_id)
    assert talk.sent == [b'{"jsonrpc":"2.0","id":%b,"result":null}' % request_id]
    assert talk.opened == bool(opened_by)


def test_a_ping_that_nobody_waits_for_is_not_answered() -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"$/ping"}')
    assert not talk.sent


def test_a_provider_may_ask_for_nothing_else() -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"GET /ping","id":"a"}')
    assert talk.sent == [
        b'{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"a provider may ask for $/ping, and nothing else"}}'
    ]


def test_a_notification_that_means_nothing_here_is_dropped() -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(b'{"method":"$/cancelRequest","params":{"id":1}}', b'{"method":"x","params":[NaN]}')
    talk.receive(b'{"method":"\\ud800"}', b'{"method":"$/progress"}', b'{"method":"$/progress","params":[1,2]}')
    assert len(talk.sent) == 1
    assert told.outcomes == 0


@pytest.mark.parametrize("request_id", [b'"' + b"x" * 20_000 + b'"', b"[1]", b'{"a":1}', b"true"])
def test_an_id_that_is_none_is_not_echoed(request_id: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"$/ping","id":%b}' % request_id)
    (answer,) = talk.sent
    assert answer.startswith(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,')


@pytest.mark.parametrize("batch", [b"[]", b'[{"jsonrpc":"2.0","id":1,"result":5}]', b"[NaN]", b' [1,\n"\xff"]'])
def test_an_array_is_answered_once_and_ends_nothing(batch: bytes) -> None:
    talk = Talk(PLAIN)
    told = talk.call()
    talk.sent.clear()
    talk.receive(batch)
    assert talk.sent == [
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a message is one object, not an array: '
        b'batches are not taken"}}'
    ]
    assert told.outcomes == 0


# -- what cannot be read ----------------------------------------------------------------------------------------

BAD_VALUES = [b"NaN", b"[-Infinity]", b'"\n"', b'"\xff"', b'"\xed\xa0\x80"', b"[" * 513 + b"]" * 513]
BAD = pytest.mark.parametrize("raw", BAD_VALUES, ids=lambda raw: repr(raw[:20]))


@BAD
@pytest.mark.parametrize("member", [b"result", b"error"])
def test_what_only_a_lenient_reader_takes_ends_that_call_alone(raw: bytes, member: bytes) -> None:
    talk = Talk()
    bad, good = talk.call(), talk.call()
    talk.sent.clear()
    talk.receive(b'{"jsonrpc":"2.0","id":1,"%b":%b}' % (member, raw), b'{"jsonrpc":"2.0","id":2,"result":5}')
    assert isinstance(bad.error, BadAnswer)
    assert good.raw == b"5"
    assert talk.counters.bad_answers == 1
    assert not talk.sent


@pytest.mark.parametrize("written", [b'"result":1,"more":NaN', b'"method":null,"result":NaN'])
def test_wherever_in_the_answer_it_is(written: bytes) -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(b'{"id":1,%b}' % written)
    assert isinstance(told.error, BadAnswer)


@BAD
def test_so_does_an_item(raw: bytes) -> None:
    talk = Talk()
    bad, good = talk.call(credit=16), talk.call(credit=16)
    talk.sent.clear()
    talk.receive(b'{"method":"$/progress","params":{"token":1,"value":%b}}' % raw)
    talk.receive(b'{"method":"$/progress","params":{"token":2,"value":5}}')
    assert isinstance(bad.error, BadAnswer)
    assert (bad.items, good.items) == ([], [b"5"])
    assert talk.counters.bad_answers == 1
    assert talk.sent == [b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}']


@BAD
def test_an_item_that_nobody_wants_may_be_anything(raw: bytes) -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(b'{"method":"$/progress","params":{"token":1,"value":%b}}' % raw, b'{"id":1,"result":5}')
    assert told.raw == b"5"
    assert talk.counters.bad_answers == 0


@pytest.mark.parametrize("number", [b"1", b"1.0", b"1e0", b"10e-1"])
def test_whose_answer_it_is_may_be_written_in_many_ways(number: bytes) -> None:
    talk = Talk()
    bad = talk.call()
    talk.receive(b'{"id":%b,"result":NaN}' % number)
    assert isinstance(bad.error, BadAnswer)


@pytest.mark.parametrize(
    ("message", "counted"),
    [
        (b'{"id":null,"result":NaN}', 0),
        (b'{"result":NaN}', 0),
        (b'{"id":2,"result":NaN}', 1),
        (b'{"id":"1","result":NaN}', 1),
        (b'{"id":true,"result":NaN}', 1),
        (b'{"method":"$/progress","params":{"token":"1","value":NaN}}', 1),
        (b'{"method":"$/progress","params":{"value":NaN}}', 0),
        (b'{"method":"$/progress","params":[NaN]}', 0),
        (b'{"id":1,"method":"$/ping","params":[NaN]}', 0),
    ],
)
def test_what_is_for_no_call_ends_none(message: bytes, counted: int) -> None:
    talk = Talk()
    told = talk.call()
    talk.receive(message)
    assert told.outcomes == 0
    assert (talk.counters.unknown_answers, talk.counters.bad_answers) == (counted, 0)


@pytest.mark.parametrize(
    "message", [b"hello", b"", b'{"id":1,}', b'{"id":1]', b'{"id":1,"result":01}', b"5", b'"x"', b"\xff"]
)
def test_anything_worse_closes_the_session(message: bytes) -> None:
    talk = Talk()
    told = talk.call()
    assert talk.close_code(message) == 4400
    assert told.outcomes == 0


# -- its end ----------------------------------------------------------------------------------------------------


def test_a_session_that_was_released_holds_and_sends_nothing() -> None:
    talk = Talk(b"")
    talk.session.release()
    talk.receive(META, b'{"id":1,"method":"$/ping"}')
    talk.call()
    assert not talk.sent
    assert talk.opened == 0
