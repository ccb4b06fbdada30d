"""``lambdamesh expose``: make a lambda of a file, a module, an object or a program, until ctrl-C."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

import lambdamesh
from lambdamesh.cli.announcing import Announcer, Lines, People, Place, changes_to
from lambdamesh.cli.failure import CALL_FAILED, NO_NODE, USAGE, Failure
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, for_people, printable
from lambdamesh.cli.program import Program, parse_command
from lambdamesh.cli.reloading import LOOK_S, Project, Watch, stamps_of
from lambdamesh.cli.reporting import reporting
from lambdamesh.cli.running import ending, leave_threads, run
from lambdamesh.cli.target import Target, load, parse_target
from lambdamesh.client.exposing import NothingToExpose, collect
from lambdamesh.client.handlers import Handler, compile_handlers
from lambdamesh.client.openrpc import DISCOVER, discoverer
from lambdamesh.client.signatures import NotServed

Handlers = dict[str, Handler]

_LEAVING_OUT = {False: "begin its name with _, or name the others (--only NAME)", True: "do not name it with --only"}
"""By whether names were given."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class How:
    """What of a target is exposed, and for how long calls wait; or which program."""

    only: Annotated[
        list[str] | None,
        Parameter(name="--only", help="Expose this name of TARGET, and none but those named so.", negative=""),
    ] = None
    grace: Annotated[
        float | None,
        Parameter(
            name="--grace",
            help="Seconds that calls wait while the connection is away, at most 300; without it 15.",
            validator=Number(gte=0, lte=300),
        ),
    ] = None
    reload: Annotated[
        bool,
        Parameter(name="--reload", negative="", help="Import the code again when a file of it changes; the id stays."),
    ] = False
    program: Annotated[
        str | None,
        Parameter(name="--exec", help="Expose a program instead: run for each call, JSON on its stdin and stdout."),
    ] = None


class Exposure(msgspec.Struct, frozen=True):
    """What is exposed, and how. ``project`` makes the handlers anew; ``None`` where nobody wants that."""

    url: str
    handlers: Handlers
    project: Project[Handlers] | None
    grace_s: float | None


def expose(
    target: Annotated[
        Path | None, Parameter(name="TARGET", help="What to expose: app.py, app.py:object, module or module:object.")
    ] = None,
    /,
    how: How = How(),
    *,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> int:
    """Make a lambda of a file, a module, an object or a program, until ctrl-C.

    Of a module its own public functions can be called, of an object its public methods, of a dict its entries.
    """
    if (target is None) == (how.program is None):
        raise Failure("name either a TARGET or a program with --exec", USAGE)
    exposure = _of_program(how, url) if target is None else _of_target(str(target), how, url)
    node = printable(str(LocalDoor(url).get("/ping").value))
    title = how.program or str(target)
    return leave_threads(run(_expose(exposure, People(printable(title), node) if for_people(as_json) else Lines())))


def _of_program(how: How, url: str) -> Exposure:
    if how.only or how.reload:
        raise Failure("--only and --reload are for a TARGET; a program of --exec is started anew for each call", USAGE)
    return Exposure(url, Program(parse_command(how.program or "")).handlers(), None, how.grace)


def _of_target(text: str, how: How, url: str) -> Exposure:
    target = parse_target(text)

    def make() -> Handlers:
        return handlers_of(target, load(target), how.only)

    project = Project(make) if how.reload else None
    return Exposure(url, make() if project is None else project.load(), project, how.grace)


def handlers_of(target: Target, found: object, only: list[str] | None) -> Handlers:
    """The handlers of what ``target`` names. Raises: Failure (usage) where it cannot be exposed."""
    if not only and isinstance(found, ModuleType) and not _has_own_functions(found):
        raise Failure(
            f"{target} has no public function of its own: define one whose name has no leading _, "
            f"name an object in it ({target.place}:object), or what it imports (--only NAME)",
            USAGE,
        )
    try:
        functions = collect(found, only or None)
        compiled = compile_handlers(functions)
    except NothingToExpose as error:
        text = f"{target} has no public method of its own class: name what it inherits or was given (--only NAME)"
        raise Failure(text, USAGE) from error
    except NotServed as error:
        raise Failure(f"{target}: {error}; or leave it out: {_LEAVING_OUT[bool(only)]}", USAGE) from error
    except (ValueError, TypeError) as error:
        raise Failure(f"{target}: {error}", USAGE) from error
    handlers = {name: reporting(handler) for name, handler in compiled.items()}
    handlers[DISCOVER] = discoverer(handlers.values(), target.title)
    return handlers


def _has_own_functions(module: ModuleType) -> bool:
    own = (value for name, value in vars(module).items() if not name.startswith("_"))
    return any(inspect.isfunction(value) and value.__module__ == module.__name__ for value in own)


async def _expose(exposure: Exposure, announcer: Announcer) -> int:
    with ending() as asked:
        try:
            async with lambdamesh.connect(exposure.url, on_state=changes_to(announcer)) as mesh:
                exposed = await mesh.serve(exposure.handlers, exposure.grace_s)
                announcer.opened(Place(exposure.url, exposed.id), exposure.handlers)
                await _first(asked.wait(), exposed.wait_ended(), _reload(exposure, announcer))
                end = exposed.end
        except lambdamesh.CallError as error:
            no_node = isinstance(error, lambdamesh.PeerUnreachable)
            raise Failure(f"{error.code}: {printable(error.message)}", NO_NODE if no_node else CALL_FAILED) from error
    if end is not None:
        print(f"the lambda has ended: {printable(end.reason)} ({end.code})", file=sys.stderr)
    return 0 if end is None else CALL_FAILED


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait until one of ``works`` is done, and end the others. Raises: what that one has raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def _reload(exposure: Exposure, announcer: Announcer) -> None:
    """Put new handlers in the place of the old ones, in the lambda that is open, whenever the code changes."""
    project, handlers = exposure.project, exposure.handlers
    if project is None:
        await asyncio.Event().wait()
        return
    watch = Watch(stamps_of(project.files()))
    while True:
        await asyncio.sleep(LOOK_S)
        seen = stamps_of(project.files())
        if not watch.look(seen):
            continue
        try:
            renewed = project.load()
        except Failure as failure:
            announcer.failed(failure.message)
        else:
            handlers.clear()
            handlers.update(renewed)
            announcer.reloaded(handlers)
        # What has changed while it was imported shall count as a change.
        watch.restart({**stamps_of(project.files()), **seen})
