"""JSON-RPC 2.0 from anybody: no message does more than close its socket, and two ends pumped into one another agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from lambdamesh.errors import MeshError
from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_caller import CallerSession
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.json_rpc_2_provider import Session
from lambdamesh.protocol.json_text import is_json
from lambdamesh.protocol.opening import Opening
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters
from tests.property.streams import values
from tests.unit.fakes import Told

ID = b"rhowRuuCUoE5vlcA"
CALLS = 4
BOUNDS = Bounds(1 << 20, 1024)

raw_values = st.one_of(
    st.builds(lambda value, short: json.dumps(value, ensure_ascii=short).encode(), values, st.booleans()),
    st.sampled_from([b'"\\ud800"', b'["\\udc00\\\\"]', b"1e999", b'"\\ue0000\\ue001"', b"12345678901234567890123"]),
    st.sampled_from([b"NaN", b'"\n"', b'"\xff"', b'"\xed\xa0\x80"', b"[" * 513 + b"]" * 513, b"[" * 970 + b"]" * 970]),
    st.sampled_from([b"", b"nul", b"01", b"[,]", b"{", b'"']),
)
numbers = st.integers(-1, CALLS + 1).map(lambda number: b"%d" % number)
ids = st.one_of(
    numbers,
    st.builds(lambda number: b'"%b.%b"' % (ID, number), numbers),
    st.sampled_from(
        [b"null", b'"1"', b"1.0", b"1e0", b"1e2", b"1e999", b"9" * 5000, b'"rhowRuuCUoE5vlcA."', b'"\\ud800"']
    ),
    raw_values,
)
methods = st.sampled_from(
    [
        b'"$/progress"',
        b'"$/cancelRequest"',
        b'"$/credit"',
        b'"$/ping"',
        b'"$/"',
        b'"GET /ping"',
        b'"\\ud800"',
        b"null",
        b"5",
    ]
)


def written(members: list[tuple[bytes, bytes]], space: bytes) -> bytes:
    """Write an object with white space wherever it may be."""
    comma = space + b"," + space
    return b"{" + space + comma.join(b'"%b"%b:%b' % (name, space, raw) for name, raw in members) + space + b"}"


def objects(named: dict[bytes, st.SearchStrategy[bytes]]) -> st.SearchStrategy[bytes]:
    """An object with some of these members, or with some of them twice."""
    members = st.one_of(*[st.tuples(st.just(name), value) for name, value in named.items()])
    return st.builds(written, st.lists(members, max_size=5), st.sampled_from([b"", b" ", b"\r\n\t "]))


subjects = objects({b"id": ids, b"token": ids, b"value": raw_values, b"add": raw_values})
metas = objects(
    {b"timeout_ms": raw_values, b"stream": st.sampled_from([b"true", b"false", b"1"]), b"credit": numbers | raw_values}
)
messages = st.one_of(
    objects(
        {
            b"jsonrpc": st.sampled_from([b'"2.0"', b'"1.0"', b"2"]),
            b"id": ids,
            b"method": methods,
            b"params": subjects | raw_values,
            b"result": raw_values,
            b"error": raw_values | objects({b"code": raw_values, b"message": raw_values, b"data": raw_values}),
            b"meta": metas | raw_values,
        }
    ),
    st.builds(
        lambda method, subject: b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (method, subject), methods, subjects
    ),
    st.builds(lambda one, raw: b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (one, raw), ids, raw_values),
    raw_values,
    st.binary(max_size=20),
)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def check_sent(sent: list[bytes]) -> None:
    """What a node says is JSON-RPC 2.0, whatever it was told."""
    for message in sent:
        # An envelope may be a level deeper than what is in it.
        assert is_json(message) or json.loads(message, parse_constant=_refuse), message
        assert message.startswith(b'{"jsonrpc":"2.0",')


def check_told(told: Told) -> None:
    """What a caller is given can be passed on as it is."""
    assert told.outcomes <= 1
    assert all(is_json(raw) for raw in (*told.results, *told.items))
    for fault in told.faults:
        json.dumps(fault.message).encode()
        assert fault.data is None or is_json(fault.data)


def called(calls: LambdaCalls) -> list[Told]:
    """So many calls, every other a stream."""
    tolds = [Told() for _ in range(CALLS)]
    for number, told in enumerate(tolds):
        calls.call(Call(ID, b'"test"', b"1", 60.0, b"ray", b"", 2 * (number % 2)), told)
    return tolds


@given(st.lists(messages, max_size=8), st.sampled_from([b"", b'"ok"', b'{"meta":true}']))
@settings(max_examples=400)
def test_no_message_of_a_provider_does_more_than_close_its_socket(said: list[bytes], hello: bytes) -> None:
    sent: list[bytes] = []
    session = Session(sent.append, lambda: None, SessionCounters(), BOUNDS)
    session.open(Opening(ID, b"key", 15.0, "host"))
    if hello:
        session.receive(b'{"id":0,"result":%b}' % hello, False)
    tolds = called(session)
    close_code = 4400
    try:
        for message in said:
            session.receive(message, False)
    except SessionClosed as closed:
        close_code = closed.close_code
    assert close_code == 4400
    check_sent(sent)
    for number, told in enumerate(tolds, 1):
        check_told(told)
        assert (told.outcomes == 0) is (number in session.pending)
        assert len(told.items) <= (2 if number % 2 == 0 and session.has_meta else 0)


class Asking:
    """Whoever has requests answered (``Asking``): it keeps them."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def ask(self, asked: Asked) -> None:
        self.asked.append(asked)

    def cancel(self, request_id: bytes) -> None:
        assert isinstance(request_id, bytes)

    def credit(self, request_id: bytes, add: int) -> None:
        assert add > 0


