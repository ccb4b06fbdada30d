"""``lambdamesh bench``: call a method of a lambda many times at once, and tell how long that took."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

import lambdamesh
from lambdamesh.cli.body import Body, LambdaId, read_body
from lambdamesh.cli.failure import CALL_FAILED, NO_NODE, Failure
from lambdamesh.cli.latencies import Latencies, bars, time_text
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, for_people, printable, write_json
from lambdamesh.cli.running import ending, run

_LOOK_S = 0.1
_PERCENTS = (50, 90, 99)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked for: ``calls`` in all, or as many as ``seconds`` allow where that is ``None``."""

    in_flight: Annotated[
        int, Parameter(name="--in-flight", help="Calls that wait at the same time.", validator=Number(gte=1, lte=1024))
    ] = 64
    seconds: Annotated[
        float, Parameter(name="--seconds", help="How long to call.", validator=Number(gt=0, lte=86_400))
    ] = 5.0
    calls: Annotated[
        int | None,
        Parameter(name="--calls", help="Make so many calls, however long that takes.", validator=Number(gte=1)),
    ] = None
    timeout: Annotated[
        float | None,
        Parameter(
            name="--timeout", help="Deadline of each call in seconds; without it 60 s.", validator=Number(gte=0.001)
        ),
    ] = None


class Question(msgspec.Struct, frozen=True):
    """The call that is made again and again."""

    lambda_id: str
    method: str
    body: msgspec.Raw


class Tally:
    """What came of the calls."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.errors: Counter[str] = Counter()
        self.started = 0
        self.began_at = time.perf_counter()
        self.seconds = 0.0

    @property
    def ended(self) -> int:
        """Calls with an outcome, good or bad."""
        return self.latencies.count + self.errors.total()

    @property
    def per_s(self) -> float:
        """Calls a second that went well."""
        return self.latencies.count / self.seconds if self.seconds else 0.0

    @property
    def failed_share(self) -> float:
        """Which part of the calls did not, from 0 to 1."""
        return self.errors.total() / self.ended if self.ended else 0.0


def bench(
    lambda_id: LambdaId,
    method: Annotated[str, Parameter(name="METHOD", help="Name of its method.")],
    body: Body = "null",
    /,
    load: Load = Load(),
    *,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> int:
    """Call a method of a lambda many times, and show how fast that went.

    Ctrl-C ends it early and still shows what came of it.
    """
    question = Question(lambda_id, method, msgspec.Raw(read_body(body)))
    LocalDoor(url).get(f"/lambda/{quote(lambda_id, safe='')}")
    people = for_people(as_json)
    tally = run(_bench(question, load, url, people))
    if people:
        print("\n".join(report_lines(load, tally)))
    else:
        write_json(msgspec.json.encode(report(load, tally)))
    return 0 if tally.latencies.count else CALL_FAILED


async def _bench(question: Question, load: Load, url: str, people: bool) -> Tally:
    tally = Tally()
    try:
        with ending() as asked:
            async with lambdamesh.connect(url) as mesh:
                tally.began_at = time.perf_counter()
                work = [_call_on(question, load, mesh, tally) for _ in range(min(load.in_flight, load.calls or 1024))]
                with _progress(load, people) as show:
                    await _follow(asyncio.gather(*work), asked, lambda: show(tally))
                tally.seconds = time.perf_counter() - tally.began_at
                return tally
    except lambdamesh.CallError as error:
        no_node = isinstance(error, lambdamesh.PeerUnreachable)
        raise Failure(f"{error.code}: {printable(error.message)}", NO_NODE if no_node else CALL_FAILED) from error


async def _follow(everything: asyncio.Future[list[None]], asked: asyncio.Event, show: Callable[[], None]) -> None:
    """Wait until all callers are done, or somebody has ended it."""
    while not everything.done() and not asked.is_set():
        await asyncio.wait({everything}, timeout=_LOOK_S)
        show()
    if everything.done():
        everything.result()
    everything.cancel()
    with suppress(asyncio.CancelledError):
        await everything


async def _call_on(question: Question, load: Load, mesh: lambdamesh.Mesh, tally: Tally) -> None:
    """Call again and again, one call after the other, until there is nothing left to do."""
    lambda_id, method, body = question.lambda_id, question.method, question.body
    clock = time.perf_counter
    ends_at = tally.began_at + load.seconds
    while tally.started < load.calls if load.calls is not None else clock() < ends_at:
        tally.started += 1
        began_at = clock()
        try:
            await mesh.call(lambda_id, method, body, timeout=load.timeout, type=msgspec.Raw)
        except lambdamesh.CallError as error:
            tally.errors[error.code] += 1
            # An error that is raised at once would otherwise be counted in a loop that lets nothing else run.
            await asyncio.sleep(0)
        else:
            tally.latencies.add(clock() - began_at)


@contextmanager
def _progress(load: Load, people: bool) -> Iterator[Callable[[Tally], None]]:
    """A bar on stderr that goes away at the end; what is yielded renews it."""
    if not people:
        yield lambda _tally: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    total = load.seconds if load.calls is None else load.calls
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=total)

        def show(tally: Tally) -> None:
            passed_s = time.perf_counter() - tally.began_at
            failed = f", {tally.errors.total():,} failed" if tally.errors else ""
            text = f"{tally.latencies.count / passed_s:,.0f} calls/s{failed}"
            progress.update(task, completed=passed_s if load.calls is None else tally.ended, description=text)
            progress.refresh()

        yield show


def report(load: Load, tally: Tally) -> dict[str, Any]:
    """The outcome for a program: times in milliseconds, errors by code."""
    latencies = tally.latencies
    shares = {f"p{percent}": round(latencies.percentile_s(percent) * 1000, 3) for percent in _PERCENTS}
    return {
        "calls": tally.ended,
        "seconds": round(tally.seconds, 3),
        "calls_per_s": round(tally.per_s, 1),
        "failed_share": round(tally.failed_share, 4),
        "in_flight": load.in_flight,
        "errors": dict(tally.errors),
        "latency_ms": shares | {"max": round(latencies.longest_s * 1000, 3)},
        "histogram": [{"up_to_ms": round(row.bound_s * 1000, 6), "calls": row.count} for row in latencies.rows()],
    }


def report_lines(load: Load, tally: Tally) -> list[str]:
    """The outcome for people."""
    lines = [f"{tally.ended:,} calls in {tally.seconds:.2f} s, {load.in_flight} in flight: {tally.per_s:,.0f} calls/s"]
    latencies = tally.latencies
    if latencies.count:
        times = [f"p{percent} {time_text(latencies.percentile_s(percent))}" for percent in _PERCENTS]
        lines += ["", "  " + "   ".join([*times, f"max {time_text(latencies.longest_s)}"]), "", *bars(latencies.rows())]
    if tally.errors:
        lines += ["", f"errors {tally.failed_share:.1%}, which calls/s does not count"]
        lines += [f"  {code:<20} {count:>9,} {count / tally.ended:>7.1%}" for code, count in tally.errors.most_common()]
    return lines
