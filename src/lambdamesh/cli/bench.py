"""``lambdamesh bench``: call a method of a lambda many times at once, and tell how long that took."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

import msgspec
from cyclopts import Parameter

import lambdamesh
from lambdamesh.cli.bench_report import progress, report, show_report
from lambdamesh.cli.body import Body, read_body
from lambdamesh.cli.echoes import Places, choose, echoes
from lambdamesh.cli.failure import CALL_FAILED, NO_NODE, USAGE, Failure
from lambdamesh.cli.load import Load, Measured, Target, measure
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, for_people, printable, write_json
from lambdamesh.cli.running import ending, run


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    """The node that is asked, and where bench's own lambdas are."""

    mesh: Annotated[
        bool, Parameter(negative="", help="Have lambdas at every other node that can be had, and call them from --url.")
    ] = False
    via: Annotated[
        list[str] | None,
        Parameter(
            name="--via",
            help="Local door of another node, repeatable: have a lambda there, and call it from --url.",
            negative="",
        ),
    ] = None
    url: Url = DEFAULT_URL


class Callees(msgspec.Struct, frozen=True):
    """What is called, with which body: one lambda of somebody's, or our own at ``places``."""

    body: msgspec.Raw
    given: Target | None = None
    places: Places = Places(())


def bench(
    lambda_id: Annotated[
        str | None,
        Parameter(name="ID", help="Id of the lambda; without it one of bench's own.", allow_leading_hyphen=True),
    ] = None,
    method: Annotated[str | None, Parameter(name="METHOD", help="Name of its method.")] = None,
    body: Body = "null",
    /,
    load: Load = Load(),
    where: Where = Where(),
    *,
    as_json: AsJson = False,
) -> int:
    """Call a method of a lambda many times, and show how fast that went.

    Ctrl-C ends it early and still shows what came of it.
    """
    callees = _callees((lambda_id, method, body), where)
    people = for_people(as_json)
    measured = run(_bench(callees, load, where.url, people))
    if people:
        show_report(load, measured, callees.places.left_out)
    else:
        write_json(msgspec.json.encode(report(load, measured, callees.places.left_out)))
    return 0 if measured.latencies.count else CALL_FAILED


def _callees(words: tuple[str | None, str | None, str], where: Where) -> Callees:
    lambda_id, method, body = words
    if lambda_id is None:
        return Callees(msgspec.Raw(read_body(body)), places=choose(where.url, where.via or (), is_mesh=where.mesh))
    if method is None:
        raise Failure("name the METHOD of that lambda, or no ID: then one of bench's own is called", USAGE)
    if where.via or where.mesh:
        raise Failure("--mesh and --via open lambdas of bench's own: leave out ID and METHOD, or them", USAGE)
    question = Callees(msgspec.Raw(read_body(body)), Target(lambda_id, method))
    LocalDoor(where.url).get(f"/lambda/{quote(lambda_id, safe='')}")
    return question


async def _bench(callees: Callees, load: Load, url: str, people: bool) -> Measured:
    try:
        with ending() as asked:
            async with AsyncExitStack() as stack:
                targets = await stack.enter_async_context(_targets(callees, load.in_flight))
                meshes = [await stack.enter_async_context(lambdamesh.connect(url)) for _ in range(load.connections)]
                with progress(load, people) as show:
                    return await measure(load, meshes, (targets, callees.body), asked, show)
    except lambdamesh.CallError as error:
        no_node = isinstance(error, lambdamesh.PeerUnreachable)
        raise Failure(f"{error.code}: {printable(error.message)}", NO_NODE if no_node else CALL_FAILED) from error


@asynccontextmanager
async def _targets(callees: Callees, in_flight: int) -> AsyncIterator[list[Target]]:
    if callees.given is not None:
        yield [callees.given]
        return
    async with echoes(callees.places.chosen, in_flight) as targets:
        yield targets
