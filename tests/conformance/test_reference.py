"""Golden transcripts: JSON-RPC 1.0 byte for byte as the reference shows it, with the caller's side of each exchange.

A transcript is a text of lines::

    # what it shows
    <- what the node sends to the provider, exactly; ``<id>`` stands for the lambda's id
    <- close 4400
    -> what the provider sends: one line, one text message
    A> POST method body           caller A calls (NOTIFY: with ``Prefer: respond-async``)
    A< 200 result                 what caller A gets: a result exactly, of an error at least these members
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.lambda_ids import parse
from tests.nodes import Node
from tests.websocket import WebSocket
from tests.wire import RawHttp, request, sound

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


class Stage:
    """One provider and its callers, following a transcript line by line."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ws = WebSocket.open(node.address, "/lambda/new")
        self.id = ""
        self.callers: dict[str, RawHttp] = {}

    def close(self) -> None:
        self.ws.http.close()
        for caller in self.callers.values():
            caller.close()

    def play(self, line: str) -> None:
        mark, _, text = line.partition(" ")
        if mark == "<-":
            self._node_says(text)
        elif mark == "->":
            self.ws.send(text.encode())
        elif mark.endswith(">"):
            self._call(mark[0], text)
        elif mark.endswith("<"):
            self._answered(mark[0], text)
        else:
            raise ValueError(line)

    def _node_says(self, text: str) -> None:
        if text.startswith("close "):
            assert self.ws.close_code() == int(text.removeprefix("close "))
            return
        said = self.ws.message().decode()
        if not self.id:
            self.id = json.loads(said)["params"][0]
            assert len(self.id) == 16
        assert said == text.replace("<id>", self.id)

    def _call(self, caller: str, text: str) -> None:
        kind, method, *body = text.split(" ", 2)
        self.settle()
        http = self.callers.setdefault(caller, RawHttp(self.node.address))
        headers = [("Prefer", "respond-async")] if kind == "NOTIFY" else []
        http.send(request("POST", f"/lambda/{self.id}/{method}", body[0].encode() if body else None, headers))

    def settle(self) -> None:
        """Let the node read what the provider has said before a caller speaks; after a close there is nothing to read."""
        if not self.ws.closed:
            self.ws.send_frame(9, b"settle")
            assert self.ws.pong() == b"settle"

    def _answered(self, caller: str, text: str) -> None:
        status, _, body = text.partition(" ")
        answer = sound(self.callers[caller].answer())
        assert answer.status == int(status), answer
        if answer.status < 300:
            assert answer.body.decode() == body
            return
        said, due = answer.json(), json.loads(body)
        assert {name: said.get(name, "missing") for name in due} == due
        if "error" in due:
            assert said == due
            data = body.partition('"data":')[2].removesuffix("}")
            assert data.encode() in answer.body


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(node: Node, path: Path) -> None:
    stage = Stage(node)
    try:
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line and not line.startswith("#"):
                stage.play(line)
        stage.settle()
    finally:
        stage.close()


def test_the_id_of_the_reference() -> None:
    """Its timestamp is the one that the reference lists for it."""
    shown = parse("rhowRuuCUoE5vlcA")
    assert (shown.machine, shown.uid) == (0x46301AAE, 0x57BE39815282EB)
    assert shown.at_ms == datetime.fromisoformat("2024-03-09T04:38:57.413+01:00").timestamp() * 1000
    assert str(shown) == "rhowRuuCUoE5vlcA"


def test_there_are_transcripts() -> None:
    assert {"reference", "out-of-order", "value-over-frames"} <= {path.stem for path in TRANSCRIPTS}
