"""Thousands of sockets that end and come back, at any node: nobody gets a lambda without its key, no call is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
import uvloop

from tests.faults.crowds.court import SUPERSEDED, Asked, Seat, judge
from tests.faults.crowds.scale import IS_FULL, WORKERS, chosen_seed, node_settings, scaled
from tests.faults.crowds.sockets import WAIT_S, Caller, LambdaSocket, Message, Place, Refused
from tests.integration.reopening import spoiled
from tests.meshes import Mesh, call, counters, mesh
from tests.nodes import until
from tests.providers import Answering, echo

REOPENINGS = scaled(600, 10_000)
LAMBDAS = scaled(24, 100)
GRACE_S = 60
ENDS = ("reset", "fin", "1001", "3000")
PATIENT = {"ping_interval_s": 60, "link_silence_s": 60, "open_timeout_s": 60}
"""On a machine that has much to do, nobody shall be taken for dead: that is what other tests are about."""
LOOK_S, STARVED_S = 0.05, 1.0
WRONG_KEYS = ("spoiled", "another's", "none")


class Stage:
    """The nodes' doors, and all that was seen."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.serials = itertools.count(1)
        self.numbers = itertools.count(1)
        self.seats: list[Seat] = []
        self.calls: list[Asked] = []
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self.keys: dict[str, str] = {}
        self.looks: dict[Place, Caller] = {}


class Taken:
    """A socket that has, or wants, a lambda, and its place in the ledger. It answers with its serial and the body."""

    def __init__(self, stage: Stage, place: Place, late_s: float = 0.0, *, has_key: bool = True) -> None:
        self.place = place
        self.seat = Seat(next(stage.serials), has_key)
        self._late_s = late_s
        stage.seats.append(self.seat)
        self.socket: LambdaSocket

    def __call__(self, socket: LambdaSocket, message: Message) -> None:
        """Answer a call, perhaps late."""
        self.seat.executed.append(message["params"][0])
        answer = [self.seat.serial, *message["params"]]
        if self._late_s:
            asyncio.get_running_loop().call_later(self._late_s, socket.answer, message["id"], answer)
        else:
            socket.answer(message["id"], answer)

    async def ended(self) -> int:
        """Wait until the node has ended it; the code."""
        async with asyncio.timeout(WAIT_S):
            self.seat.code = await self.socket.left
        return self.seat.code


