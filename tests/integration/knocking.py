"""Every route of the local door, and how to knock at each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.nodes import Node
from tests.websocket import handshake
from tests.wire import Answer, Headers, RawHttp, refused, request, sound

APP = "https://app.example"
"""The foreign origin that these nodes allow."""


@dataclass(frozen=True)
class Route:
    """One way to knock. ``foreign``: whether a page of an allowed foreign origin may."""

    verb: str
    target: str
    upgrade: bool = False
    foreign: bool = False
    status: int = 200

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"

    def bytes(self, lambda_id: str, headers: Headers = (), host: str = "localhost") -> bytes:
        target = self.target.replace("{id}", lambda_id)
        if self.upgrade:
            return handshake(target, headers, host=host)
        return request(self.verb, target, b"1" if self.verb == "POST" else None, headers, host)


ROUTES = [
    Route("GET", "/"),
    Route("GET", "/lambda"),
    Route("POST", "/lambda"),
    Route("GET", "/lambda/{id}", foreign=True),
    Route("HEAD", "/lambda/{id}", foreign=True),
    Route("DELETE", "/lambda/{id}"),
    Route("POST", "/lambda/{id}/m", foreign=True),
    Route("GET", "/lambda/new", upgrade=True, foreign=True, status=101),
    Route("GET", "/connect", upgrade=True, foreign=True, status=101),
    Route("GET", "/events"),
    Route("GET", "/ping", foreign=True),
    Route("POST", "/ping", foreign=True),
    Route("GET", "/version", foreign=True),
    Route("GET", "/peers"),
    Route("GET", "/peers/alive"),
    Route("GET", "/debug/headers"),
    Route("GET", "/healthz", foreign=True),
    Route("GET", "/readyz", foreign=True),
    Route("GET", "/metrics"),
]
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=str)
REFUSED_ROUTES = pytest.mark.parametrize("route", [*ROUTES, Route("GET", "/lambda/new/{id}", upgrade=True)], ids=str)


def knock(node: Node, route: Route, lambda_id: str, headers: Headers = (), host: str = "localhost") -> Answer:
    """The head of the answer, which may be an endless one."""
    with RawHttp(node.address) as http:
        http.send(route.bytes(lambda_id, headers, host))
        if (route.target, route.verb) == ("/events", "GET"):
            head = http.head()
            return (
                head
                if head.status == 200
                else Answer(head.status, head.headers, http.exactly(int(head.header("Content-Length") or 0)))
            )
        return http.answer(to_head=route.verb == "HEAD")


def forbidden(answer: Answer, route: Route, status: int = 403) -> None:
    assert sound(answer).status == status, answer
    if route.verb != "HEAD":
        refused(answer, status, {403: "forbidden", 401: "unauthorized"}[status])
        if route.target == "/lambda/{id}/m":
            assert answer.delivered == "no"
