"""Names are looked up without anybody waiting for those that hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lambdamesh.directory.names import in_thread, look_up


async def test_names_that_nobody_answers_for_hold_up_nobody() -> None:
    release = threading.Event()
    hanging = [asyncio.create_task(in_thread(release.wait)) for _ in range(40)]
    try:
        assert await look_up("127.0.0.1", 1) == ("127.0.0.1",)
        assert await in_thread(lambda: 7) == 7
    finally:
        release.set()
    assert await asyncio.gather(*hanging) == [True] * 40


async def test_what_a_thread_raises_is_raised() -> None:
    def fail() -> None:
        raise OSError("no such name")

    with pytest.raises(OSError, match="no such name"):
        await in_thread(fail)
