"""A caller of the ledger: `python -m tests.faults.caller SPEC` calls lambdas until its standard input ends.

It makes so many calls a second as its window and its node allow, each with a number of its own in its body and a
deadline of chance, over one `/connect` socket or over many HTTP connections, and connects again when it has lost them.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import uvloop

from tests.faults.ledger import CALLER_SHIFT, CLOCK, LOST, RESULT, Pen, answered, sent, stalled, stray
from tests.faults.lines import Line, stdin_ended
from tests.faults.requests import Requests

TICK_S = 0.005
STALL_S = 0.2
"""A pause between two ticks that is longer is written down: who did not run cannot say when an answer came."""
CATCH_UP_S = 0.25
"""How far behind its rate it may be; what is beyond is not made up."""
TIMEOUT_S = (0.5, 5.0)
LAMBDA_CALLS = 24
"""Calls in flight to one lambda: one that does not answer does not take the whole window."""
REDIAL_S = 0.1
NAMES_S = 0.5
LAST_S = 5.0 + 3.0
"""Time for the last answers."""


class CallerSpec(msgspec.Struct, frozen=True):
    """Who it is, the Unix socket of its entry, and how it calls."""

    folder: str
    name: str
    run: int
    """Which one of its name: one that was killed has a successor."""
    number: int
    """Above the count in the numbers of its calls."""
    path: str
    place: int
    by_http: bool
    rate: float
    window: int
    seed: int


class Way(Protocol):
    """How calls get to a node."""

    def can_call(self) -> bool:
        """Whether one more can be sent now."""

    def call(self, number: int, lambda_id: str, timeout_s: float) -> None:
        """Send one; its end is told to the :class:`Calls`."""


@dataclass
class _Flight:
    lambda_id: str
    expected: bytes


class Calls:
    """The calls of one caller: what is in flight, and what is written down of it."""

    def __init__(self, spec: CallerSpec, pen: Pen) -> None:
        self._spec = spec
        self.pen = pen
        self._chance = random.Random(f"{spec.seed} {spec.name} {spec.run}")
        self._last = spec.number << CALLER_SHIFT
        self.flights: dict[int, _Flight] = {}
        self._busy: dict[str, int] = {}
        self._names: list[str] = []
        self._over: asyncio.Event | None = None

    def read_names(self) -> None:
        """Look which lambdas there are."""
        paths = Path(self._spec.folder, "lambdas").iterdir()
        self._names = [path.read_text().split()[0] for path in sorted(paths) if path.suffix != ".new"]

    def call_one(self, way: Way) -> bool:
        """Begin one call; whether there was a lambda for it."""
        lambda_id = self._chance.choice(self._names)
        if self._busy.get(lambda_id, 0) >= LAMBDA_CALLS:
            return False
        self._last += 1
        number, timeout_s = self._last, round(self._chance.uniform(*TIMEOUT_S), 3)
        self.flights[number] = _Flight(lambda_id, b'[%d,"%b"]' % (number, lambda_id.encode()))
        self._busy[lambda_id] = self._busy.get(lambda_id, 0) + 1
        now = CLOCK()
        self.pen.note(sent(number, now, now + timeout_s, lambda_id, self._spec.place + 1))
        way.call(number, lambda_id, timeout_s)
        return True

    def result(self, number: int, raw: bytes) -> None:
        """A result came."""
        flight = self._landed(number)
        self.pen.note(answered(number, CLOCK(), RESULT, "yes", flight is not None and raw == flight.expected))

    def fault(self, number: int, code: str, delivered: str) -> None:
        """Another outcome came. A second one is written down as the first was."""
        self._landed(number)
        self.pen.note(answered(number, CLOCK(), code, delivered))

    async def all_over(self) -> None:
        """Wait until nothing is in flight."""
        self._over = asyncio.Event()
        if self.flights:
            await self._over.wait()

    def stray(self, number: int) -> None:
        """An answer came that belongs to none of its calls."""
        self.pen.note(stray(number, CLOCK()))

    def lost(self, number: int) -> None:
        """The connection of a call that is in flight has ended."""
        self.fault(number, LOST, "unknown")

    def _landed(self, number: int) -> _Flight | None:
        flight = self.flights.pop(number, None)
        if flight is not None:
            self._busy[flight.lambda_id] -= 1
        if self._over is not None and not self.flights:
            self._over.set()
        return flight


class _ErrorMore(msgspec.Struct):
    code: str = ""
    delivered: str = ""


class _Error(msgspec.Struct):
    data: _ErrorMore | None = None


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Connected:
    """Calls over one `/connect` socket."""

    def __init__(self, spec: CallerSpec, calls: Calls) -> None:
        self._spec = spec
        self._calls = calls
        self._line: Line | None = None

    async def keep(self) -> None:
        """Be connected, for ever."""
        while True:
            ended = asyncio.Event()

            def end(_line: Line, _code: int, ended: asyncio.Event = ended) -> None:
                ended.set()
                self._line = None
                for number in list(self._calls.flights):
                    self._calls.lost(number)
                self._calls.pen.flush()

            try:
                self._line = await Line.dial(self._spec.path, "/connect", self._take, end, self._calls.pen.flush)
                await ended.wait()
            except OSError:
                pass  # nobody listens: the node is dead
            await asyncio.sleep(REDIAL_S)

    def can_call(self) -> bool:
        return self._line is not None and self._line.is_open and self._line.can_write

    def call(self, number: int, lambda_id: str, timeout_s: float) -> None:
        assert self._line is not None
        self._line.send(
            b'{"jsonrpc":"2.0","id":%d,"method":"POST /lambda/%b/m","params":[%d],"meta":{"timeout_ms":%d}}'
            % (number, lambda_id.encode(), number, timeout_s * 1000)
        )

    def _take(self, _line: Line, message: bytes) -> None:
        answer = _decode(message)
        if answer.id is None:
            self._calls.stray(0)
        elif answer.error is None:
            self._calls.result(answer.id, bytes(answer.result))
        else:
            more = answer.error.data or _ErrorMore()
            self._calls.fault(answer.id, more.code, more.delivered)


async def call_on(spec: CallerSpec, calls: Calls, way: Way) -> None:
    """Call at the rate, for ever."""
    last, due, named_at = CLOCK(), 0.0, 0.0
    while True:
        now = CLOCK()
        if now - last > STALL_S:
            calls.pen.note(stalled(last, now))
        if now - named_at > NAMES_S:
            named_at = now
            calls.read_names()
        due = min(due + spec.rate * (now - last), spec.rate * CATCH_UP_S)
        last = now
        while due >= 1 and len(calls.flights) < spec.window and way.can_call():
            due -= 1
            calls.call_one(way)
        calls.pen.flush()
        await asyncio.sleep(TICK_S)


async def run(spec: CallerSpec) -> None:
    """Call until the standard input ends, then wait for what is in flight."""
    calls = Calls(spec, Pen(Path(spec.folder, f"{spec.name}.{spec.run}.ledger")))
    way = Requests(spec.path, calls, calls.pen.flush, spec.window) if spec.by_http else Connected(spec, calls)
    tasks = [asyncio.create_task(way.keep()), asyncio.create_task(call_on(spec, calls, way))]
    ended = asyncio.create_task(stdin_ended())
    done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {ended}:
        task.result()
    tasks[1].cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(calls.all_over(), LAST_S)
    calls.pen.flush()
    tasks[0].cancel()


if __name__ == "__main__":
    uvloop.run(run(msgspec.json.decode(sys.argv[1], type=CallerSpec)))
