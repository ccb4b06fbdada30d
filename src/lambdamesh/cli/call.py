"""``lambdamesh call``: call a method of a lambda and print its result."""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url, error_text
from lambdamesh.cli.output import AsJson, for_people, printable, show_json, write_json

CALL_TIMEOUT_MAX_S = 3600.0
NODE_SPARE_S = 30.0
"""How much longer than the call itself we wait for the node."""


def call(
    lambda_id: Annotated[str, Parameter(name="ID", help="Id of the lambda, 16 characters.", allow_leading_hyphen=True)],
    method: Annotated[str, Parameter(name="METHOD", help="Name of its method.")],
    body: Annotated[
        str,
        Parameter(name="JSON", help="Body of the call as JSON; - reads it from stdin.", allow_leading_hyphen=True),
    ] = "null",
    /,
    *,
    timeout: Annotated[float | None, Parameter(help="Deadline in seconds; without it the node's, 60 s.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Call a method of a lambda and print its result."""
    content = sys.stdin.buffer.read() if body == "-" else _from_argument(body)
    target = f"/lambda/{quote(lambda_id, safe='')}/{quote(method, safe='')}"
    wait_s = CALL_TIMEOUT_MAX_S
    if timeout is not None:
        if not (math.isfinite(timeout) and timeout >= 0.001):
            raise Failure("--timeout: give a number of seconds, at least 0.001", USAGE)
        target += f"?timeout={timeout:.3f}"
        wait_s = timeout
    answer = LocalDoor(url).request("POST", target, content, timeout_s=wait_s + NODE_SPARE_S)
    if answer.status >= 300:
        raise Failure(error_text(answer))
    if for_people(as_json):
        show_json(answer.body)
    else:
        write_json(answer.body)


def _from_argument(text: str) -> bytes:
    """The body of the call, unchanged. Raises: Failure (usage) where it is not JSON, with what may have been meant."""
    try:
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except RecursionError:
        pass  # the node tells how deep is too deep
    except ValueError as error:
        reason = f"the body is not JSON: {error}"
        if text[:1] not in ("{", "[", '"'):
            meant = json.dumps(text, ensure_ascii=False)
            reason = f"the body {text!r} is not JSON; for the text write it as '{printable(meant)}', quotes and all"
        raise Failure(reason, USAGE) from error
    return text.encode("utf-8", "surrogateescape")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