@given(st.lists(messages, max_size=8))
@settings(max_examples=400)
def test_no_message_of_a_caller_does_even_that(said: list[bytes]) -> None:
    sent: list[bytes] = []
    asking = Asking()
    session = CallerSession(sent.append, asking, SessionCounters(), 16)
    calls = LambdaCalls(sent.append, SessionCounters(), BOUNDS, ID, (b'"%b.' % ID, b'"'))
    calls.has_meta = True
    session.lambdas[ID] = calls
    tolds = called(calls)
    for message in said:
        session.receive(message, False)
    for asked in asking.asked:
        assert is_json(asked.id) and is_json(asked.body)
        assert 0 <= asked.credit <= 16
        asked.method.encode()
        session.answer(asked.id, asked.body)
    check_sent(sent)
    for number, told in enumerate(tolds, 1):
        check_told(told)
        assert (told.outcomes == 0) is (number in calls.pending)


@given(raw_values, ids)
@settings(max_examples=300)
def test_what_one_socket_reads_the_other_reads_alike(raw: bytes, call_id: bytes) -> None:
    """The same answer to call 1, in the form of either kind of socket, ends it alike."""
    ends: list[tuple[list[bytes], list[MeshError]]] = []
    for is_shared in (False, True):
        one, told = b'"%b.1"' % ID if is_shared else b"1", Told()
        receive, calls = shared_end() if is_shared else own_end()
        calls.call(Call(ID, b'"test"', b"1", 60.0), told)
        try:
            receive(b'{"jsonrpc":"2.0","more":%b,"id":%b,"result":%b}' % (call_id, one, raw), False)
        except SessionClosed:
            assert told.outcomes == 0
        ends.append((told.results, told.faults))
    (results, faults), (other_results, other_faults) = ends
    assert results == other_results
    assert [type(fault) for fault in faults] == [type(fault) for fault in other_faults]


def own_end() -> tuple[Callable[[bytes, bool], None], LambdaCalls]:
    session = Session(lambda _message: None, lambda: None, SessionCounters(), BOUNDS)
    session.receive(b'{"id":0,"result":{"meta":true}}', True)
    return session.receive, session


def shared_end() -> tuple[Callable[[bytes, bool], None], LambdaCalls]:
    calls = LambdaCalls(lambda _message: None, SessionCounters(), BOUNDS, ID, (b'"%b.' % ID, b'"'))
    calls.has_meta = True
    session = CallerSession(lambda _message: None, Asking(), SessionCounters(), 16)
    session.lambdas[ID] = calls
    return session.receive, calls


# -- two ends -------------------------------------------------------------------------------------------------


class Scripted:
    """A provider that does as it should: it answers what it was asked, and sends no item beyond its credit."""

    def __init__(self) -> None:
        self.bodies: dict[Any, Any] = {}
        self.credit: dict[Any, int] = {}
        self.owed: dict[Any, list[Any]] = {}

    def receive(self, message: bytes) -> None:
        one = msgspec.json.decode(message)
        if one["method"] == "$/cancelRequest":
            self.forget(one["params"]["id"])
        elif one["method"] == "$/credit":
            if one["params"]["id"] in self.credit:
                self.credit[one["params"]["id"]] += one["params"]["add"]
        else:
            self.bodies[one["id"]] = one["params"][0]
            self.owed[one["id"]] = list(one["params"][0]) if one["meta"]["stream"] else []
            self.credit[one["id"]] = one["meta"].get("credit", 0)

    def forget(self, call_id: Any) -> None:
        for kept in (self.bodies, self.credit, self.owed):
            kept.pop(call_id, None)

    def step(self, which: int) -> bytes | None:
        """Say the next thing of one of the calls, if there is any."""
        ready = [one for one in self.owed if not self.owed[one] or self.credit[one]]
        if not ready:
            return None
        call_id = ready[which % len(ready)]
        if self.credit[call_id] and self.owed[call_id]:
            self.credit[call_id] -= 1
            params = {"token": call_id, "value": self.owed[call_id].pop(0)}
            return msgspec.json.encode({"jsonrpc": "2.0", "method": "$/progress", "params": params})
        body = self.bodies[call_id]
        self.forget(call_id)
        return msgspec.json.encode({"jsonrpc": "2.0", "id": call_id, "result": body})


