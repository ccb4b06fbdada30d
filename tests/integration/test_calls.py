"""Calls over HTTP: bytes in, bytes out, and whose fault an error is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.calling import answered, call, gone
from tests.nodes import Node
from tests.providers import Answering, Provider
from tests.websocket import BINARY, TEXT
from tests.wire import RawHttp, refused, request

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def nested_objects(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


# Bodies and results

DOCUMENTS = {
    "beyond 2^53": b'{"n":12345678901234567890123,"m":-9007199254740993}',
    "numbers as written": b"[1.0,1e5,-0,0.10,1E+2,1e400,-1e-400]",
    "key order": b'{"b":1,"a":2,"":3}',
    "duplicate keys": b'{"a":1,"a":2}',
    "spacing inside": b'{ "a" :\t[ 1 ,\r\n 2 ] }',
    "html": b'"<&>\'"',
    "escapes as written": b'"\\u0041\\/\\n\\u0000\\u2028"',
    "lone surrogate": b'"\\ud800"',
    "surrogates the wrong way round": b'{"\\udc00\\ud800":"\\uDBFF"}',
    "utf-8": '"ü€😀\u2028\u0085"'.encode(),
    "DEL is no control character to JSON": b'"\x7f"',
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "zero": b"0",
    "empty string": b'""',
    "empty array": b"[]",
    "empty object": b"{}",
    "500 levels": nested(500),
    "512 levels": nested(512),
    "512 levels of objects": nested_objects(512),
    "brackets in strings do not nest": b'"' + b"[" * 2000 + b'"',
    "5 MB": b'{"list":[' + b",".join(b'{"n":%d}' % n for n in range(400_000)) + b"]}",
    "a long number": b"1" * 5000,
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize("query", ["", "?timeout=30"])
def test_documents_pass_as_bytes(node: Node, echo: Answering, document: bytes, query: str) -> None:
    answer = call(node, echo.id, document, query=query)
    assert answer.status == 200
    assert answer.body == document
    assert echo.calls[-1].body == document


@pytest.mark.parametrize("body", [b" {} ", b"\r\n\t1\n"])
def test_white_space_around_a_body_is_legal(node: Node, echo: Answering, body: bytes) -> None:
    assert call(node, echo.id, body).body.strip() == body.strip()


@pytest.mark.parametrize("body", [None, b""], ids=["no body", "empty body"])
def test_an_empty_body_is_null(node: Node, echo: Answering, body: bytes | None) -> None:
    assert call(node, echo.id, body).body == b"null"
    assert echo.calls[-1].body == b"null"


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=latin1", "x"]
)
def test_the_content_type_does_not_matter(node: Node, echo: Answering, kind: str) -> None:
    assert call(node, echo.id, b'{"a":1}', [("Content-Type", kind)]).body == b'{"a":1}'


NOT_JSON = {
    "half an object": b"{",
    "half a word": b"nul",
    "another word": b"undefined",
    "word in capitals": b"NULL",
    "NaN": b"NaN",
    "NaN inside": b'{"a":[NaN]}',
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "comma at the end": b'{"a":1,}',
    "comma at the end of an array": b"[1,]",
    "no comma": b"[1 2]",
    "single quotes": b"'a'",
    "key without quotes": b"{a:1}",
    "key that is a number": b"{1:1}",
    "zero before a number": b"01",
    "plus": b"+1",
    "point first": b".5",
    "point last": b"1.",
    "exponent without digits": b"1e",
    "minus alone": b"-",
    "hexadecimal": b"0x10",
    "raw line end in a string": b'"a\nb"',
    "raw tab in a string": b'"a\tb"',
    "raw NUL in a string": b'"a\x00b"',
    "raw control character in a key": b'{"a\x01":1}',
    "string without an end": b'"abc',
    "unknown escape": b'"\\x41"',
    "half an escape": b'"\\u12"',
    "escape that is no number": b'"\\u12g4"',
    "two values": b"{} {}",
    "two values, glued": b"{}1",
    "something behind": b"{}]",
    "NUL behind": b"{}\x00",
    "a comment": b"{} // yes",
    "a comment inside": b"[/* yes */ 1]",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "not UTF-8 outside a string": b"\xff",
    "not UTF-8 in a string": b'"\xff"',
    "not UTF-8 in a key": b'{"\xff":1}',
    "Latin-1": b'"gr\xfc\xdfe"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "UTF-8 cut off": b'"\xe2\x82"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "white space that JSON has not": b"\x0b1",
    "no-break space": b"\xc2\xa01",
    "513 levels": nested(513),
    "513 levels of objects": nested_objects(513),
    "100,000 levels": nested(100_000),
    "a million levels, open": b"[" * 1_000_000,
    "a form": b"a=b&c=d",
    "injection": b'1],"id":7},{"method":"x","params":[1',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_never_reaches_the_provider(node: Node, open_lambda: OpenLambda, body: bytes) -> None:
    provider = open_lambda(node)
    answer = refused(call(node, provider.id, body), 400, "bad_request")
    assert answer.delivered == "no"
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/next"))
        following = provider.next_call()
        assert (following.method, following.number) == ("next", 1)
        provider.answer(following)
        assert http.answer().status == 200


BAD_RESULTS = {
    "NaN": (b"NaN", TEXT),
    "Infinity": (b'{"a":[Infinity]}', TEXT),
    "-Infinity": (b"-Infinity", TEXT),
    "raw control character": (b'"a\x01b"', TEXT),
    "raw line end": (b'"a\nb"', TEXT),
    "not UTF-8": (b'"\xff"', BINARY),
    "513 levels": (nested(513), TEXT),
    "700 levels": (nested(700), TEXT),
}
ORDERS = {"id first": b'{"id":%d,"result":@}', "id last": b'{"result":@,"id":%d}'}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@pytest.mark.parametrize(("result", "opcode"), BAD_RESULTS.values(), ids=BAD_RESULTS.keys())
def test_a_bad_answer_ends_its_call_alone(
    node: Node, open_lambda: OpenLambda, result: bytes, opcode: int, order: bytes
) -> None:
    provider = open_lambda(node)
    answer = answered(node, provider, order.replace(b"@", result), opcode)
    assert refused(answer, 502, "bad_answer").delivered == "yes"
    assert answered(node, provider, b'{"id":%d,"result":"well"}').json() == "well"


def test_a_bad_answer_leaves_others_alone(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as other:
        other.send(request("POST", f"/lambda/{provider.id}/other"))
        waiting = provider.next_call()
        refused(answered(node, provider, b'{"id":%d,"result":NaN}'), 502, "bad_answer")
        provider.answer(waiting, b"1")
        assert other.answer().json() == 1


UNREADABLE = {
    "text": b"hello",
    "an array": b'[{"id":%d,"result":1}]',
    "a number": b"1",
    "a string": b'"x"',
    "null": b"null",
    "garbage behind": b'{"id":%d,"result":1}}',
    "garbage before": b'x{"id":%d,"result":1}',
    "key without quotes": b"{id:%d,result:1}",
    "two commas": b'{"id":%d,,"result":1}',
    "no colon": b'{"id" %d}',
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_answer_closes_the_socket(node: Node, open_lambda: OpenLambda, raw: bytes) -> None:
    provider = open_lambda(node)
    answer = answered(node, provider, raw)
    if answer.status != 200:  # what stands before the garbage may count
        assert refused(answer, 502, "lambda_lost").delivered == "unknown"
    assert provider.ws.close_code() == 4400
    assert gone(node, provider.id)


def test_lone_surrogates_in_an_error(node: Node, open_lambda: OpenLambda) -> None:
    answer = answered(node, open_lambda(node), b'{"id":%d,"error":{"message":"\\ud800","data":"\\udfff"}}')
    error = refused(answer, 400, "lambda_error").json()
    assert error["data"] == "\udfff"
    assert error["error"] in ("\ud800", "\ufffd")


def test_a_large_error(node: Node, open_lambda: OpenLambda) -> None:
    message = "x" * 1_000_000
    answer = answered(node, open_lambda(node), b'{"id":%d,"error":"' + message.encode() + b'"}')
    assert refused(answer, 400, "lambda_error").json()["error"] == message


# ?pretty


def test_pretty_indents_a_result_and_changes_nothing_else(node: Node, open_lambda: OpenLambda) -> None:
    result = b'{"b":[1,12345678901234567890123],"a":{"c":"\\ud800<"},"e":[],"f":{}}'
    answer = answered(node, open_lambda(node), b'{"id":%d,"result":' + result + b"}", query="?pretty")
    assert answer.status == 200
    assert answer.body.count(b"\n") > 4
    assert b"".join(answer.body.split()) == result


def test_pretty_indents_errors_too(node: Node, open_lambda: OpenLambda) -> None:
    answer = answered(node, open_lambda(node), b'{"id":%d,"error":"no"}', query="?pretty")
    assert answer.status == 400
    assert b"\n" in answer.body
    assert answer.json() == {"error": "no", "code": "lambda_error", "delivered": "yes"}


def test_numbers_count_from_one(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as http:
        for number in range(1, 20):
            http.send(request("POST", f"/lambda/{provider.id}/m"))
            held = provider.next_call()
            assert held.number == number
            provider.answer(held)
            assert http.answer().status == 200


def test_thousands_of_calls_are_each_answered_once(node: Node) -> None:
    """Eight callers, sixteen requests under way each; every body comes back to its own caller."""
    with Answering(node.address, lambda method, body: body) as provider:
        callers = [RawHttp(node.address) for _ in range(8)]
        for batch in range(20):
            for name, http in enumerate(callers):
                bodies = [b'"%d/%d/%d"' % (name, batch, n) for n in range(16)]
                http.send(b"".join(request("POST", f"/lambda/{provider.id}/m", body) for body in bodies))
            for name, http in enumerate(callers):
                assert [http.answer().json() for _ in range(16)] == [f"{name}/{batch}/{n}" for n in range(16)]
        assert all(http.quiet() for http in callers)
        for http in callers:
            http.close()
        assert len(provider.calls) == 8 * 20 * 16
