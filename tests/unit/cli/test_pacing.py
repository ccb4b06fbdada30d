"""When calls begin: at once, or when they are due, whatever became of those before them."""

from __future__ import annotations

import asyncio
from math import inf

from lambdamesh.cli.pacing import AtOnce, Steady, clock


async def test_so_many_at_once() -> None:
    turns = AtOnce(3, inf)
    assert [await turns.next() is None for _ in range(5)] == [False, False, False, True, True]
    assert turns.started == 3


async def test_until_the_time_is_over() -> None:
    assert await AtOnce(None, clock() + 60).next() is not None
    assert await AtOnce(None, clock() - 1).next() is None


async def test_a_steady_rate_gives_each_call_its_own_time() -> None:
    began_at = clock()
    turns = Steady(1000, 20, began_at, inf)
    due_at = [at async for at in each(turns)]
    assert [round((at - began_at) * 1000) for at in due_at] == list(range(20))
    assert clock() - began_at >= 0.019, "none begins before its time"
    assert turns.not_sent == 0


async def test_a_caller_that_was_held_up_finds_calls_that_are_late_and_counts_from_when_they_were_due() -> None:
    began_at = clock() - 10
    turns = Steady(100, 1000, began_at, inf)
    first, second = await turns.next(), await turns.next()
    assert first == began_at
    assert second == began_at + 0.01


async def test_what_could_not_be_begun_in_time_is_counted() -> None:
    turns = Steady(100, 1000, clock() - 10, clock() - 1)
    assert await turns.next() is not None, "whoever waits for it gets the first"
    assert await turns.next() is None
    assert (turns.started, turns.not_sent) == (1, 999)


async def test_callers_that_wait_are_told_of_the_end() -> None:
    turns = Steady(0.001, 10, clock(), inf)
    assert await turns.next() is not None
    waiting = asyncio.gather(turns.next(), turns.next())
    await asyncio.sleep(0)
    turns.end()
    assert list(await waiting) == [None, None]
    assert await turns.next() is None
    assert turns.not_sent == 0


async def test_more_callers_than_calls() -> None:
    turns = Steady(1000, 3, clock(), inf)
    given = await asyncio.gather(*(turns.next() for _ in range(8)))
    assert [at is None for at in given] == [False] * 3 + [True] * 5


async def each(turns: Steady):
    while (at := await turns.next()) is not None:
        yield at
