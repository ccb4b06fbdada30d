"""A provider of the ledger: `python -m tests.faults.provider SPEC` holds some lambdas until its standard input ends.

Each lambda answers a call with its number and its own id, most at once, some later. It comes back under its id whenever
it loses its socket, and every second one moves from node to node. What it knows of its lambdas is in files, so that it
comes back under the same ids when it was killed.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import OrderedDict
from pathlib import Path

import msgspec
import uvloop

from tests.faults.ledger import CLOCK, Pen, executed, opened
from tests.faults.lines import Line, stdin_ended

AT_ONCE, SOON = 0.92, 0.99
"""Which share of calls is answered at once, and which before long; the rest takes a while."""
SOON_S, LATE_S = (0.005, 0.2), (0.5, 3.0)
REMEMBERED = 512
"""Answers that are kept in case the socket that took them has died."""
MOVES_S = (3.0, 8.0)
REDIAL_S = (0.1, 0.5)
OPEN_S = 6.0
"""Time for a node to say ``open``."""
GRACE_S = 15
FINAL = (400, 403, 404, 410, 4403, 4404, 4410)
"""Statuses and close codes after which the id is given up and a new one opened."""


class ProviderSpec(msgspec.Struct, frozen=True):
    """Who it is, where the nodes' Unix sockets are, the first one its own, and how many lambdas it has."""

    folder: str
    name: str
    run: int
    nodes: list[str]
    place: int
    lambdas: int
    seed: int


class _Call(msgspec.Struct, gc=False):
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")
    id: int | str | None = None


class _Opened(msgspec.Struct):
    id: str
    resume_key: str
    pending: list[int] = []


_decode = msgspec.json.Decoder(_Call).decode
_decode_opened = msgspec.json.Decoder(list[_Opened]).decode
_decode_cancelled = msgspec.json.Decoder(dict[str, int]).decode


class Held:
    """One lambda: its socket, the calls that it works on, and what it has answered lately."""

    def __init__(self, spec: ProviderSpec, number: int, pen: Pen) -> None:
        self._spec = spec
        self._pen = pen
        self._chance = random.Random(f"{spec.seed} {spec.name} {spec.run} {number}")
        self._path = Path(spec.folder, "lambdas", f"{spec.name}-{number}")
        self._moves = number % 2 == 1
        self._id = self._key = ""
        if self._path.exists():
            self._id, self._key = self._path.read_text().split()
        self._place = spec.place
        self._line: Line | None = None
        self._ended = asyncio.Event()
        self._working: dict[int, asyncio.TimerHandle] = {}
        self._answers: OrderedDict[int, bytes] = OrderedDict()

    async def hold(self) -> None:
        """Open it, and open it again whenever it is lost or is to move."""
        while True:
            self._ended.clear()
            is_open = await self._open_at(self._place)
            if is_open:
                wait_s = self._chance.uniform(*MOVES_S) if self._moves else None
                try:
                    await asyncio.wait_for(self._ended.wait(), wait_s)
                except TimeoutError:
                    self._place = self._elsewhere()
                    continue
            elif self._moves:
                self._place = self._elsewhere()
            await asyncio.sleep(self._chance.uniform(*REDIAL_S))

    def _elsewhere(self) -> int:
        return self._chance.randrange(len(self._spec.nodes))

    async def _open_at(self, place: int) -> bool:
        """Open it at a node, and have that socket in place of the one before; whether that was possible."""
        target = f"/lambda/new/{self._id}?key={self._key}&" if self._id else "/lambda/new?"
        told = asyncio.get_running_loop().create_future()

        def take(line: Line, message: bytes) -> None:
            call = _decode(message)
            if call.method != "open":
                self._take(line, call)
                return
            self._opened(line, call, place)
            if not told.done():
                told.set_result(0)

        def end(line: Line, code: int) -> None:
            if not told.done():
                told.set_result(code or 1)
            if line is self._line:
                self._line = None
                self._ended.set()

        line: Line | None = None
        try:
            line = await Line.dial(self._spec.nodes[place], f"{target}grace={GRACE_S}", take, end, self._pen.flush)
            code = await asyncio.wait_for(told, OPEN_S)
        except (OSError, TimeoutError):
            code = 1
        if code and line is not None:
            line.drop()
        if code in FINAL:
            self._forget()
        return code == 0

    def _forget(self) -> None:
        """Give up the id, and whatever was to be answered under it."""
        self._id = self._key = ""
        for handle in self._working.values():
            handle.cancel()
        self._working.clear()
        self._answers.clear()
        before, self._line = self._line, None
        if before is not None:
            before.drop()

    def _opened(self, line: Line, call: _Call, place: int) -> None:
        [said] = _decode_opened(call.params)
        self._id, self._key = said.id, said.resume_key
        line.lambda_id = said.id.encode()
        before, self._line = self._line, line
        self._pen.note(opened(said.id, CLOCK(), place + 1))
        again = [number for number in said.pending if number in self._answers]
        kept = [*self._working, *again]
        line.send(b'{"jsonrpc":"2.0","id":0,"result":{"meta":true,"keep":%b}}' % msgspec.json.encode(kept))
        for number in again:
            line.send(self._answers[number])
        if before is not None:
            asyncio.get_running_loop().call_later(2.0, before.drop)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{self._id} {self._key}")
        fresh.replace(self._path)

    def _take(self, line: Line, call: _Call) -> None:
        if call.method == "m" and isinstance(call.id, int):
            self._execute(line.lambda_id, call.id, int(bytes(call.params)[1:-1]))
        elif call.method == "$/cancelRequest":
            handle = self._working.pop(_decode_cancelled(call.params)["id"], None)
            if handle is not None:
                handle.cancel()
        elif call.method == "$/ping":
            line.send(b'{"jsonrpc":"2.0","id":%b,"result":null}' % msgspec.json.encode(call.id))

    def _execute(self, lambda_id: bytes, number: int, body: int) -> None:
        """``number`` counts the calls of the lambda, ``body`` is the caller's."""
        self._pen.note(executed(body, CLOCK(), lambda_id))
        answer = b'{"jsonrpc":"2.0","id":%d,"result":[%d,"%b"]}' % (number, body, lambda_id)
        when = self._chance.random()
        if when < AT_ONCE:
            self._answer(number, answer)
            return
        after_s = self._chance.uniform(*(SOON_S if when < SOON else LATE_S))
        self._working[number] = asyncio.get_running_loop().call_later(after_s, self._answer, number, answer)

    def _answer(self, number: int, answer: bytes) -> None:
        self._working.pop(number, None)
        self._answers[number] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        if self._line is not None:
            self._line.send(answer)


async def run(spec: ProviderSpec) -> None:
    """Hold the lambdas until the standard input ends."""
    pen = Pen(Path(spec.folder, f"{spec.name}.{spec.run}.ledger"))
    tasks = [asyncio.create_task(Held(spec, number, pen).hold()) for number in range(spec.lambdas)]
    ended = asyncio.create_task(stdin_ended())
    done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
    pen.flush()
    for task in done - {ended}:
        task.result()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(run(msgspec.json.decode(sys.argv[1], type=ProviderSpec)))
