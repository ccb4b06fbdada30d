"""``lambdamesh call``: call a method of a lambda and print what it gives, or list the methods that there are."""

from __future__ import annotations

import http.client
import math
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from lambdamesh.cli.body import Body, LambdaId, read_body
from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.cli.local_door import DEFAULT_URL, Answer, LocalDoor, Url, error_text
from lambdamesh.cli.methods import list_methods
from lambdamesh.cli.output import AsJson, for_people, show_json, write_json

CALL_TIMEOUT_MAX_S = 3600.0
NODE_SPARE_S = 30.0
"""How much longer than the call itself we wait for the node."""
_STREAM = "application/x-ndjson"
_ITEM, _RESULT, _END = b'{"item":', b'{"result":', b"}"


def call(
    lambda_id: LambdaId,
    method: Annotated[str | None, Parameter(name="METHOD", help="Name of its method.")] = None,
    body: Body = "null",
    /,
    *,
    timeout: Annotated[
        float | None, Parameter(help="Deadline in seconds, of a stream the longest silence; without it 60 s.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Call a method of a lambda and print its result, or what it streams.

    Without METHOD the methods of the lambda are listed, where it tells of them.
    """
    people = for_people(as_json)
    if method is None:
        list_methods(LocalDoor(url), lambda_id, people=people)
        return
    content = read_body(body)
    target = f"/lambda/{quote(lambda_id, safe='')}/{quote(method, safe='')}"
    wait_s = CALL_TIMEOUT_MAX_S
    if timeout is not None:
        if not (math.isfinite(timeout) and timeout >= 0.001):
            raise Failure("--timeout: give a number of seconds, at least 0.001", USAGE)
        target += f"?timeout={timeout:.3f}"
        wait_s = timeout
    show = show_json if people else write_json
    with LocalDoor(url).answering("POST", target, content, timeout_s=wait_s + NODE_SPARE_S, accept=_STREAM) as answer:
        if answer.status >= 300:
            raise Failure(error_text(Answer(answer.status, answer.headers, answer.read())))
        if answer.headers.get_content_type() == _STREAM:
            _show_stream(answer, show)
        else:
            show(answer.read())


def _show_stream(answer: http.client.HTTPResponse, show: Callable[[bytes], None]) -> None:
    """Show each item as it comes, and the result unless it only says that they have ended. Raises: Failure."""
    has_items = False
    for line in answer:
        text = line.rstrip(b"\r\n")
        if text.startswith(_ITEM):
            has_items = True
            show(text.removeprefix(_ITEM).removesuffix(_END))
        elif text.startswith(_RESULT):
            result = text.removeprefix(_RESULT).removesuffix(_END)
            if not (has_items and result == b"null"):
                show(result)
            return
        elif text:
            raise Failure(error_text(Answer(answer.status, answer.headers, text)))
    raise Failure("the stream was cut off before its end: what came so far may be all there is, or not")
