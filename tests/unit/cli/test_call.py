"""``lambdamesh call``: what is sent, what is shown."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from lambdamesh.cli import main
from tests.unit.cli.fake_node import FakeNode

ID = "rhowRuuCUoE5vlcA"


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"a": 1, "a": 12345678901234567890123}',
        "-5",
        "1e3",
        "true",
        '"\\ud800"',
        " [1 ] ",
        "[" * 2000 + "]" * 2000,
        "1" * 5000,
        '"grüße"',
    ],
)
def test_the_body_is_sent_as_it_is(body: str, fake_node: FakeNode) -> None:
    fake_node.answer(f"POST /lambda/{ID}/test", b"null")
    assert main(["call", ID, "test", body, "--url", fake_node.url]) == 0
    assert fake_node.asked[0].body == body.encode()


def test_without_a_body_null_is_sent(fake_node: FakeNode) -> None:
    fake_node.answer(f"POST /lambda/{ID}/hello", b"null")
    assert main(["call", ID, "hello", "--url", fake_node.url]) == 0
    assert fake_node.asked[0].body == b"null"


def test_the_body_may_come_from_stdin(fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b'{"from":\n"stdin"}\n')))
    fake_node.answer(f"POST /lambda/{ID}/test", b"null")
    assert main(["call", ID, "test", "-", "--url", fake_node.url]) == 0
    assert fake_node.asked[0].body == b'{"from":\n"stdin"}\n'


@pytest.mark.parametrize("lambda_id", ["-howRuuCUoE5vlcA", "--owRuuCUoE5vlcA", "_howRuuCUoE5vlcA", "-hVRuuCUoE5vlcA"])
def test_ids_may_start_with_a_hyphen(lambda_id: str, fake_node: FakeNode) -> None:
    fake_node.answer(f"POST /lambda/{lambda_id}/test", b"1")
    assert main(["call", lambda_id, "test", "--url", fake_node.url]) == 0


def test_names_are_escaped_and_the_deadline_is_passed_on(fake_node: FakeNode) -> None:
    fake_node.answer(f"POST /lambda/{ID}/a%2Fb%20%C3%BC%3F?timeout=1.500", b"1")
    assert main(["call", ID, "a/b ü?", "--timeout", "1.5", "--url", fake_node.url]) == 0


def test_a_pipe_gets_the_result_as_it_came(fake_node: FakeNode, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    result = b'{"b": 12345678901234567890, "a":1.50,"b": "\\ud800"}'
    fake_node.answer(f"POST /lambda/{ID}/test", result)
    assert main(["call", ID, "test", "--url", fake_node.url]) == 0
    assert capfdbinary.readouterr().out == result + b"\n"


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_it_indented(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer(f"POST /lambda/{ID}/test", b'{"b":12345678901234567890,"a":[1.50]}')
    assert main(["call", ID, "test", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == '{\n  "b": 12345678901234567890,\n  "a": [\n    1.50\n  ]\n}\n'
    assert main(["call", ID, "test", "--json", "--url", fake_node.url]) == 0
    assert capsys.readouterr().out == '{"b":12345678901234567890,"a":[1.50]}\n'


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("hello", "write it as '\"hello\"'"),
        ("NaN", "'\"NaN\"'"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a":', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("--verbose", "'\"--verbose\"'"),
        ("", "'\"\"'"),
    ],
)
def test_what_is_not_json_is_a_usage_error_with_a_hint(
    body: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call", ID, "test", body]) == 2
    assert hint in capsys.readouterr().err


def test_a_failed_call_tells_all_there_is(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"error": "no \\u001b[31m such", "code": "method_not_found", "delivered": "yes", "rpc_code": -32601, "data": {"x": 1}}'
    fake_node.answer(f"POST /lambda/{ID}/test", body, 400, X_Ray="00-ABC")
    assert main(["call", ID, "test", "--url", fake_node.url]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "method_not_found: no \\x1b[31m such",
        "  delivered: yes",
        "  ray: 00-ABC",
        "  rpc_code: -32601",
        '  data: {"x": 1}',
    ]


def test_an_error_without_json_still_tells_its_status(fake_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    fake_node.answer(f"POST /lambda/{ID}/test", b"<html>", 502)
    assert main(["call", ID, "test", "--url", fake_node.url]) == 1
    assert "HTTP 502: Bad Gateway" in capsys.readouterr().err
