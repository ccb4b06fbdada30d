"""What exposed functions raise is shown where they are exposed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from lambdamesh.cli.describing import signature_text
from lambdamesh.cli.reporting import reporting
from lambdamesh.client.handlers import Handler, compile_handlers
from lambdamesh.errors import LambdaError


async def coroutine(body: int) -> int:
    """Divide."""
    return 1 // body


def plain(body: int) -> int:
    """Divide."""
    return 1 // body


async def async_generator(body: int) -> AsyncIterator[int]:
    """Divide."""
    yield 1 // body


def generator(body: int) -> Iterator[int]:
    """Divide."""
    yield 1 // body


FUNCTIONS: list[Callable[..., Any]] = [coroutine, plain, async_generator, generator]


def reported(function: Callable[..., Any]) -> tuple[Handler, Handler]:
    [handler] = compile_handlers({"divide": function}).values()
    return handler, reporting(handler)


def outcome(handler: Handler, body: int) -> object:
    made = handler.function(body)
    if inspect.isawaitable(made):
        return asyncio.run(_awaited(made))
    if inspect.isasyncgen(made):
        return asyncio.run(_awaited(anext(made)))
    return next(made) if inspect.isgenerator(made) else made


async def _awaited(made: Any) -> object:
    return await made


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_else_changes(function: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    before, after = reported(function)
    assert outcome(after, 1) == 1
    assert compile_handlers({"divide": after.function})["divide"].kind is before.kind
    assert signature_text(after.function) == signature_text(before.function)
    assert after.function.__doc__ == "Divide."
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_raised_is_shown_and_raised(function: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        outcome(reported(function)[1], 0)
    shown = capsys.readouterr().err
    assert shown.startswith("divide raised:\n")
    assert "1 // body" in shown
    assert "ZeroDivisionError" in shown
    assert "/reporting.py" not in shown


def test_what_is_meant_for_the_caller_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(body):
        raise LambdaError("no such city")

    with pytest.raises(LambdaError):
        outcome(reported(refuse)[1], 0)
    assert capsys.readouterr().err == ""


def test_a_stream_that_is_left_is_closed_at_once() -> None:
    ended = []

    async def count():
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    async def leave() -> None:
        items = reported(count)[1].function()
        assert await anext(items) == 1
        await items.aclose()
        assert ended

    asyncio.run(leave())
