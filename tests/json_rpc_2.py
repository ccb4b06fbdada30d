"""Clients of ``json-rpc-2.0`` by hand: a provider of one lambda, and a `/connect` socket with lambdas of its own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from typing import Any, Self

from tests.nodes import Node
from tests.websocket import PING, PONG, TEXT, Closed, WebSocket, frame
from tests.wire import Closing, Headers, RawHttp, WireError, request

CODE = "json-rpc-2.0"

Message = dict[str, Any]


class Talking(Closing):
    """A socket that speaks JSON-RPC 2.0. What comes while something else is awaited is kept for later, in order."""

    def __init__(
        self, node: Node, target: str, *, headers: Headers = (), receive_buffer_bytes: int | None = None
    ) -> None:
        self.node = node
        self.ws = WebSocket.open(
            node.address, target, headers=headers, subprotocols=(CODE,), receive_buffer_bytes=receive_buffer_bytes
        )
        self._kept: list[Message] = []

    def close(self) -> None:
        """End the connection in the ordinary way (FIN)."""
        self.ws.close()

    def send(self, **members: object) -> None:
        self.ws.send(json.dumps({"jsonrpc": "2.0", **members}).encode())

    def next(self) -> Message:
        """The next message."""
        return self._kept.pop(0) if self._kept else self._read()

    def _read(self) -> Message:
        message: Message = self.ws.json()
        if message.get("jsonrpc") != "2.0":
            raise WireError(f"not JSON-RPC 2.0: {message}")
        return message

    def settle(self) -> None:
        """Wait until the node has read all that was sent. Raises: WireError if a message comes meanwhile."""
        self.ws.send_frame(9, b"settle")
        assert self.ws.pong() == b"settle"

    def call(self, method: str = "m") -> Message:
        """The next message, which has to be a call of ``method``."""
        message = self.next()
        assert (message.get("method"), "id" in message) == (method, True), message
        return message

    def cancelled(self) -> object:
        """The id in the next message, which has to be a cancellation."""
        message = self.next()
        assert (message.get("method"), "id" in message) == ("$/cancelRequest", False), message
        return message["params"]["id"]

    def credited(self) -> tuple[object, int]:
        """Id and count of the next message, which has to give credit."""
        message = self.next()
        assert message.get("method") == "$/credit", message
        return message["params"]["id"], message["params"]["add"]

    def answer(self, call: Message, result: object = "ok") -> None:
        self.send(id=call["id"], result=result)

    def fail(self, call: Message, code: int = -32000, message: str = "boom") -> None:
        self.send(id=call["id"], error={"code": code, "message": message})

    def item(self, call: Message, value: object) -> None:
        """One value of the stream that answers ``call``."""
        self.send(method="$/progress", params={"token": call["id"], "value": value})


class Provider2(Talking):
    """A lambda on a socket of its own. ``opened`` is what ``open`` said."""

    def __init__(self, node: Node, target: str = "/lambda/new", **how: Any) -> None:
        super().__init__(node, target, **how)
        message = self.call("open")
        assert message["id"] == 0
        [self.opened] = message["params"]
        self.id: str = self.opened["id"]
        self.key: str = self.opened["resume_key"]

    def accept(self, result: object = None) -> Self:
        """Answer ``open`` (without a result: as one that wants ``meta``), and know that the node has read it."""
        self.send(id=0, result={"meta": True} if result is None else result)
        self.ws.send_frame(PING)
        while (found := self.ws.frame_but_pings()).opcode == TEXT:
            self._kept.append(json.loads(found.payload))
        if found.opcode != PONG:
            raise WireError(f"no pong but {found}")
        return self

    def again(
        self, keep: Sequence[int] = (), result: object = None, *, at: Node | None = None, **how: Any
    ) -> Provider2:
        """Open the same lambda with its key, on another socket, perhaps ``at`` another node."""
        other = Provider2(at or self.node, f"/lambda/new/{self.id}?key={self.key}", **how)
        return other.accept({"meta": True, "keep": list(keep)} if result is None else result)


class Client2(Talking):
    """A `/connect` socket."""

    def __init__(self, node: Node, **how: Any) -> None:
        super().__init__(node, "/connect", **how)
        self._last = 0

    def ask(self, method: str, params: object = None, **meta: object) -> int:
        """Send one request; its id."""
        self._last += 1
        self.send(
            id=self._last,
            method=method,
            **({} if params is None else {"params": params}),
            **({"meta": meta} if meta else {}),
        )
        return self._last

    def answer_of(self, number: int) -> Message:
        """The answer of one request; what comes before it is kept."""
        while (message := self._read()).get("id") != number or "method" in message:
            self._kept.append(message)
        return message

    def result(self, method: str, params: object = None) -> Any:
        """Send one request; its result."""
        return self.answer_of(self.ask(method, params))["result"]

    def open_lambda(self, **params: object) -> Message:
        """Open a lambda; what the node said."""
        opened: Message = self.result("lambda.open", params)
        return opened

    def refusal(self, method: str, params: object = None) -> Message:
        """Send one request; its error."""
        error: Message = self.answer_of(self.ask(method, params))["error"]
        return error


def calling(node: Node, lambda_id: str, method: str = "m", body: bytes | None = b"1", headers: Headers = ()) -> RawHttp:
    """A caller whose call is on its way."""
    http = RawHttp(node.address)
    http.send(request("POST", f"/lambda/{lambda_id}/{method}", body, headers))
    return http


class Counting(Provider2):
    """A lambda that answers by itself, from a thread, and keeps to its credit.

    ``count`` streams so many items as its body says, ``item`` each; anything else is answered with its body.
    """

    def __init__(self, node: Node, item: bytes = b"0") -> None:
        super().__init__(node)
        self.item_text = item
        self.sent = 0
        self.cancelled_ids: list[object] = []
        self._left: dict[int, int] = {}
        self._credit: dict[int, int] = {}
        self.accept().settle()
        self.ws.http.socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                self._take(self.next())
                for number in tuple(self._left):
                    self._go_on(number)
        except (Closed, WireError, OSError):
            self.ws.close()

    def _take(self, message: Message) -> None:
        params = message["params"]
        if message["method"] == "$/credit":
            if params["id"] in self._credit:
                self._credit[params["id"]] += params["add"]
        elif message["method"] == "$/cancelRequest":
            self.cancelled_ids.append(params["id"])
            self._left.pop(params["id"], None)
        elif message["method"] == "count":
            self._left[message["id"]] = params[0]
            self._credit[message["id"]] = message["meta"]["credit"]
        else:
            self.answer(message, params[0])

    def _go_on(self, number: int) -> None:
        count = min(self._credit[number], self._left[number])
        form = b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%d,"value":%b}}'
        self.ws.http.send(frame(TEXT, form % (number, self.item_text), mask=bytes(4)) * count)
        self.sent += count
        self._credit[number] -= count
        self._left[number] -= count
        if self._left[number] == 0:
            del self._left[number]
            self.send(id=number, result=None)

    def close(self) -> None:
        """Leave with a close frame; the node ends the connection and with it the thread."""
        with contextlib.suppress(OSError):
            self.ws.send_close(1000)
        self._thread.join(5.0)
        super().close()
