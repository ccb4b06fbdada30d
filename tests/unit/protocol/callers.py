"""A session with a caller that has opened one lambda, and all that came of it."""

from __future__ import annotations

import json
from typing import Any

from lambdamesh.protocol.asked import Asked
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_caller import CallerSession
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import Told

ID = b"rhowRuuCUoE5vlcA"
RAY = b"0057be39815282ea-MYH"


class Talk:
    """A session with one lambda, ``ID``; what was asked of the node (``Asking``), and what it sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.asked: list[Asked] = []
        self.cancelled: list[bytes] = []
        self.credits: list[tuple[bytes, int]] = []
        self.counters = SessionCounters()
        self.session = CallerSession(self.sent.append, self, self.counters, 16)
        self.calls = LambdaCalls(self.sent.append, self.counters, Bounds(1 << 20, 1024), ID, (b'"%b.' % ID, b'"'))
        self.calls.has_meta = True
        self.session.lambdas[ID] = self.calls

    def ask(self, asked: Asked) -> None:
        self.asked.append(asked)

    def cancel(self, request_id: bytes) -> None:
        self.cancelled.append(request_id)

    def credit(self, request_id: bytes, add: int) -> None:
        self.credits.append((request_id, add))

    def call(self, credit: int = 0) -> Told:
        """Call the lambda that was opened here."""
        told = Told()
        self.calls.call(Call(ID, b'"test"', b"1", 60.0, RAY, b"", credit), told)
        self.sent.clear()
        return told

    def receive(self, *messages: bytes) -> None:
        for message in messages:
            self.session.receive(message, False)

    def heard(self) -> list[Any]:
        """What was sent since the last time, decoded."""
        found = [json.loads(message) for message in self.sent]
        self.sent.clear()
        return found
