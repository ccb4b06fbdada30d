"""The codec json-rpc-2.0 of `/connect`: requests, and what is said about them."""

from __future__ import annotations

import pytest

from lambdamesh.protocol.asked import Asked
from tests.unit.protocol.callers import ID, RAY, Talk

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def asked_by(message: bytes) -> Asked:
    """The one request that ``message`` is."""
    talk = Talk()
    talk.receive(message)
    assert not talk.sent
    (asked,) = talk.asked
    return asked


def refused(message: bytes) -> tuple[object, int]:
    """Id and code of the one error that ``message`` is answered with at once."""
    talk = Talk()
    talk.receive(message)
    assert not talk.asked
    (answer,) = talk.heard()
    assert answer["error"]["message"]
    return answer["id"], answer["error"]["code"]


# -- requests ---------------------------------------------------------------------------------------------------

IDS = pytest.mark.parametrize(
    "request_id",
    [
        b"1",
        b"-1",
        b"1e2",
        b"1.50",
        b"123456789012345678901234567890",
        b'""',
        b'"a b"',
        b'"\\u00e9\\ud800"',
        '"é"'.encode(),
        b'"%b"' % (b"x" * 16_000),
    ],
    ids=lambda request_id: repr(request_id[:20]),
)


@IDS
def test_an_id_is_a_number_or_a_string_and_echoed_byte_for_byte(request_id: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","id":%b,"method":"GET /ping"}' % request_id)
    (asked,) = talk.asked
    assert (asked.id, asked.method, asked.is_notification) == (request_id, "GET /ping", False)
    talk.session.answer(asked.id, b'{"a" : 1.0}')
    talk.session.refuse(asked.id, 404, {"error": "no", "code": "lambda_not_found"}, RAY)
    talk.session.item(asked.id, b"[1]")
    assert talk.sent == [
        b'{"jsonrpc":"2.0","id":%b,"result":{"a" : 1.0}}' % request_id,
        b'{"jsonrpc":"2.0","id":%b,"error":{"code":404,"message":"no","data":{"status":404,"code":"lambda_not_found",'
        b'"ray":"0057be39815282ea-MYH"}}}' % request_id,
        b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%b,"value":[1]}}' % request_id,
    ]


@pytest.mark.parametrize("request_id", [b"true", b"[1]", b'{"a":1}', b'"%b"' % (b"x" * 20_000)])
@pytest.mark.parametrize("method", [b"/ping", b"$/ping", b"$/nothing"])
def test_any_other_id_is_none(request_id: bytes, method: bytes) -> None:
    assert refused(b'{"jsonrpc":"2.0","id":%b,"method":"%b"}' % (request_id, method)) == (None, -32600)


@pytest.mark.parametrize("member", [b"", b'"id":null,'])
def test_a_request_without_an_id_is_a_notification(member: bytes) -> None:
    assert asked_by(b'{"jsonrpc":"2.0",%b"method":"POST /lambda/ID/test"}' % member).is_notification


