"""Words with descriptors between a supervisor and a worker."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from lambdamesh.workers import channel as module
from lambdamesh.workers.channel import Channel

WAIT_S = 5.0


class Words(msgspec.Struct, frozen=True):
    """Something to say."""

    number: int
    text: str = ""


class End:
    """One end, and what it has heard."""

    def __init__(self, sock: socket.socket) -> None:
        self.heard: list[tuple[Words, list[int]]] = []
        self.ends = 0
        self.told: Callable[[], None] = lambda: None
        self.channel: Channel[Words] = Channel(sock, Words, self._hear, self._end)

    def _hear(self, words: Words, fds: list[int]) -> None:
        self.heard.append((words, fds))
        self.told()

    def _end(self) -> None:
        self.ends += 1
        self.told()

    async def has_heard(self, count: int) -> None:
        """Wait until so many words have come."""
        await self.until(lambda: len(self.heard) == count)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was told makes ``condition`` true."""
        news = asyncio.Event()
        self.told = news.set
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await news.wait()
                news.clear()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    first, second = (End(sock) for sock in socket.socketpair())
    yield first, second
    first.channel.close()
    second.channel.close()


Ends = tuple[End, End]


async def test_words_come_in_order_both_ways(ends: Ends) -> None:
    for one, other in (ends, ends[::-1]):
        for number in range(100):
            assert one.channel.say(Words(number, "é\n" * number))
        await other.has_heard(100)
        assert [words for words, _ in other.heard] == [Words(number, "é\n" * number) for number in range(100)]


async def test_descriptors_come_with_their_own_words(ends: Ends, tmp_path: Path) -> None:
    one, other = ends
    for number in range(40):
        files = []
        for which in range(number % 4):
            path = tmp_path / f"{number}-{which}"
            path.write_text(path.name)
            files.append(path.open())
        assert one.channel.say(Words(number), [file.fileno() for file in files])
        for file in files:
            file.close()
    await other.until(lambda: len(other.heard) == 40)
    for words, fds in other.heard:
        names = []
        for fd in fds:
            assert not os.get_inheritable(fd)
            with os.fdopen(fd) as file:
                names.append(file.read())
        assert names == [f"{words.number}-{which}" for which in range(words.number % 4)]


async def test_words_larger_than_the_socket_takes_come_whole(ends: Ends) -> None:
    one, other = ends
    with Path(os.devnull).open() as file:
        assert one.channel.say(Words(1, "x" * 3_000_000), [file.fileno()])
        assert one.channel.say(Words(2), [file.fileno()])
    await other.until(lambda: len(other.heard) == 2)
    assert [len(words.text) for words, _ in other.heard] == [3_000_000, 0]
    for _, [fd] in other.heard:
        os.close(fd)


async def test_an_end_is_told_once_and_never_from_within(ends: Ends) -> None:
    one, other = ends
    other.channel.close()
    assert not one.channel.say(Words(1))
    # Whoever says something may be going through those it says it to.
    assert one.ends == 0
    await one.until(lambda: one.ends == 1)
    assert not one.channel.say(Words(2))
    await asyncio.sleep(0)
    assert (one.ends, other.ends) == (1, 0)


async def test_what_was_said_before_the_end_is_heard(ends: Ends) -> None:
    one, other = ends
    assert one.channel.say(Words(7))
    one.channel.close()
    await other.until(lambda: other.ends == 1)
    assert [words for words, _ in other.heard] == [Words(7)]


async def test_no_descriptor_is_left_behind(ends: Ends) -> None:
    one, other = ends
    with Path(os.devnull).open() as file:
        before = open_files()
        while one.channel.say(Words(0, "x" * 10_000), [file.fileno()]):
            pass
        assert open_files() > before
        one.channel.close()
        other.channel.close()
        assert open_files() == before - 2


async def test_descriptors_that_wait_are_bounded_and_other_words_are_not_kept_out(ends: Ends) -> None:
    one, _ = ends
    with Path(os.devnull).open() as file:
        before = open_files()
        while one.channel.say(Words(0, "x" * 10_000), [file.fileno()]):
            pass
        assert open_files() - before <= module._FDS_WAITING_MOST
        assert one.channel.say(Words(1))


async def test_out_of_descriptors_nothing_is_said(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ends
    copies: list[int] = []

    def dup(fd: int) -> int:
        if len(copies) == 2:
            raise OSError(errno.EMFILE, "too many open files")
        copies.append(os_dup(fd))
        return copies[-1]

    os_dup = os.dup
    with Path(os.devnull).open() as file:
        before = open_files()
        monkeypatch.setattr(os, "dup", dup)
        assert not one.channel.say(Words(1), [file.fileno()] * 3)
        monkeypatch.undo()
        assert open_files() == before
    assert one.channel.say(Words(2))
    await other.until(lambda: len(other.heard) == 1)
    assert other.heard == [(Words(2), [])]


async def test_descriptors_that_the_system_does_not_take_cost_their_words_alone(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = ends

    def refuse(*_: object) -> int:
        raise OSError(errno.ETOOMANYREFS, "too many references")

    with Path(os.devnull).open() as file:
        before = open_files()
        stub = _Refusing(one.channel._socket, refuse)
        one.channel._socket = stub  # type: ignore[assignment]
        one.channel.say(Words(1), [file.fileno()])
        one.channel._socket = stub.real
        assert open_files() == before
    assert one.channel.say(Words(2))
    await other.until(lambda: len(other.heard) == 1)
    assert other.heard == [(Words(2), [])]


class _Refusing:
    def __init__(self, real: socket.socket, sendmsg: Callable[..., int]) -> None:
        self.real = real
        self.sendmsg = sendmsg

    def fileno(self) -> int:
        return self.real.fileno()


async def test_words_that_cannot_be_read_are_the_end(ends: Ends) -> None:
    one, other = ends
    with Path(os.devnull).open() as file:
        before = open_files()
        assert one.channel.say({"number": "seven"}, [file.fileno()])
        assert one.channel.say(Words(8))
        await other.until(lambda: other.ends == 1)
        await one.until(lambda: one.ends == 1)
        assert other.heard == []
        assert open_files() == before - 2