bodies = st.lists(st.integers() | st.text(st.characters(codec="utf-8"), max_size=3), max_size=5)
steps = st.lists(
    st.tuples(st.sampled_from(["call", "say", "say", "say", "deliver", "cancel", "credit", "drop"]), st.integers(0, 9)),
    max_size=60,
)


class Pumped:
    """Calls of one lambda and their provider, with messages on their way in both directions."""

    def __init__(self, *, is_shared: bool) -> None:
        self.to_provider: list[bytes] = []
        self.to_node: list[bytes] = []
        self.counters = SessionCounters()
        self.tolds: dict[int, tuple[Any, Told, int]] = {}
        self.gone: set[int] = set()
        self.is_shared = is_shared
        self.number = 0
        self.connect(())

    def connect(self, keep: tuple[int, ...]) -> None:
        """Begin a conversation, with what is kept of the one before."""
        if self.is_shared:
            self.calls = LambdaCalls(self.to_provider.append, self.counters, BOUNDS, ID, (b'"%b.' % ID, b'"'))
            session = CallerSession(self.to_provider.append, Asking(), self.counters, 16)
            session.lambdas[ID] = self.calls
            self.receive = session.receive
        else:
            self.calls = own = Session(self.to_provider.append, lambda: None, self.counters, BOUNDS)
            own.receive(b'{"id":0,"result":{"meta":true}}', True)
            self.receive = own.receive
        self.calls.has_meta = True
        self.calls.number = self.number
        self.provider = Scripted()

    def id_of(self, number: int) -> int | str:
        return f"{ID.decode()}.{number}" if self.is_shared else number

    def drop(self) -> None:
        """The socket ends with what was on its way: the provider keeps what it had, and tells so."""
        before, held = self.calls, self.provider
        self.to_node.clear()
        self.to_provider.clear()
        before.release()
        before.suspend(MeshError("lost"))
        self.number = before.number
        keep = tuple(number for number in before.keepable() if self.id_of(number) in held.bodies)
        self.connect(keep)
        for number in keep:
            self.calls.pending[number] = before.pending.pop(number)
            call_id = self.id_of(number)
            for name in ("bodies", "credit", "owed"):
                getattr(self.provider, name)[call_id] = getattr(held, name)[call_id]
        before.end(MeshError("lost"))

    def call(self, body: Any, credit: int) -> None:
        told = Told()
        number = self.calls.call(Call(ID, b'"test"', msgspec.json.encode(body), 60.0, b"", b"", credit), told)
        self.tolds[number] = (body, told, credit)

    def one_of(self, which: int) -> int | None:
        numbers = list(self.calls.pending)
        return numbers[which % len(numbers)] if numbers else None

    def step(self, what: str, which: int, body: Any) -> None:
        number = self.one_of(which)
        if what == "call":
            self.call(body, which % 3)
        elif what == "deliver":
            self.deliver(which)
        elif what == "say":
            message = self.provider.step(which)
            if message is not None:
                self.to_node.append(message)
        elif what == "drop":
            self.drop()
        elif number is not None and what == "cancel":
            self.gone.add(number)
            self.calls.cancel(number)
        elif number is not None:
            self.calls.credit(number, which + 1)

    def deliver(self, times: int) -> None:
        for _ in range(times):
            if self.to_provider:
                self.provider.receive(self.to_provider.pop(0))
            if self.to_node:
                self.receive(self.to_node.pop(0), True)

    def finish(self) -> None:
        """Have everybody take what is there, until nothing is left to say."""
        message: bytes | None = b""
        while message is not None or self.to_provider or self.to_node:
            for number in tuple(self.calls.pending):
                self.calls.credit(number, 1)
            self.deliver(len(self.to_provider) + len(self.to_node))
            message = self.provider.step(0)
            if message is not None:
                self.to_node.append(message)


@given(steps, st.lists(bodies, min_size=1, max_size=4), st.booleans())
@settings(max_examples=200)
def test_two_ends_agree_whatever_is_dropped(script: list[tuple[str, int]], given_: list[Any], is_shared: bool) -> None:
    pumped = Pumped(is_shared=is_shared)
    for turn, (what, which) in enumerate(script):
        pumped.step(what, which, given_[turn % len(given_)])
    pumped.finish()
    for number, (body, told, credit) in pumped.tolds.items():
        items = [json.loads(raw) for raw in told.items]
        assert items == body[: len(items)]
        assert items == [] or credit
        if number in pumped.gone:
            assert told.outcomes == 0
        elif told.results:
            assert json.loads(told.raw) == body
            assert items == (body if credit else [])
        else:
            assert told.error.message == "lost"
    assert not pumped.calls.pending
    assert (pumped.counters.bad_answers, pumped.counters.stream_overruns) == (0, 0)
