"""Requests as bytes, and what the tests of HTTP ask of a connection. In them ``{id}`` stands for a live lambda that echoes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.nodes import Node
from tests.providers import Answering, Provider
from tests.wire import RawHttp, lines

HOST = "Host: localhost"
GET_PING = lines("GET /ping HTTP/1.1", HOST)
NEVER = "POST /lambda/{id}/never HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"

OpenLambda = Callable[..., Provider]
Sender = Callable[[RawHttp, bytes], None]


@dataclass(frozen=True)
class Case:
    name: str
    request: bytes
    status: int = 400

    def of(self, lambda_id: str) -> bytes:
        return self.request.replace(b"{id}", lambda_id.encode())


def named(case: Case) -> str:
    return case.name


def never(name: str, *fields: str | bytes, body: bytes = b"") -> Case:
    """A call that must not reach the lambda."""
    return Case(name, lines(NEVER, HOST, *fields, body=body))


def ping(name: str, *fields: str | bytes, first: str | bytes = "GET /ping HTTP/1.1") -> Case:
    return Case(name, lines(first, *fields))


def chunks(name: str, body: bytes) -> Case:
    return never(name, CHUNKED, body=body)


def whole(http: RawHttp, data: bytes) -> None:
    http.send(data)


def bytewise(http: RawHttp, data: bytes) -> None:
    http.send_slowly(data)


SENDERS = pytest.mark.parametrize("sender", [whole, bytewise], ids=["whole", "bytewise"])


def never_reached(echo: Answering, node: Node) -> bool:
    """Whether no ``never`` came to the lambda; a later call shows that all earlier ones are in."""
    assert node.fetch("POST", f"/lambda/{echo.id}/marker").status == 200
    methods = echo.methods()
    echo.calls.clear()
    return not any("never" in method for method in methods)


def alive(http: RawHttp) -> bool:
    """Whether the connection answers one more request, and only that: the answer is the next thing that comes."""
    answer = http.ask("GET", "/version")
    return answer.status == 200 and answer.json() != "" and http.quiet()
