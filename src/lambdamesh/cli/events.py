"""``lambdamesh events``: follow what opens and closes on a node."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from lambdamesh.cli.failure import NO_NODE, Failure
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, for_people, printable

SILENCE_S = 60.0
"""Silence after which the node is taken for gone; it sends a comment every 15 s."""


def events(
    *,
    mesh: Annotated[bool, Parameter(negative="", help="Follow every node of the mesh.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Follow the lambdas of a node: a line for each that opens or closes, until ctrl-C."""
    response = LocalDoor(url).stream("/events?scope=mesh" if mesh else "/events", timeout_s=SILENCE_S)
    show = _show_line if for_people(as_json) else _show_json
    try:
        for event, text in read_events(response):
            show(event, text)
    except KeyboardInterrupt:
        return
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise Failure(f"the node at {url} went away: {error}", NO_NODE) from error
    raise Failure(f"the node at {url} ended the stream", NO_NODE)


def read_events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Name and content of each server-sent event (HTML standard, 9.2.6); comments and empty events are left out."""
    name, content = "message", list[str]()
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if content:
                yield name, "\n".join(content)
            name, content = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            content.append(value)


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = text
    return fields if isinstance(fields, dict) else {"content": fields}


def _show_json(event: str, text: str) -> None:
    sys.stdout.write(json.dumps({"event": event} | _fields(text), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _show_line(event: str, text: str) -> None:
    fields = _fields(text)
    shown = [datetime.now().strftime("%H:%M:%S"), f"{event:<5}", str(fields.pop("id", ""))]
    shown += [f"{name}={value}" for name, value in fields.items()]
    print(printable("  ".join(shown)), flush=True)
