"""The methods of a lambda, as it tells of them itself by ``rpc.discover``."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from lambdamesh.cli.describing import type_text
from lambdamesh.cli.failure import Failure
from lambdamesh.cli.local_door import LocalDoor, error_text
from lambdamesh.cli.output import show_table, write_json

_DOES_NOT_KNOW = frozenset({"method_not_found", "lambda_error", "invalid_params"})


class Given(msgspec.Struct):
    """A parameter or a result of a method (OpenRPC: content descriptor)."""

    name: str = ""
    required: bool = False
    schema: dict[str, Any] = {}


class Method(msgspec.Struct):
    """One method of an OpenRPC document."""

    name: str
    params: list[Given] = []
    result: Given | None = None
    summary: str = ""
    is_stream: bool = msgspec.field(default=False, name="x-stream")


class _Document(msgspec.Struct):
    openrpc: str
    methods: list[Method]


class _Refusal(msgspec.Struct):
    code: str = ""


def list_methods(door: LocalDoor, lambda_id: str, *, people: bool) -> None:
    """Print the methods of a lambda. Raises: Failure where it does not tell."""
    answer = door.request("POST", f"/lambda/{quote(lambda_id, safe='')}/rpc.discover", b"null")
    if answer.status >= 300:
        raise Failure(_silent(lambda_id) if _does_not_know(answer.body) else error_text(answer))
    try:
        document = msgspec.json.decode(answer.body, type=_Document)
    except (msgspec.MsgspecError, RecursionError):
        raise Failure(_silent(lambda_id)) from None
    if people:
        rows = [row_of(method) for method in document.methods]
        show_table(("METHOD", "TAKES", "GIVES", "WHAT IT DOES"), rows, none="it has no methods")
    else:
        write_json(answer.body)


def row_of(method: Method) -> tuple[str, str, str, str]:
    """A method as a row of the table; ``?`` marks a parameter that may be left out."""
    taken = [f"{given.name}{'' if given.required else '?'}: {type_text(given.schema)}" for given in method.params]
    gives = type_text(method.result.schema) if method.result is not None else ""
    return method.name, ", ".join(taken), f"stream of {gives}" if method.is_stream else gives, method.summary


def _does_not_know(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Refusal).code in _DOES_NOT_KNOW
    except msgspec.MsgspecError:
        return False


def _silent(lambda_id: str) -> str:
    return (
        f"{lambda_id} is there, but does not tell its methods (it does not know rpc.discover): "
        f"call one by its name with `lambdamesh call {lambda_id} METHOD`"
    )
