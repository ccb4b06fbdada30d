"""Errors across the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

import lambdamesh
from lambdamesh import CallError
from lambdamesh.client import faults
from lambdamesh.client.faults import copy_of, encode_raised, encode_reply, read_fault, reply_to
from lambdamesh.errors import HeadTooLarge, InvalidParams, LambdaError, MethodNotFound
from lambdamesh.protocol.faults import fault


def told(status: int, code: str, **more: Any) -> CallError:
    return read_fault(
        json.dumps({"code": status, "message": "m", "data": {"status": status, "code": code, **more}}).encode()
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "lambda_error", lambdamesh.LambdaError),
        (400, "method_not_found", lambdamesh.MethodNotFound),
        (400, "invalid_params", lambdamesh.InvalidParams),
        (400, "bad_request", lambdamesh.BadRequest),
        (401, "unauthorized", lambdamesh.Unauthorized),
        (403, "forbidden", lambdamesh.Forbidden),
        (404, "not_found", lambdamesh.NotFound),
        (404, "lambda_not_found", lambdamesh.LambdaNotFound),
        (405, "method_not_allowed", lambdamesh.MethodNotAllowed),
        (410, "lambda_gone", lambdamesh.LambdaGone),
        (413, "too_large", lambdamesh.TooLarge),
        (431, "too_large", HeadTooLarge),
        (415, "unsupported", lambdamesh.Unsupported),
        (429, "overloaded", lambdamesh.CallerOverloaded),
        (503, "overloaded", lambdamesh.Overloaded),
        (503, "draining", lambdamesh.Draining),
        (503, "recovering", lambdamesh.Recovering),
        (502, "lambda_lost", lambdamesh.LambdaLost),
        (502, "peer_unreachable", lambdamesh.PeerUnreachable),
        (502, "bad_answer", lambdamesh.BadAnswer),
        (504, "timeout", lambdamesh.CallTimeout),
        (508, "loop", lambdamesh.Loop),
    ],
)
def test_each_code_has_its_class(status: int, code: str, kind: type[CallError]) -> None:
    error = told(status, code, delivered="unknown", ray="r-XXX", rpc_code=7, data={"x": 1})
    assert type(error) is kind
    assert (error.code, error.http_status, error.message) == (code, status, "m")
    assert (error.delivered, error.ray, error.rpc_code, error.data) == ("unknown", "r-XXX", 7, {"x": 1})


def test_what_is_not_known_goes_by_its_status() -> None:
    assert type(told(503, "brand_new")).http_status == 503
    assert isinstance(told(599, "brand_new"), CallError)
    assert isinstance(read_fault(b'{"code":-32600,"message":"not a request"}'), CallError)
    assert read_fault(b'"text"').delivered == "unknown"


def test_without_delivered_the_class_says_it() -> None:
    assert fault(504, "timeout", "m").delivered == "unknown"
    assert fault(404, "lambda_not_found", "m").delivered == "no"


def test_an_error_is_copied_with_all_it_says() -> None:
    error = told(400, "lambda_error", ray="r", rpc_code=1, data=[1], delivered="yes")
    copied = copy_of(error)
    assert copied is not error
    assert type(copied) is type(error)
    assert vars(copied) == vars(error)
    assert copied.args == error.args


@pytest.mark.parametrize(
    ("raised", "reply"),
    [
        (ValueError("too small"), {"code": -32000, "message": "ValueError: too small"}),
        (KeyError("k"), {"code": -32000, "message": "KeyError: 'k'"}),
        (ZeroDivisionError(), {"code": -32000, "message": "ZeroDivisionError"}),
        (LambdaError("no"), {"code": -32000, "message": "no"}),
        (LambdaError("no", rpc_code=5, data=[1]), {"code": 5, "message": "no", "data": [1]}),
        (InvalidParams("no"), {"code": -32602, "message": "no"}),
        (MethodNotFound("no"), {"code": -32601, "message": "no"}),
    ],
)
def test_replies(raised: Exception, reply: dict[str, Any]) -> None:
    assert json.loads(encode_reply(reply_to(raised, debug=False))) == reply


def test_the_traceback_is_for_debugging() -> None:
    with pytest.raises(ValueError, match="here") as raised:
        raise ValueError("here")
    assert "Traceback" not in encode_reply(reply_to(raised.value, debug=False)).decode()
    assert "Traceback" in encode_reply(reply_to(raised.value, debug=True)).decode()


def test_data_that_is_not_json_is_said() -> None:
    reply = json.loads(encode_reply(reply_to(LambdaError("no", rpc_code=5, data=object()), debug=False)))
    assert reply["code"] == 5
    assert reply["message"].startswith("no (its data is not JSON")


def test_long_texts_are_cut() -> None:
    assert len(reply_to(ValueError("x" * 100_000), debug=False).message) < 3000


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("\ud800")


class Loud(Mute):
    __repr__ = Mute.__str__


def unreadable() -> LambdaError:
    error = LambdaError("no")
    error.message = Mute()  # type: ignore[assignment]
    error.rpc_code = "five"  # type: ignore[assignment]
    return error


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (ValueError("a\ud800b"), "ValueError: a?b"),
        (LambdaError("a\ud800"), "a?"),
        (LambdaError("a\ud800", data=object()), "a? (its data is not JSON: Encoding objects of type object"),
        (LambdaError("a", data={"\ud800": Mute}), "a (its data is not JSON: Encoding objects of type type"),
        (LambdaError("a", rpc_code=1 << 70), "a"),
        (Mute(), "Mute: its text cannot be read (RuntimeError)"),
        (Loud(), "Loud: its text cannot be read (RuntimeError)"),
        (unreadable(), "its text cannot be read (RuntimeError)"),
    ],
)
def test_whatever_is_raised_can_be_said(raised: Exception, message: str, debug: bool) -> None:
    reply = json.loads(encode_raised(raised, debug))
    assert reply["message"].startswith(message)
    assert isinstance(reply["code"], int)


def test_data_with_lone_surrogates_passes() -> None:
    assert json.loads(encode_raised(LambdaError("no", data=["\ud800"]), debug=False))["data"] == ["\ud800"]


def test_there_is_a_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "reply_to", lambda *_: 1 / 0)
    assert json.loads(encode_raised(ValueError("a"), debug=False))["code"] == -32000
