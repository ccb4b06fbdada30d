"""Calls over one `/connect` socket, many in flight: `python -m bench.load.over_connect`.

Reads a LoadSpec, prints a Sample. `connections` of the spec is the number of calls in flight. Each has
a slot, whose number is the id of its calls.
"""

import asyncio

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.load.frames import masked
from bench.load.meter import CLOCK, LoadSpec, Sample, Stopwatch, read_spec, say


class Answer(msgspec.Struct, gc=False):
    """What comes back for a call; the result stays bytes."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"")


decode_answer = msgspec.json.Decoder(Answer).decode


class Caller(WSListener):
    """Keeps every slot busy; sends the calls that one read freed in one write."""

    def __init__(self, spec: LoadSpec) -> None:
        call = '{"id":%d,"method":"POST %s","params":[%s]}'
        self._calls = [masked((call % (slot, spec.path, spec.body)).encode()) for slot in range(spec.connections)]
        self._expected = spec.body.encode()
        self._sent_at = [0.0] * spec.connections
        self._next: list[bytes] = []
        self.latencies_s: list[float] = []
        self.errors = 0
        self.first_error = ""
        self.running = True

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Sends the first call of every slot."""
        self._sent_at = [CLOCK()] * len(self._sent_at)
        transport.underlying_transport.write(b"".join(self._calls))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Takes one message; repeats the calls of all answers after the last of a read."""
        payload = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.TEXT:
            self._take(payload)
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(payload)
        if frame.last_in_buffer and self._next:
            if self.running:
                transport.underlying_transport.write(b"".join(self._next))
            self._next.clear()

    def _take(self, payload: bytes) -> None:
        answer = decode_answer(payload)
        if bytes(answer.result) != self._expected:
            self.errors += 1
            self.first_error = self.first_error or f"wrong answer: {payload[:300]!r}"
        slot, now = answer.id, CLOCK()
        self.latencies_s.append(now - self._sent_at[slot])
        self._sent_at[slot] = now
        self._next.append(self._calls[slot])

    def check_all_answered(self, since: float) -> None:
        """Counts the calls of before `since` that are still unanswered."""
        overdue = sum(sent_at < since for sent_at in self._sent_at)
        if overdue:
            self.errors += overdue
            self.first_error = self.first_error or f"no answer for {CLOCK() - min(self._sent_at):.1f} s"

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """A socket that ends while calls are wanted is an error."""
        if self.running:
            self.errors += 1
            self.first_error = self.first_error or "the socket ended"


async def run(spec: LoadSpec) -> Sample:
    """Opens the socket, warms up, measures, closes."""
    # Pings that picows answers are not seen here: were one the last frame of a read, the calls would stay unsent.
    url = f"ws://127.0.0.1:{spec.port}/connect"
    transport, listener = await ws_connect(lambda: Caller(spec), url, enable_auto_pong=False)
    assert isinstance(listener, Caller)
    await asyncio.sleep(spec.warm_up_s)
    listener.latencies_s.clear()
    watch = Stopwatch(spec)
    await asyncio.sleep(spec.seconds)
    listener.check_all_answered(watch.overdue_since)
    sample = watch.sample(listener.latencies_s, listener.errors, listener.first_error)
    listener.running = False
    transport.disconnect()
    return sample


if __name__ == "__main__":
    say(uvloop.run(run(read_spec(LoadSpec))))
