"""Shows what exposed functions raise, where they are exposed; their callers are told one line, as ever."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import msgspec

from lambdamesh.cli.output import printable
from lambdamesh.cli.target import is_of_project
from lambdamesh.client.handlers import Handler, Kind
from lambdamesh.errors import MeshError

Function = Callable[..., Any]
Report = Callable[[Exception], None]


def reporting(handler: Handler) -> Handler:
    """The same handler; what it raises is also written to stderr, but for errors that are meant for its caller."""

    def report(error: Exception) -> None:
        if not isinstance(error, MeshError):
            sys.stderr.write(raised_text(handler.name, error))
            sys.stderr.flush()

    return msgspec.structs.replace(handler, function=_WRAPPED[handler.kind](handler.function, report))


def raised_text(name: str, error: Exception) -> str:
    """What was raised, with that part of the traceback which is the user's code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_of_project(frame.filename)]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    text = "\n".join(printable(line) for line in "".join(lines).splitlines())
    return f"{printable(name)} raised:\n{text}\n"


def _coroutine(function: Function, report: Report) -> Function:
    @functools.wraps(function)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            return await function(*arguments, **named)
        except Exception as error:
            report(error)
            raise

    return wrapped


def _plain(function: Function, report: Report) -> Function:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except Exception as error:
            report(error)
            raise

    return wrapped


def _async_generator(function: Function, report: Report) -> Function:
    @functools.wraps(function)
    async def wrapped(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
        items = function(*arguments, **named)
        try:
            async for item in items:
                yield item
        except Exception as error:
            report(error)
            raise
        finally:
            await items.aclose()

    return wrapped


def _generator(function: Function, report: Report) -> Function:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from function(*arguments, **named))
        except Exception as error:
            report(error)
            raise

    return wrapped


_WRAPPED: dict[Kind, Callable[[Function, Report], Function]] = {
    Kind.COROUTINE: _coroutine,
    Kind.THREAD: _plain,
    Kind.ASYNC_GENERATOR: _async_generator,
    Kind.GENERATOR: _generator,
}
