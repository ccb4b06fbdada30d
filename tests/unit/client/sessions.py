"""A session with a node that is played by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lambdamesh.client.envelopes import call_head
from lambdamesh.client.hosting import Hosted, Served
from lambdamesh.client.patience import PATIENCE_S
from lambdamesh.client.requests import PLAIN, Request, Terms
from lambdamesh.client.session import Session
from lambdamesh.errors import MeshError

ID = "rhowRuuCUoE5vlcA"


class Asked(Request):
    """A request that keeps its outcomes: results, errors, and items before them."""

    __slots__ = ("errors", "items", "results")

    def __init__(self, terms: Terms = PLAIN, now: float = 0.0, body: bytes = b"1") -> None:
        super().__init__(call_head(ID, "test"), body, terms, now)
        self.results: list[bytes] = []
        self.errors: list[MeshError] = []
        self.items: list[bytes] = []

    def result(self, raw: bytes) -> None:
        self.results.append(bytes(raw))

    def item(self, raw: bytes, now: float) -> None:
        self.items.append(bytes(raw))

    def fault(self, error: MeshError) -> None:
        self.errors.append(error)

    @property
    def outcomes(self) -> int:
        return len(self.results) + len(self.errors)


class World:
    """A session; ``sent`` are the messages that went out, ``served`` the calls that a handler was asked to answer."""

    def __init__(self, patience_s: float = PATIENCE_S, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.sent: list[dict[str, Any]] = []
        self.served: list[tuple[Served, Any, bytes]] = []
        self.alarms: list[float] = []
        self.session = Session(
            lambda served, handler, params: self.served.append((served, handler, bytes(params))),
            self.alarms.append,
            patience_s,
            chance,
        )

    def connect(self) -> None:
        self.session.connected(lambda message: self.sent.append(json.loads(message)))

    def take(self) -> list[dict[str, Any]]:
        """What was sent since the last time."""
        sent, self.sent = self.sent, []
        return sent

    def say(self, now: float = 0.0, **message: Any) -> None:
        self.session.receive(json.dumps({"jsonrpc": "2.0", **message}).encode(), now)

    def open(self, lambda_id: str = ID, *methods: str) -> Hosted:
        hosted = Hosted({method: method.upper() for method in methods or ("test",)}, None)
        self.session.seat(hosted, lambda_id, "key")
        return hosted

    def call(self, number: int | None, method: str = "test", lambda_id: str = ID, **meta: Any) -> Served | None:
        """Have the node call; returns the call, if a handler was asked."""
        before = len(self.served)
        known: dict[str, Any] = {} if number is None else {"id": f"{lambda_id}.{number}"}
        self.say(method=method, params=[number], meta={"lambda": lambda_id, **meta}, **known)
        return self.served[-1][0] if len(self.served) > before else None
