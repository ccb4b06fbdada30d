"""The socket of a caller that opens lambdas, without a socket."""

from __future__ import annotations

import json
from typing import Any

from lambdamesh.door.caller import CallerSocket
from tests.unit.door.doors import Stage
from tests.unit.door.heads import FOREIGN, OWN, request_of
from tests.unit.fakes import NOW_MS, Told


class Socket(CallerSocket):
    """The socket of a caller whose messages go nowhere: ``sent`` keeps them, ``waiting`` is what the other side says."""

    def __init__(self, stage: Stage, *, foreign: bool = False, lines: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        handshake = request_of("GET", "/connect", *lines, admission=FOREIGN if foreign else OWN)
        super().__init__(stage.door, handshake, "json-rpc-2.0")
        self.stage = stage
        self.sent: list[bytes] = []
        self.waiting = 0
        self._last_id = 0

    @property
    def waiting_bytes(self) -> int:
        return self.waiting

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def say(self, *messages: bytes) -> None:
        for message in messages:
            self.message(message, True)

    def heard(self) -> list[Any]:
        """What was sent since the last time, decoded."""
        found = [json.loads(message) for message in self.sent]
        self.sent.clear()
        return found

    def ask_for(self, method: str, params: object = None, **meta: object) -> Any:
        """Ask, and return the answer, which comes at once."""
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self.say(json.dumps(request | ({"meta": meta} if meta else {})).encode())
        answer = self.heard()[-1]
        assert answer.pop("id") == self._last_id
        assert answer.pop("jsonrpc") == "2.0"
        return answer

    def open(self, **wanted: object) -> Any:
        """Open a lambda, and return what was told of it."""
        return self.ask_for("lambda.open", wanted)["result"]

    def refusal(self, method: str, params: object) -> tuple[int, str]:
        """The status and the code with which a request is refused."""
        error = self.ask_for(method, params)["error"]
        assert error["data"]["status"] == error["code"] or error["code"] < 0
        return error["data"]["status"], error["data"]["code"]


def call(stage: Stage, text: str, *, body: bytes = b"1", credit: int = 0) -> Told:
    told = Told()
    stage.world.call(told, text=text.encode(), body=body, credit=credit)
    return told


def key_of(stage: Stage, text: str) -> str:
    return stage.keys.mint(text.encode(), NOW_MS / 1000).decode()
