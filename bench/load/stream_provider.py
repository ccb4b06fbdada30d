"""A provider whose answer is an endless stream: `python -m bench.load.stream_provider PORT` prints its id.

It sends as many items as it has credit for, in one write: their numbers, as text of `DIGITS` digits.
"""

import sys
from typing import Any

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.load.frames import masked
from bench.load.meter import say
from bench.load.provider import Opened

DIGITS = 9
SUBPROTOCOL = "json-rpc-2.0"


class Message(msgspec.Struct):
    """What a node sends that matters here."""

    method: str
    id: msgspec.Raw = msgspec.Raw(b"")
    params: Any = None
    meta: Any = None


class Counting(WSListener):
    """Answers `open`, and any call with the numbers from 0 on."""

    def __init__(self) -> None:
        self._sent: dict[object, int] = {}

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Takes one message."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            answer = self._take(msgspec.json.decode(frame.get_payload_as_bytes(), type=Message))
            if answer:
                transport.underlying_transport.write(answer)

    def _take(self, message: Message) -> bytes:
        if message.method == "open":
            say(Opened(message.params[0]["id"]))
            return masked(b'{"jsonrpc":"2.0","id":%b,"result":{"meta":true}}' % message.id)
        if message.method == "$/ping":
            return masked(b'{"jsonrpc":"2.0","id":%b,"result":null}' % message.id)
        if message.method == "$/credit":
            return self._items(message.params["id"], message.params["add"])
        if message.method == "$/cancelRequest":
            self._sent.pop(message.params["id"], None)
            return b""
        number = msgspec.json.decode(message.id)
        self._sent[number] = 0
        return self._items(number, message.meta["credit"])

    def _items(self, number: object, count: int) -> bytes:
        """So many more of a call; none of one that has been cancelled."""
        first = self._sent.get(number)
        if first is None:
            return b""
        self._sent[number] = first + count
        item = b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%b,"value":"%0*d"}}'
        token = msgspec.json.encode(number)
        return b"".join(masked(item % (token, DIGITS, first + step)) for step in range(count))


async def serve(port: int) -> None:
    """Opens the lambda and answers until its socket ends."""
    url = f"ws://127.0.0.1:{port}/lambda/new"
    transport, _ = await ws_connect(Counting, url, extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL})
    await transport.wait_disconnected()
    sys.exit("the node closed the lambda's socket")


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
