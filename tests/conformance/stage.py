"""Golden transcripts: what each side of an exchange says, byte for byte, followed against a real node.

A transcript is a text of lines::

    # what it shows
    = /lambda/new json-rpc-2.0    the socket of ``<-`` and ``->``: target and codec (else /lambda/new without a codec)
    C= /connect json-rpc-2.0      one more socket, C, which says C-> and hears C<-
    <- what the node sends, exactly but for its placeholders
    <- close 4400
    -> what the client sends: one line, one text message (or ``close 1001``)
    A> POST method body           caller A calls by HTTP (NOTIFY: ``Prefer: respond-async``; SSE, NDJSON: ``Accept``)
    A< 200 result                 what caller A gets: a result exactly, of an error at least these members
    A| data: 1                    the next line of a stream; the first comes with a head that says 200
    A> leaves                     caller A closes its connection

Placeholders: ``<id>`` and ``<key>`` (also ``<id2>`` and so on) stand for what the node first said in their place,
``<ray>``, ``<node>`` and ``<ms>`` for a ray, the name of the host, and milliseconds. ``POST`` goes to ``<id>``.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

from tests.nodes import Node
from tests.websocket import WebSocket
from tests.wire import RawHttp, request, sound

_PLACEHOLDER = re.compile(r"<([a-z]+)([0-9]*)>")
_SOCKET = re.compile(r"([A-Z]?)(=|<-|->)")
_BOUND = {"id": "[A-Za-z0-9_-]{16}", "key": "[A-Za-z0-9_-]{30,}"}
_ANY = {"ray": "[0-9a-f]{16}-[A-Z]{3}", "ms": "[0-9]{1,5}", "node": re.escape(socket.gethostname())}
_HEADERS = {
    "POST": (),
    "NOTIFY": (("Prefer", "respond-async"),),
    "SSE": (("Accept", "text/event-stream"),),
    "NDJSON": (("Accept", "application/x-ndjson"),),
}


class Stage:
    """Sockets and callers, following a transcript line by line."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sockets: dict[str, WebSocket] = {}
        self.callers: dict[str, RawHttp] = {}
        self.values: dict[str, str] = {}
        self._streams: dict[str, bytes] = {}
        self._spoken: WebSocket | None = None

    def play_all(self, path: Path) -> None:
        """Follow a whole transcript; behind its end nobody hears anything more."""
        try:
            for line in path.read_text(encoding="utf-8").split("\n"):
                if line and not line.startswith("#"):
                    self.play(line)
            for ws in self.sockets.values():
                settle(ws)
        finally:
            for end in (*self.sockets.values(), *self.callers.values()):
                end.close()

    def play(self, line: str) -> None:
        """Follow one line. Raises: AssertionError where the node says something else."""
        mark, _, text = line.partition(" ")
        if found := _SOCKET.fullmatch(mark):
            {"=": self._open, "<-": self._heard, "->": self._say}[found[2]](found[1], text)
            return
        verb = {">": self._call, "<": self._answered, "|": self._streamed}[mark[1:]]
        verb(mark[0], text)

    # -- sockets ------------------------------------------------------------------------------------------------

    def _open(self, name: str, text: str) -> None:
        self._settle()
        target, *codecs = self._filled(text).split(" ")
        self.sockets[name] = WebSocket.open(self.node.address, target, subprotocols=tuple(codecs))
        assert self.sockets[name].handshake.header("Sec-WebSocket-Protocol") == (codecs[0] if codecs else None)

    def _socket(self, name: str) -> WebSocket:
        if name not in self.sockets:
            self._open(name, "/lambda/new")
        return self.sockets[name]

    def _heard(self, name: str, text: str) -> None:
        ws = self._socket(name)
        if text.startswith("close "):
            assert ws.close_code() == int(text.removeprefix("close "))
            return
        said = ws.message().decode()
        found = self._pattern(text).fullmatch(said)
        assert found, f"\n{said}\nand not\n{text}"
        self.values |= found.groupdict()

    def _say(self, name: str, text: str) -> None:
        ws = self._socket(name)
        if ws is not self._spoken:
            self._settle()
        self._spoken = ws
        if text.startswith("close "):
            ws.send_close(int(text.removeprefix("close ")))
            ws.close_code()
        else:
            ws.send(self._filled(text).encode())

    def _settle(self) -> None:
        """Let the node read what was said before somebody else speaks."""
        if self._spoken is not None:
            settle(self._spoken)
            self._spoken = None

    # -- callers ------------------------------------------------------------------------------------------------

    def _call(self, caller: str, text: str) -> None:
        self._settle()
        if text == "leaves":
            self.callers.pop(caller).close()
            return
        kind, method, *body = text.split(" ", 2)
        http = self.callers.setdefault(caller, RawHttp(self.node.address))
        target = f"/lambda/{self.values['id']}/{method}"
        http.send(request("POST", target, body[0].encode() if body else None, _HEADERS[kind]))

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
            shown = body.partition('"data":')[2].removesuffix("}")
            assert shown.encode() in answer.body

    def _streamed(self, caller: str, text: str) -> None:
        http = self.callers[caller]
        if caller not in self._streams:
            assert sound(http.head()).status == 200
            self._streams[caller] = b""
        while not (line := self._streams[caller].lstrip(b"\n")).count(b"\n"):
            self._streams[caller] = line + http.chunk()
        said, _, self._streams[caller] = line.partition(b"\n")
        assert said.decode() == text

    # -- placeholders -------------------------------------------------------------------------------------------

    def _filled(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self.values[found[1] + found[2]], text)

    def _pattern(self, text: str) -> re.Pattern[str]:
        named: set[str] = set()

        def form(kind: str, name: str) -> str:
            if kind in _ANY:
                return _ANY[kind]
            if name in self.values:
                return re.escape(self.values[name])
            if name in named:
                return f"(?P={name})"
            named.add(name)
            return f"(?P<{name}>{_BOUND[kind]})"

        pieces = _PLACEHOLDER.split(text)
        parts = [re.escape(pieces[0])]
        for kind, number, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            parts += [form(kind, kind + number), re.escape(rest)]
        return re.compile("".join(parts), re.DOTALL)


def settle(ws: WebSocket) -> None:
    """Let the node read what was said on ``ws``; behind a close there is nothing to read."""
    if not ws.closed:
        ws.send_frame(9, b"settle")
        assert ws.pong() == b"settle"
