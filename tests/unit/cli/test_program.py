"""``expose --exec``: what a program is given, and what is made of what it writes."""

from __future__ import annotations

import pytest

from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.cli.program import Program, body_of, checked, parse_command
from lambdamesh.errors import LambdaError


@pytest.mark.parametrize(
    ("params", "line"),
    [
        (b'[ {"a": [1, 1.50]} ]', b'{"a": [1, 1.50]}\n'),
        (b'[{"a":\r\n 1}]', b'{"a":   1}\n'),
        (b"[[]]", b"[]\n"),
        (b"[]", b"null\n"),
        (b'["a\\nb"]', b'"a\\nb"\n'),
    ],
)
def test_the_body_is_one_line_and_otherwise_as_it_came(params: bytes, line: bytes) -> None:
    assert body_of(params) == line


def test_what_it_writes_is_the_result_as_it_is() -> None:
    assert checked(b' {"n": 12345678901234567890, "x": 1.50}\n', "it") == b'{"n": 12345678901234567890, "x": 1.50}'
    assert checked(b"\n", "it") == b"null"


@pytest.mark.parametrize("output", [b"{", b"1\n2", b"NaN", b"hello", b"\xff", b"[" * 100_000])
def test_what_is_not_one_json_value_is_an_error(output: bytes) -> None:
    with pytest.raises(LambdaError, match="cat did not write one JSON value"):
        checked(output, "cat")


def test_the_command_is_taken_apart_as_a_shell_would() -> None:
    assert parse_command("sh -c 'echo 1'") == ["sh", "-c", "echo 1"]


@pytest.mark.parametrize("text", ["", "no-such-program-anywhere x", "sh 'unclosed", "/", "./gone"])
def test_what_cannot_be_run_is_a_usage_error(text: str) -> None:
    with pytest.raises(Failure, match="--exec") as raised:
        parse_command(text)
    assert raised.value.exit_code == USAGE


def test_every_method_is_the_program_s_but_those_of_the_client() -> None:
    handlers = Program(["true"]).handlers()
    assert handlers.get("anything") is handlers.get("else")
    assert handlers.get("rpc.discover") is None