class Life:
    """One lambda that loses its sockets and comes back. ``is_plain``: of the codec ``json-rpc``."""

    def __init__(self, stage: Stage, chance: random.Random, *, is_plain: bool) -> None:
        self._stage = stage
        self._chance = chance
        self._is_plain = is_plain
        self._id = self._step = ""
        self._owner: Taken

    async def run(self, steps: int) -> None:
        """Open it, and let so many things happen to it."""
        stage = self._stage
        self._owner = await self._come(f"/lambda/new?grace={GRACE_S}")
        self._id = self._owner.socket.id
        # Before it has answered, it is nobody's: whoever knows the id of the first codec may want it.
        await self._until("open", self._owner.place)
        self._settled()
        for step in range(steps):
            kind = self._chance.choices(("drop", "race", "takeover", "assault"), (4, 2, 2, 2))[0]
            self._step = f"step {step}, {kind}"
            try:
                await getattr(self, f"_{kind}")()
            except (Refused, TimeoutError, OSError) as error:
                stage.wrong.append(f"{self._id} in {self._step}: {error!r}")
                return
            stage.done[kind] += 1

    # -- what happens -------------------------------------------------------------------------------------------

    async def _drop(self) -> None:
        """Its socket ends; one comes back with the key, while others try without."""
        await self._end()
        self._begin_calls(self._chance.randrange(4), is_race=False)
        self._begin_assaults()
        self._owner = await self._return()
        await self._finish({self._owner.seat.serial})

    async def _race(self) -> None:
        """Its socket ends, and several with its key want it at once: the last to answer has it."""
        await self._end()
        self._begin_calls(self._chance.randrange(4), is_race=True)
        self._begin_assaults()
        await self._contend(count=self._chance.choice((2, 3)))

    async def _takeover(self) -> None:
        """Its socket is there when another comes with its key."""
        self._begin_calls(self._chance.randrange(4), is_race=True)
        self._begin_assaults()
        await self._contend(self._owner, count=self._chance.choice((1, 1, 2)))

    async def _assault(self) -> None:
        """Others want it without its key; who has it notices nothing."""
        self._begin_calls(self._chance.randrange(1, 4), is_race=False)
        self._begin_assaults(least=2)
        await self._finish({self._owner.seat.serial})
        if not self._owner.socket.is_open or self._owner.socket.strangers:
            self._stage.wrong.append(f"{self._id}: its owner noticed those that had no key")

    # -- sockets ------------------------------------------------------------------------------------------------

    def _settled(self) -> None:
        self._stage.keys[self._id] = self._owner.socket.key
        self._calls: list[tuple[Asked, asyncio.Task[None]]] = []
        self._assaults: list[asyncio.Task[None]] = []

    def _place(self) -> Place:
        return self._chance.choice(self._stage.places)

    async def _come(self, target: str) -> Taken:
        taken = Taken(self._stage, self._place(), self._chance.choice((0.0, 0.0, 0.003)))
        taken.socket = await LambdaSocket.open(taken.place, target, taken, is_plain=self._is_plain)
        taken.socket.accept()
        return taken

    async def _return(self) -> Taken:
        return await self._come(f"/lambda/new/{self._id}?key={self._owner.socket.key}&grace={GRACE_S}")

    async def _end(self) -> None:
        """End the owner's socket, and wait until the lambda waits: what is called from now on has to wait too."""
        how = self._chance.choice(ENDS)
        socket = self._owner.socket
        if not socket.is_open:
            raise ConnectionError(f"its owner's socket was ended by the node with {await self._owner.ended()}")
        if how.isdigit():
            socket.close(int(how))
        else:
            {"reset": socket.reset, "fin": socket.drop}[how]()
        await self._until("waiting", self._owner.place)
        self._stage.done[how] += 1

    async def _until(self, state: str, place: Place) -> None:
        ends_at = time.monotonic() + WAIT_S
        with await Looking.at(place) as look:
            while True:
                status, raw = await look.ask("GET", f"/lambda/{self._id}")
                if status == 200 and json.loads(raw)["state"] == state:
                    return
                if time.monotonic() > ends_at:
                    raise TimeoutError(f"it is not {state}: {status} {raw[:200]!r}")

    async def _contend(self, *before: Taken, count: int) -> None:
        """Come with the key so many times at once; go on with the one that is left."""
        came = await asyncio.gather(*(self._return() for _ in range(count)), return_exceptions=True)
        failed = [one for one in came if isinstance(one, BaseException)]
        if failed:
            raise failed[0]
        rivals = [*before, *(one for one in came if isinstance(one, Taken))]
        async with asyncio.timeout(WAIT_S):
            while sum(one.socket.is_open for one in rivals) > 1:
                await asyncio.wait(
                    [one.socket.left for one in rivals if one.socket.is_open], return_when=asyncio.FIRST_COMPLETED
                )
        stayed = [one for one in rivals if one.socket.is_open]
        if len(stayed) != 1:
            raise TimeoutError("all of those with the key were turned away")
        for one in rivals:
            if one is not stayed[0] and await one.ended() != SUPERSEDED:
                self._stage.wrong.append(f"{self._id}: closed with {one.seat.code} where another took over")
        self._owner = stayed[0]
        await self._finish({one.seat.serial for one in rivals})

    # -- calls and intruders ------------------------------------------------------------------------------------

    def _begin_calls(self, count: int, *, is_race: bool) -> None:
        for _ in range(count):
            asked, place = Asked(next(self._stage.numbers), frozenset(), is_race), self._place()
            asked.about = f"of {self._id} at {place[1]}, {self._step}"
            self._stage.calls.append(asked)
            self._calls.append((asked, asyncio.create_task(self._call(asked, place))))

    async def _call(self, asked: Asked, place: Place) -> None:
        try:
            with await Looking.at(place) as caller:
                asked.status, said = await caller.call(self._id, asked.number)
                if asked.status == 200:
                    asked.serial, asked.echoed = said
                else:
                    asked.code, asked.delivered = said["code"], said["delivered"]
        except (OSError, TimeoutError) as error:
            self._stage.wrong.append(f"call {asked.number} {asked.about}: {error!r}")

    def _begin_assaults(self, least: int = 0) -> None:
        for _ in range(self._chance.randint(least, 3)):
            self._assaults.append(asyncio.create_task(self._assail(self._chance.choice(WRONG_KEYS), self._place())))

    async def _assail(self, how: str, place: Place) -> None:
        others = [key for lambda_id, key in self._stage.keys.items() if lambda_id != self._id]
        key = self._chance.choice(others if how == "another's" and others else spoiled(self._owner.socket.key))
        target = f"/lambda/new/{self._id}" + ("" if how == "none" else f"?key={key}")
        intruder = Taken(self._stage, place, has_key=False)
        try:
            socket = await LambdaSocket.open(place, target, intruder, is_plain=self._is_plain)
            socket.accept()
            self._stage.wrong.append(f"{self._id} was given to one with {how} key")
        except Refused as refused:
            if refused.status != 403:
                self._stage.wrong.append(f"{self._id}: {how} key was answered with {refused}")
        self._stage.done[f"{how} key"] += 1

    async def _finish(self, rightful: set[int]) -> None:
        """Wait for all that was begun, and make one call more: it has to come to the owner."""
        self._begin_calls(1, is_race=False)
        await asyncio.gather(*self._assaults, *(task for _, task in self._calls))
        last, _ = self._calls.pop()
        last.rightful = frozenset({self._owner.seat.serial})
        for asked, _ in self._calls:
            asked.rightful = frozenset(rightful)
        self._settled()


