"""What a soak does to its nodes: lambdas that come and go, and calls of some that stay."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter

from tests.faults.crowds.sockets import Caller, LambdaSocket, Message, Place, Refused

STEADY = 20
CALLERS = 8
WAYS = {"closed": 60, "lost": 15, "back": 15, "expired": 10}
"""How lives end, and how many of a hundred: closed properly; lost without grace; lost, re-opened anywhere, and closed; lost
with a grace in which nobody comes back."""
GRACE_S, SHORT_GRACE_S = 15, 1
LOST_WITH_SOCKET = "calls that a dropped socket had"
MOST_LOST = 3
"""So many, and one in a hundred re-openings more: the node learns of the end of a socket within a turn of its loop."""
LATE_S = 0.5
IDLE_S = 30.0
"""How long a connection may have been idle to be used again: nodes close those that are idle for longer than twice as much."""


class Load:
    """Opens so many lambdas a second at ``places``, and makes so many calls. ``wrong`` is what should not have been."""

    def __init__(self, places: list[Place], opens_a_second: float, calls_a_second: float, seed: int = 0) -> None:
        self._places = places
        self._opens_a_second = opens_a_second
        self._calls_a_second = calls_a_second
        self._chance = random.Random(seed)
        self._lives: set[asyncio.Task[None]] = set()
        self._idle: dict[Place, list[tuple[float, Caller]]] = {place: [] for place in places}
        self._steady: list[LambdaSocket] = []
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def run(self, ends_at: float) -> None:
        """Do it until then (monotonic seconds), and leave nothing behind."""
        for number in range(STEADY):
            socket = await LambdaSocket.open(self._places[number % len(self._places)], "/lambda/new", _echo)
            socket.accept()
            self._steady.append(socket)
        begin_at = time.monotonic()
        callers = (self._call_steadily(begin_at + number / self._calls_a_second, ends_at) for number in range(CALLERS))
        await asyncio.gather(self._churn(begin_at, ends_at), *callers)
        await asyncio.gather(*self._lives)
        if self.done[LOST_WITH_SOCKET] > MOST_LOST + self.done["back"] / 100:
            self.wrong.append(
                f"{self.done[LOST_WITH_SOCKET]} of {self.done['back']} calls were lost with a dropped socket"
            )
        for socket in self._steady:
            socket.close(1000)
        await asyncio.gather(*(socket.left for socket in self._steady))
        for idle in self._idle.values():
            for _, caller in idle:
                caller.close()

    async def _churn(self, due_at: float, ends_at: float) -> None:
        while (due_at := await self._turn(due_at)) < ends_at:
            life = asyncio.create_task(self._guarded())
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
            due_at += 1 / self._opens_a_second

    async def _turn(self, due_at: float) -> float:
        """Wait until then; when it is. What a slow machine is late with for long is left out, and not made up for."""
        now = time.monotonic()
        if due_at < now - LATE_S:
            self.done["left out for want of time"] += 1
            return now
        await asyncio.sleep(max(due_at - now, 0.0))
        return due_at

    async def _guarded(self) -> None:
        way = self._chance.choices(list(WAYS), list(WAYS.values()))[0]
        try:
            await self._live(way)
        except (Refused, OSError, TimeoutError) as error:
            self.wrong.append(f"a lambda that was to be {way}: {error!r}")
        self.done[way] += 1

    async def _live(self, way: str) -> None:
        grace_s = {"lost": 0, "expired": SHORT_GRACE_S}.get(way, GRACE_S)
        socket = await LambdaSocket.open(self._place(), f"/lambda/new?grace={grace_s}", _echo)
        socket.accept()
        # Nobody may call it before the node has read that it is there.
        await socket.read()
        await self._call(socket.id)
        if way != "closed":
            socket.drop()
            await socket.left
        if way == "back":
            target = f"/lambda/new/{socket.id}?key={socket.key}&grace={GRACE_S}"
            socket = await LambdaSocket.open(self._place(), target, _echo)
            socket.accept()
            await self._call(socket.id, is_moving=True)
        if way in ("closed", "back"):
            socket.close(1000)
            await socket.left

    async def _call_steadily(self, due_at: float, ends_at: float) -> None:
        number = 0
        while (due_at := await self._turn(due_at)) < ends_at:
            number += 1
            await self._call(self._chance.choice(self._steady).id, number)
            due_at += CALLERS / self._calls_a_second

    async def _call(self, lambda_id: str, number: int = 1, *, is_moving: bool = False) -> None:
        """``is_moving``: the node may still take the socket that was dropped for the one that has it, and lose the call."""
        status, raw = await self._ask(self._place(), "POST", f"/lambda/{lambda_id}/m", b"%d" % number)
        self.done["calls"] += 1
        if is_moving and status == 502 and json.loads(raw)["code"] == "lambda_lost":
            self.done[LOST_WITH_SOCKET] += 1
        elif (status, raw) != (200, b"%d" % number):
            self.wrong.append(f"a call of {lambda_id}: {status} {raw!r}")

    async def _ask(self, place: Place, verb: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        caller = await self._connected(place)
        answer = await caller.ask(verb, target, body)
        self._idle[place].append((time.monotonic(), caller))
        return answer

    async def _connected(self, place: Place) -> Caller:
        """One that is idle, and that the node will not close yet; else a new one."""
        idle = self._idle[place]
        while idle:
            since, caller = idle.pop()
            if time.monotonic() - since < IDLE_S:
                return caller
            caller.close()
        return await Caller.connect(place)

    def _place(self) -> Place:
        return self._chance.choice(self._places)


def _echo(socket: LambdaSocket, message: Message) -> None:
    socket.answer(message["id"], message["params"][0])