@pytest.mark.parametrize(
    ("params", "body"),
    [
        (b"[]", b"null"),
        (b"null", b"null"),
        (b"[null]", b"null"),
        (b"[ [1, 2] ]", b"[1, 2]"),
        (b'[{"a":1.0}]', b'{"a":1.0}'),
        (b'{"a": 1.0}', b'{"a": 1.0}'),
        (b'["\\ud800"]', b'"\\ud800"'),
        (b'{"\\udc00":"\\ue000"}', b'{"\\udc00":"\\ue000"}'),
        (b"[%b]" % (b"[" * 512 + b"]" * 512), b"[" * 512 + b"]" * 512),
        (b"[1e999]", b"1e999"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_params_are_the_body_in_an_array_or_the_object_that_it_is(params: bytes, body: bytes) -> None:
    asked = asked_by(b'{"jsonrpc":"2.0","id":1,"method":"m","params":%b}' % params)
    assert (asked.body, asked.fault) == (body, None)


def test_no_params_are_the_body_null() -> None:
    assert asked_by(b'{"id":1,"method":"m"}').body == b"null"


@pytest.mark.parametrize(
    "params",
    [b"5", b'"x"', b"[1,2]", b"[%b]" % (b"[" * 513 + b"]" * 513), b'{"a":%b}' % (b"[" * 512 + b"]" * 512)],
    ids=lambda text: repr(text[:20]),
)
def test_other_params_are_a_fault_of_that_request(params: bytes) -> None:
    asked = asked_by(b'{"jsonrpc":"2.0","id":7,"method":"m","params":%b}' % params)
    assert asked.id == b"7"
    assert asked.fault


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (b"{}", (None, 0, b"")),
        (b'{"timeout_ms":1500}', (1.5, 0, b"")),
        (b'{"timeout_ms":0.5,"more":[1]}', (0.0005, 0, b"")),
        (b'{"stream":true}', (None, 16, b"")),
        (b'{"stream":true,"credit":3}', (None, 3, b"")),
        (b'{"stream":true,"credit":17}', (None, 16, b"")),
        (b'{"stream":false,"credit":3}', (None, 0, b"")),
        (b'{"credit":3}', (None, 0, b"")),
        (b'{"traceparent":"%b"}' % TRACEPARENT.encode(), (None, 0, TRACEPARENT.encode())),
        (b'{"traceparent":"%b\\n"}' % TRACEPARENT.encode(), (None, 0, b"")),
        (b'{"traceparent":"\\u00e9"}', (None, 0, b"")),
        (b'{"timeout_ms":null,"credit":null}', (None, 0, b"")),
    ],
)
def test_what_meta_says(meta: bytes, expected: tuple[float | None, int, bytes]) -> None:
    asked = asked_by(b'{"jsonrpc":"2.0","id":1,"method":"m","meta":%b}' % meta)
    assert (asked.timeout_s, asked.credit, asked.traceparent) == expected
    assert asked.fault is None


@pytest.mark.parametrize(
    "meta",
    [
        b"[]",
        b"5",
        b'{"timeout_ms":"5"}',
        b'{"stream":1}',
        b'{"stream":true,"credit":0}',
        b'{"stream":true,"credit":-1}',
        b'{"stream":true,"credit":1.5}',
        b'{"timeout_ms":1e999}',
    ],
)
def test_a_meta_that_says_nothing_is_a_fault_of_that_request(meta: bytes) -> None:
    fault = asked_by(b'{"jsonrpc":"2.0","id":1,"method":"m","meta":%b}' % meta).fault
    assert fault is not None
    assert fault.startswith("meta: ")


@pytest.mark.parametrize("depth", range(440, 1010, 19))
def test_no_meta_is_too_deep_to_be_refused(depth: int) -> None:
    talk = Talk()
    talk.receive(b'{"id":1,"method":"m","meta":{"more":%b}}' % (b"[" * depth + b"]" * depth))
    assert len(talk.sent) + len(talk.asked) == 1


def test_the_version_is_taken_or_left_out() -> None:
    assert asked_by(b'{"id":1,"method":"m"}').fault is None
    assert refused(b'{"jsonrpc":"1.0","id":1,"method":"m"}') == (1, -32600)
    assert refused(b'{"jsonrpc":2.0,"id":"a","method":"m"}') == ("a", -32600)


# -- what is no request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"hello", (None, -32700)),
        (b"", (None, -32700)),
        (b'{"id":1,"method":"m",}', (None, -32700)),
        (b'{"id":1,"method":"m","params":[NaN]}', (None, -32700)),
        (b'{"id":1,"method":"m","params":["\n"]}', (None, -32700)),
        (b'{"id":1,"method":"m","params":["\xff"]}', (None, -32700)),
        (b'{"id":1,"method":"m","params":%b}' % (b"[" * 600 + b"]" * 600), None),
        (b"[" * 2000 + b"]" * 2000, (None, -32700)),
        (b"[]", (None, -32600)),
        (b'[{"jsonrpc":"2.0","id":1,"method":"GET /ping"}]', (None, -32600)),
        (b"5", (None, -32600)),
        (b'"x"', (None, -32600)),
        (b"{}", (None, -32600)),
        (b'{"foo":"boo"}', (None, -32600)),
        (b'{"jsonrpc":"2.0","method":1,"id":7}', (7, -32600)),
        (b'{"jsonrpc":"2.0","method":1,"params":"bar"}', (None, -32600)),
        (b'{"jsonrpc":"2.0","method":["a"],"id":[1]}', (None, -32600)),
        (b'{"method":"\\ud800","id":"a"}', ("a", -32600)),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_what_is_no_request_is_answered_so(message: bytes, expected: tuple[object, int] | None) -> None:
    if expected is None:
        assert asked_by(message).fault
    else:
        assert refused(message) == expected


def test_and_the_next_message_is_read() -> None:
    talk = Talk()
    talk.receive(b"hello", b"[]", b'{"jsonrpc":"2.0","id":1,"method":"m"}')
    assert len(talk.heard()) == 2
    assert [asked.id for asked in talk.asked] == [b"1"]


# -- errors -----------------------------------------------------------------------------------------------------


def test_an_error_says_what_http_would_have_said() -> None:
    talk = Talk()
    fields = {"error": "a \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "code": "lambda_error"}
    talk.session.refuse(b"7", 400, {**fields, "delivered": "yes", "rpc_code": -32000, "data": [1]}, RAY)
    assert talk.heard() == [
        {
            "jsonrpc": "2.0",
            "id": 7,
            "error": {
                "code": 400,
                "message": "a \U0001f600",
                "data": {
                    "status": 400,
                    "code": "lambda_error",
                    "delivered": "yes",
                    "rpc_code": -32000,
                    "data": [1],
                    "ray": RAY.decode(),
                },
            },
        }
    ]


def test_a_route_that_is_none_is_a_method_that_is_none() -> None:
    talk = Talk()
    talk.session.refuse(b"7", 404, {"error": "no", "code": "not_found"}, RAY)
    (answer,) = talk.heard()
    assert (answer["error"]["code"], answer["error"]["data"]["status"]) == (-32601, 404)


def test_the_end_of_a_lambda_is_told() -> None:
    talk = Talk()
    talk.session.closed(ID, 4410, "deleted")
    assert talk.sent == [
        b'{"jsonrpc":"2.0","method":"lambda.closed","params":{"id":"rhowRuuCUoE5vlcA","code":4410,"reason":"deleted"}}'
    ]


# -- $/ ---------------------------------------------------------------------------------------------------------


@IDS
def test_a_ping_is_answered(request_id: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"$/ping","id":%b}' % request_id)
    talk.receive(b'{"jsonrpc":"2.0","method":"$/ping"}', b'{"jsonrpc":"2.0","method":"$/ping","id":null}')
    assert talk.sent == [b'{"jsonrpc":"2.0","id":%b,"result":null}' % request_id]
    assert not talk.asked


@IDS
def test_what_is_said_about_a_request_names_it_byte_for_byte(request_id: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%b}}' % request_id)
    talk.receive(b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":%b,"add":8}}' % request_id)
    assert (talk.cancelled, talk.credits) == ([request_id], [(request_id, 8)])
    assert not talk.sent


@pytest.mark.parametrize("add", [b"0", b"-1", b"1.5", b'"1"', b"null"])
def test_a_credit_of_nothing_is_dropped(add: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"add":%b}}' % add)
    assert not (talk.credits or talk.sent)


@pytest.mark.parametrize("params", [b'"id":1', b'"params":[1]', b'"params":null', b'"params":5'])
@pytest.mark.parametrize("method", [b"$/cancelRequest", b"$/credit", b"$/progress", b"$/whatever"])
def test_what_says_nothing_is_dropped(method: bytes, params: bytes) -> None:
    talk = Talk()
    talk.receive(b'{"jsonrpc":"2.0","method":"%b",%b}' % (method, params if b"params" in params else b'"x":1'))
    assert not (talk.sent or talk.asked or talk.cancelled or talk.credits)


def test_a_request_of_that_kind_is_answered() -> None:
    assert refused(b'{"id":1,"method":"$/whatever","params":{}}') == (1, -32601)
    assert refused(b'{"id":1,"method":"$/credit","params":[]}') == (1, -32601)
    talk = Talk()
    talk.receive(b'{"id":1,"method":"$/cancelRequest","params":{"id":7}}')
    assert talk.heard() == [{"jsonrpc": "2.0", "id": 1, "result": None}]
    assert talk.cancelled == [b"7"]


# -- its end ----------------------------------------------------------------------------------------------------


def test_a_session_that_was_released_asks_and_sends_nothing() -> None:
    talk = Talk()
    talk.session.release()
    talk.receive(b'{"id":1,"method":"m"}', b"hello", b'{"id":1,"method":"$/ping"}')
    talk.receive(b'{"method":"$/cancelRequest","params":{"id":1}}', b'{"method":"$/credit","params":{"id":1,"add":1}}')
    talk.session.answer(b"1", b"1")
    assert not (talk.sent or talk.asked or talk.cancelled or talk.credits or talk.session.lambdas)


# -- the end of the node ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b'"result":null', b'"error":{"code":-32601,"message":"no"}'])
def test_a_caller_has_heard_of_the_end_when_it_answers_whatever_it_is(answer: bytes) -> None:
    talk = Talk()
    assert talk.session.has_heard
    talk.session.announce_end()
    assert talk.heard() == [{"jsonrpc": "2.0", "method": "node.draining", "id": "$/end"}]
    talk.receive(b'{"jsonrpc":"2.0","id":"%b.1","result":null}' % ID, b'{"jsonrpc":"2.0","id":1,"method":"/ping"}')
    assert not talk.session.has_heard
    talk.receive(b'{"jsonrpc":"2.0","id":"$/end",%b}' % answer)
    assert talk.session.has_heard
    assert not talk.sent
    assert talk.counters.unknown_answers == 1
