"""What a supervisor does when workers start, lose their links, die, and end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from lambdamesh.settings import ConfigError, Settings
from lambdamesh.state import open_state
from lambdamesh.telemetry.tally import MEANINGS
from lambdamesh.workers import supervisor as module
from lambdamesh.workers.supervisor import Supervisor
from lambdamesh.workers.words import Assignment, Failed, HandOver, Lost, Reload, Sibling, Stop
from tests.unit.workers.crew import FakeCrew, FakeWorker

WORKERS = 3


class Running:
    """A supervisor that runs, and its workers, all ready."""

    def __init__(self, supervisor: Supervisor, crew: FakeCrew) -> None:
        self.supervisor = supervisor
        self.crew = crew
        self.task: asyncio.Task[int]

    async def begin(self) -> Running:
        self.task = asyncio.create_task(self.supervisor.run())
        await self.crew.until(lambda: len(self.crew.started) == WORKERS)
        await self.crew.until(lambda: all(worker.of(Assignment) for worker in self.crew.started))
        for worker in self.crew.started:
            worker.ready()
        await self.crew.until(lambda: self.supervisor._has_started)
        return self

    @property
    def workers(self) -> list[FakeWorker]:
        return self.crew.started

    async def next_worker(self) -> FakeWorker:
        """The next one that is started, once it has been told who it is."""
        count = len(self.crew.started)
        await self.crew.until(lambda: len(self.crew.started) > count and bool(self.crew.started[count].orders))
        return self.crew.started[count]

    async def settled(self) -> None:
        """All that was said is heard: a word and its answer go the same ways."""
        before = [len(worker.of(Reload)) for worker in self.workers]
        live = [n for n, worker in enumerate(self.workers) if worker.returncode is None]
        # What workers have said before is read before this is: each has its turn in every round of the loop.
        for _ in range(3):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGHUP)
        await self.crew.until(lambda: all(len(self.workers[n].of(Reload)) > before[n] for n in live))


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    crew = FakeCrew()
    monkeypatch.setattr(subprocess, "Popen", crew.start)
    monkeypatch.setattr(module, "_LOOK_S", 0.05)
    state = open_state(tmp_path / "state")
    supervisor = Supervisor(Settings(local=("127.0.0.1:0",)), state, WORKERS)
    running = await Running(supervisor, crew).begin()
    yield running
    if not running.task.done():
        os.kill(os.getpid(), signal.SIGTERM)
        await crew.until(lambda: supervisor._is_stopping)
    for worker in crew.started:
        if worker.returncode is None:
            worker.end(0)
    with contextlib.suppress(ConfigError):
        async with asyncio.timeout(5.0):
            await running.task
    state.close()


async def test_each_is_told_who_it_is_and_has_a_socket_to_each_other(running: Running) -> None:
    for number, worker in enumerate(running.workers):
        [assignment] = worker.of(Assignment)
        assert (assignment.worker, assignment.workers, assignment.local) == (number, WORKERS, 1)
        assert assignment.siblings == {other: 1 for other in range(WORKERS) if other != number}
        assert worker.how["process_group"] == 0
        tally_bytes, *sockets = worker.sizes[0]
        assert tally_bytes == len(MEANINGS) * WORKERS * 8
        assert sockets == [0] * (1 + WORKERS - 1)


async def test_a_link_that_both_sides_miss_is_made_anew_once(running: Running) -> None:
    one, other, third = running.workers
    one.channel.say(Lost(1, 1))
    other.channel.say(Lost(0, 1))
    await running.crew.until(lambda: bool(one.of(Sibling)) and bool(other.of(Sibling)))
    one.channel.say(Lost(1, 1))
    await running.settled()
    assert (one.of(Sibling), other.of(Sibling), third.of(Sibling)) == ([Sibling(1, 2)], [Sibling(0, 2)], [])
    other.channel.say(Lost(0, 2))
    await running.crew.until(lambda: len(one.of(Sibling)) == 2)
    assert one.of(Sibling)[-1] == Sibling(1, 3)


async def test_one_that_died_is_replaced_and_linked_once(running: Running) -> None:
    one, dead, third = running.workers
    dead.end(-signal.SIGKILL)
    fresh = await running.next_worker()
    # They say what they saw when it died; it has been seen to.
    one.channel.say(Lost(1, 1))
    third.channel.say(Lost(1, 1))
    await running.settled()
    [assignment] = fresh.of(Assignment)
    assert (assignment.worker, assignment.siblings) == (1, {0: 2, 2: 2})
    assert fresh.sizes[0] == dead.sizes[0]
    assert (one.of(Sibling), third.of(Sibling), fresh.of(Sibling)) == ([Sibling(1, 2)], [Sibling(1, 2)], [])


async def test_two_that_die_at_once_are_both_replaced(running: Running) -> None:
    one, other, third = running.workers
    one.end(-signal.SIGKILL)
    other.end(-signal.SIGKILL)
    await running.crew.until(lambda: len(running.workers) == WORKERS + 2)
    assert {worker.of(Assignment)[0].worker for worker in running.workers[WORKERS:] if worker.orders} <= {0, 1}
    await running.crew.until(lambda: len(third.of(Sibling)) == 2)
    assert not running.task.done()


async def test_one_that_cannot_be_started_now_is_later(running: Running) -> None:
    running.crew.refusals = [OSError(11, "Resource temporarily unavailable")] * 2
    running.workers[2].end(1)
    fresh = await running.next_worker()
    assert fresh.of(Assignment)[0].worker == 2
    assert not running.crew.refusals


async def test_one_that_drained_does_not_count_as_a_crash(running: Running) -> None:
    last = running.workers[1]
    before = _open_files()
    for _ in range(200):
        last.end(0)
        last = await running.next_worker()
        last.ready()
    await running.settled()
    assert _open_files() <= before
    assert not running.task.done()


def _is_stopped(worker: FakeWorker) -> bool:
    return bool(worker.of(Stop))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_five_crashes_end_the_node(running: Running) -> None:
    last = running.workers[0]
    for _ in range(4):
        last.end(1)
        last = await running.next_worker()
    last.end(1)
    for worker in running.workers[1:3]:
        await running.crew.until(partial(_is_stopped, worker))
        assert worker.of(Stop) == [Stop()]
        worker.end(0)
    async with asyncio.timeout(5.0):
        assert await running.task == 1


async def test_the_second_signal_hurries_and_the_first_does_not(running: Running) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await running.crew.until(lambda: all(worker.of(Stop) for worker in running.workers))
    os.kill(os.getpid(), signal.SIGINT)
    await running.crew.until(lambda: all(len(worker.of(Stop)) == 2 for worker in running.workers))
    assert [worker.of(Stop) for worker in running.workers] == [[Stop(), Stop(is_hurried=True)]] * WORKERS
    for worker in running.workers:
        worker.end(0)
    async with asyncio.timeout(5.0):
        assert await running.task == 0
    assert len(running.workers) == WORKERS


async def test_nobody_is_started_while_the_node_ends(running: Running) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await running.crew.until(lambda: all(worker.of(Stop) for worker in running.workers))
    running.workers[0].end(-signal.SIGKILL)
    running.workers[1].channel.say(Lost(0, 1))
    running.workers[1].end(0)
    running.workers[2].end(0)
    async with asyncio.timeout(5.0):
        assert await running.task == 0
    assert len(running.workers) == WORKERS


async def test_what_one_cannot_use_later_ends_the_node_with_its_words(running: Running) -> None:
    running.workers[1].channel.say(Failed("the machine id is taken"))
    running.workers[1].end(78)
    for worker in (running.workers[0], running.workers[2]):
        await running.crew.until(partial(_is_stopped, worker))
        worker.end(0)
    with pytest.raises(ConfigError, match="the machine id is taken"):
        async with asyncio.timeout(5.0):
            await running.task


async def test_a_connection_is_handed_to_whoever_is_there(running: Running) -> None:
    one, other, third = running.workers
    before = _open_files()
    with Path(os.devnull).open() as file:
        for worker in (1, 7):
            one.channel.say(HandOver(worker), [file.fileno()])
    await running.settled()
    assert [len(worker.orders) for worker in (one, other, third)] == [2, 3, 2]
    assert _open_files() == before


async def test_one_that_says_nothing_more_is_ended_and_replaced(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.5)
    monkeypatch.setattr(module, "_LOOK_S", 0.02)
    fresh = await running.next_worker()
    assert running.workers[fresh.of(Assignment)[0].worker].returncode == -signal.SIGKILL
    # It has not had its first word yet, which may take longer.
    assert fresh.returncode is None


async def test_one_of_another_release_is_ended(running: Running) -> None:
    running.workers[1].channel.say({"type": "of the future"})
    running.workers[1].returncode = 70
    fresh = await running.next_worker()
    assert fresh.of(Assignment)[0].worker == 1
