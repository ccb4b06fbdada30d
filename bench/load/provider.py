"""A lambda that answers each call with its body: `python -m bench.load.provider PORT` prints its id once it is open.

Answers to the calls of one read go out in one write.
"""

import sys

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.load.frames import masked
from bench.load.meter import say


class Request(msgspec.Struct, gc=False):
    """What a node sends to a lambda; the body stays bytes."""

    id: int
    method: str
    params: list[msgspec.Raw]


class Opened(msgspec.Struct):
    """Printed when the lambda is open."""

    id: str


decode_request = msgspec.json.Decoder(Request).decode


class Echo(WSListener):
    """Answers `open` with "ok" and any call with its first parameter."""

    def __init__(self) -> None:
        self._answers: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Takes one message; writes the answers after the last of a read."""
        if frame.msg_type == WSMsgType.TEXT:
            self._answer(decode_request(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        if frame.last_in_buffer and self._answers:
            transport.underlying_transport.write(b"".join(self._answers))
            self._answers.clear()

    def _answer(self, request: Request) -> None:
        if request.method == "open":
            self._answers.append(masked(b'{"id":0,"result":"ok"}'))
            self.opened(msgspec.json.decode(request.params[0], type=str))
        else:
            self._answers.append(masked(b'{"id":%d,"result":%b}' % (request.id, request.params[0])))

    def opened(self, lambda_id: str) -> None:
        """Says which id the node has given."""
        say(Opened(lambda_id))


async def serve(port: int) -> None:
    """Opens the lambda and answers until its socket ends."""
    # Pings that picows answers are not seen here: were one the last frame of a read, the answers would stay unsent.
    transport, _ = await ws_connect(Echo, f"ws://127.0.0.1:{port}/lambda/new", enable_auto_pong=False)
    await transport.wait_disconnected()
    sys.exit("the node closed the lambda's socket")


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