class Looking:
    """A caller for the length of a block; that nothing came which was not due is looked at in the end."""

    surplus = 0

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @classmethod
    async def at(cls, place: Place) -> Looking:
        return cls(await Caller.connect(place))

    def __enter__(self) -> Caller:
        return self._caller

    def __exit__(self, *_error: object) -> None:
        Looking.surplus += self._caller.surplus
        self._caller.close()


async def live(stage: Stage, seed: int) -> float:
    """Let it all happen; the longest time for which this process was not let do anything."""
    steps = REOPENINGS // LAMBDAS
    lag = asyncio.create_task(longest_lag())
    lives = [Life(stage, random.Random(f"{seed}-{number}"), is_plain=number % 4 == 3) for number in range(LAMBDAS)]
    await asyncio.gather(*(life.run(steps) for life in lives))
    lag.cancel()
    return await lag


async def longest_lag() -> float:
    """Look at the clock again and again, until cancelled."""
    longest_s, looked_at = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(LOOK_S)
            longest_s, looked_at = max(longest_s, time.monotonic() - looked_at - LOOK_S), time.monotonic()
    except asyncio.CancelledError:
        return longest_s


def doors(running: Mesh) -> list[Place]:
    return [(node.host, node.port) for node in running]


def link_all(running: Mesh) -> None:
    """Have one link between each two nodes: while there are two, a call may be overtaken by the move of its lambda.

    It is refused then, and was given to nobody; what this is about is calls that nothing refuses.
    """
    for home in running:
        with Answering(home.address, echo) as provider:
            assert all(call(entry, provider.id) == (200, 1) for entry in running)
    if WORKERS == 1:
        # Of several workers not each has a link to each.
        others = len(running.nodes) - 1
        for node in running:
            until(lambda: counters(node)["links"] == others, "one link to each of the others", WAIT_S)  # noqa: B023


@pytest.mark.timeout(1800 if IS_FULL else 120)
def test_whoever_has_the_key_has_the_lambda(tmp_path: Path) -> None:
    seed = chosen_seed()
    with mesh(tmp_path, 3, **PATIENT, **node_settings()) as running:
        link_all(running)
        stage = Stage(doors(running))
        began_at = time.monotonic()
        lag_s = uvloop.run(live(stage, seed))
        links_lost = sum(counters(node)["links_lost"] for node in running)
        print(f"{time.monotonic() - began_at:.1f} s, {len(stage.calls)} calls, {dict(sorted(stage.done.items()))}")
        is_starved = bool(links_lost) or lag_s > STARVED_S
        if is_starved:
            print(
                f"this machine let nothing run for {lag_s:.1f} s, and {links_lost:.0f} links ended: honest refusals count as well"
            )
        wrong = stage.wrong + judge(stage.seats, stage.calls, is_starved=is_starved)
        assert not wrong, f"seed {seed}: {len(wrong)} wrong:\n" + "\n".join(wrong[:20])
        assert Looking.surplus == 0, "a caller was answered twice"
        assert sum(stage.done[kind] for kind in ("drop", "race", "takeover", "assault")) >= REOPENINGS - LAMBDAS
        assert all(stage.done[kind] for kind in (*ENDS, "spoiled key", "another's key", "none key"))
        lost = sum(call.status != 200 for call in stage.calls)
        print(f"{lost} calls were lost with a socket that another took over from")
        for node in running:
            assert not node.complaints()
