"""The calls of ``bench``: what is asked for, making them, and what came of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

import lambdamesh
from lambdamesh.cli.latencies import Latencies
from lambdamesh.cli.pacing import AtOnce, Steady, Turns, clock

_LOOK_S = 0.1


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked for: ``calls`` in all, or as many as ``seconds`` allow where that is ``None``."""

    in_flight: Annotated[
        int, Parameter(name="--in-flight", help="Calls that wait at the same time.", validator=Number(gte=1, lte=65536))
    ] = 64
    connections: Annotated[
        int,
        Parameter(
            name="--connections", help="Connections that they are spread over.", validator=Number(gte=1, lte=1024)
        ),
    ] = 1
    seconds: Annotated[
        float,
        Parameter(name=("--duration", "--seconds"), help="Seconds to call.", validator=Number(gt=0, lte=86_400)),
    ] = 5.0
    calls: Annotated[
        int | None,
        Parameter(name="--calls", help="Make so many calls, however long that takes.", validator=Number(gte=1)),
    ] = None
    rate: Annotated[
        float | None,
        Parameter(
            name="--rate",
            help="Calls a second, begun whether or not others are answered; their time counts from when they were due.",
            validator=Number(gt=0, lte=1_000_000),
        ),
    ] = None
    timeout: Annotated[
        float | None,
        Parameter(
            name="--timeout", help="Deadline of each call in seconds; without it 60 s.", validator=Number(gte=0.001)
        ),
    ] = None

    def turns(self) -> Turns:
        """When its calls begin, the first of them now."""
        began_at = clock()
        ends_at = inf if self.calls is not None else began_at + self.seconds
        if self.rate is None:
            return AtOnce(self.calls, ends_at)
        return Steady(self.rate, self.calls or max(int(self.rate * self.seconds), 1), began_at, ends_at)


class Target(msgspec.Struct, frozen=True):
    """The lambda and the method that are called; ``node`` is where it is, empty where nobody asked."""

    lambda_id: str
    method: str
    node: str = ""


class Tally:
    """What came of calls."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.errors: Counter[str] = Counter()

    @property
    def ended(self) -> int:
        """Calls with an outcome, good or bad."""
        return self.latencies.count + self.errors.total()

    @property
    def failed_share(self) -> float:
        """Which part of the calls did not go well, from 0 to 1."""
        return self.errors.total() / self.ended if self.ended else 0.0


class Measured(Tally):
    """What came of all calls, and of those to each node where there are several."""

    def __init__(self, nodes: Sequence[str] = ()) -> None:
        super().__init__()
        self.by_node = {node: Tally() for node in nodes} if len(set(nodes)) > 1 else {}
        self.not_sent = 0
        self.unanswered = 0
        """Calls that had begun and had no outcome yet when somebody ended it."""
        self.began_at = clock()
        self.seconds = 0.0
        self.own_cpu = 0.0
        """How busy this process was, 1 for a whole core."""

    @property
    def per_s(self) -> float:
        """Calls a second that went well."""
        return self.latencies.count / self.seconds if self.seconds else 0.0

    def went_well(self, node: str, seconds: float) -> None:
        """Count a call that was answered."""
        self.latencies.add(seconds)
        if node in self.by_node:
            self.by_node[node].latencies.add(seconds)

    def failed(self, node: str, code: str) -> None:
        """Count a call that was not."""
        self.errors[code] += 1
        if node in self.by_node:
            self.by_node[node].errors[code] += 1


async def measure(
    load: Load,
    meshes: Sequence[lambdamesh.Mesh],
    calls: tuple[Sequence[Target], msgspec.Raw],
    asked: asyncio.Event,
    show: Callable[[Measured], None],
) -> Measured:
    """Make all calls, in turn to each target, and return what came of them; ``calls`` are the targets and the body.

    ``asked`` ends it early. ``show`` is called again and again meanwhile.
    """
    targets, body = calls
    measured = Measured([target.node for target in targets])
    cpu_s = time.process_time()
    turns = load.turns()
    measured.began_at = clock()

    async def call_on(mesh: lambdamesh.Mesh) -> None:
        while (began_at := await turns.next()) is not None:
            target = targets[turns.started % len(targets)]
            try:
                await mesh.call(target.lambda_id, target.method, body, timeout=load.timeout, type=msgspec.Raw)
            except lambdamesh.CallError as error:
                measured.failed(target.node, error.code)
                # An error that is raised at once would otherwise be counted in a loop that lets nothing else run.
                await asyncio.sleep(0)
            else:
                measured.went_well(target.node, clock() - began_at)

    callers = min(load.in_flight, load.calls or load.in_flight)
    work = asyncio.gather(*(call_on(meshes[number % len(meshes)]) for number in range(callers)))
    try:
        await _follow(work, asked, lambda: show(measured))
    finally:
        turns.end()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    measured.seconds = clock() - measured.began_at
    measured.own_cpu = (time.process_time() - cpu_s) / measured.seconds
    measured.not_sent, measured.unanswered = turns.not_sent, turns.started - measured.ended
    return measured


async def _follow(everything: asyncio.Future[list[None]], asked: asyncio.Event, show: Callable[[], None]) -> None:
    """Wait until all callers are done, or somebody has ended it."""
    while not everything.done() and not asked.is_set():
        await asyncio.wait({everything}, timeout=_LOOK_S)
        show()
    if everything.done():
        everything.result()
