"""Something to expose: `lambdamesh expose examples/python/greeter.py`."""

import asyncio
from collections.abc import AsyncIterator


async def hello(name: str = "world") -> str:
    """Greet somebody."""
    return f"hello, {name}"


async def count(to: int) -> AsyncIterator[int]:
    """Count from 1, five numbers a second."""
    for number in range(1, to + 1):
        yield number
        await asyncio.sleep(0.2)


def area(width: float, height: float) -> float:
    """Multiply; a function that is not async runs in a thread."""
    return width * height
