"""The directory of ``--peer``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog

from lambdamesh.core.peering import Directory
from lambdamesh.directory.names import look_up, parse_peer
from lambdamesh.directory.static import Static
from tests.directories import Told, record, soon
from tests.unit.directory.conformance import ME, Conformance


class Names:
    """A resolver whose answers the test writes. It notes what it was asked."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers[host]


class TestStatic(Conformance):
    @pytest_asyncio.fixture
    async def directory(self) -> AsyncIterator[Directory]:
        static = Static(())
        await static.start(ME)
        yield static
        await static.stop()


@pytest_asyncio.fixture
async def started() -> AsyncIterator[list[Static]]:
    directories: list[Static] = []
    yield directories
    for directory in directories:
        await directory.stop()


async def _start(started: list[Static], static: Static) -> Told:
    started.append(static)
    told = Told().of(static)
    await static.start(ME)
    return told


async def test_each_address_of_a_name_is_a_seed(started: list[Static]) -> None:
    static = Static(("b:7631", "[fd00::9]:7632", "c:1"), resolve=Names(b=("10.0.0.1", "fd00::1"), c=("10.0.0.1",)))
    with pytest.raises(AssertionError):
        assert static.seeds()
    told = await _start(started, static)
    await soon(static.seeds, "seeds")
    assert static.seeds() == ("10.0.0.1:7631", "[fd00::1]:7631", "10.0.0.1:1")
    assert told.changes == 1


async def test_an_address_needs_nobody_to_look_it_up(started: list[Static]) -> None:
    static = Static(("127.0.0.1:1", "[::1]:2"))
    await _start(started, static)
    await soon(static.seeds, "seeds")
    assert static.seeds() == ("127.0.0.1:1", "[::1]:2")
    assert await look_up("::0001", 1) == ("::1",)


async def test_names_are_looked_up_again(started: list[Static]) -> None:
    names = Names(b=("10.0.0.1",))
    static = Static(("b:1",), resolve=names, look_up_every_s=0.02)
    told = await _start(started, static)
    await soon(static.seeds, "seeds")
    names.answers["b"] = ("10.0.0.2", "10.0.0.3")
    await soon(lambda: static.seeds() == ("10.0.0.2:1", "10.0.0.3:1"), "the new addresses")
    assert told.changes == 2
    asked = names.asked
    await soon(lambda: names.asked > asked + 2, "more look-ups")
    assert told.changes == 2


async def test_the_last_good_answer_is_kept(started: list[Static]) -> None:
    names = Names(b=("10.0.0.1",))
    static = Static(("b:1",), resolve=names, look_up_every_s=0.02)
    await _start(started, static)
    await soon(static.seeds, "seeds")
    del names.answers["b"]
    asked = names.asked
    await soon(lambda: names.asked > asked + 2, "more look-ups")
    names.answers["b"] = ()
    asked = names.asked
    await soon(lambda: names.asked > asked + 2, "more look-ups")
    assert static.seeds() == ("10.0.0.1:1",)


async def test_a_name_that_comes_late_is_found(started: list[Static]) -> None:
    names = Names()
    static = Static(("b:1",), resolve=names, look_up_every_s=0.02)
    await _start(started, static)
    await soon(lambda: names.asked > 1, "a second look-up")
    trouble = static.trouble()
    assert trouble is not None
    assert "no address for --peer b:1 (Name or service not known)" in trouble
    names.answers["b"] = ("10.0.0.1",)
    await soon(static.seeds, "seeds")
    trouble = static.trouble()
    assert trouble is not None
    assert "no node has answered at --peer b:1" in trouble


async def test_it_is_complete_once_each_name_has_answered(started: list[Static]) -> None:
    static = Static(("b:1", "c:1"), resolve=Names(b=("10.0.0.1", "10.0.0.2"), c=("10.0.0.3",)))
    told = await _start(started, static)
    await soon(static.seeds, "seeds")
    now_s = time.time()
    static.answered("10.0.0.2:1", record(2))
    static.learn(record(2), now_s, is_hearsay=False)
    assert not static.complete()
    static.answered("10.0.0.3:1", record(3))
    # Its hello was not taken yet, and so nothing of what it says of others is known.
    static.learn(record(3), now_s, is_hearsay=True)
    assert not static.complete()
    changes = told.changes
    static.learn(record(3), now_s, is_hearsay=False)
    assert static.complete()
    assert static.trouble() is None
    assert told.changes == changes + 1
    # That it is down later is no reason to be incomplete again: what can be learned there has been.
    static.answered("10.0.0.3:1", record(3))
    assert static.complete()
    assert told.changes == changes + 1


async def test_without_peers_it_is_complete_once_others_had_time_to_dial(started: list[Static]) -> None:
    static = Static((), recovering_s=0.05)
    assert not static.complete()
    assert static.trouble() is None
    is_complete: list[bool] = []
    started.append(static)
    static.changed = lambda: is_complete.append(static.complete())
    await static.start(ME)
    assert not static.complete()
    await soon(lambda: is_complete, "to be told")
    assert is_complete == [True]


async def test_with_peers_there_is_nothing_to_wait_for_but_they(started: list[Static]) -> None:
    static = Static(("10.0.0.7:1",), recovering_s=3600)
    await _start(started, static)
    await soon(static.seeds, "seeds")
    static.answered("10.0.0.7:1", record(7))
    static.learn(record(7), time.time(), is_hearsay=False)
    assert static.complete()


@pytest.mark.parametrize("error", [UnicodeError("label too long"), ValueError("embedded null character")])
async def test_one_name_that_cannot_be_looked_up_keeps_nobody_from_the_others(
    started: list[Static], error: Exception
) -> None:
    asked = 0

    async def resolve(host: str, port: int) -> tuple[str, ...]:
        nonlocal asked
        asked += 1
        if host == "odd":
            raise error
        return ("10.0.0.1",)

    static = Static(("odd:1", "b:1"), resolve=resolve, look_up_every_s=0.02)
    await _start(started, static)
    await soon(lambda: static.seeds() == ("10.0.0.1:1",), "the seed that is one")
    assert str(error) in (static.trouble() or "")
    so_far = asked
    await soon(lambda: asked > so_far + 2, "more look-ups")


async def test_the_end_of_its_task_is_in_the_log(started: list[Static]) -> None:
    async def broken(host: str, port: int) -> tuple[str, ...]:
        raise RuntimeError("a bug")

    static = Static(("b:1",), resolve=broken)
    with structlog.testing.capture_logs() as lines:
        await static.start(ME)
        await soon(lambda: lines, "a line")
    assert [(line["event"], line["log_level"]) for line in lines] == [("internal_error", "error")]
    await static.stop()


async def test_a_seed_that_is_this_node_is_none_and_has_answered(started: list[Static]) -> None:
    static = Static(("b:1",), resolve=Names(b=("10.0.0.1", "10.0.0.2")))
    told = await _start(started, static)
    await soon(static.seeds, "seeds")
    static.answered("10.0.0.1:1", ME)
    assert static.seeds() == ("10.0.0.2:1",)
    assert static.complete()
    assert static.nodes() == ()
    assert told.changes == 2


async def test_an_own_address_that_somebody_else_gets_is_a_seed_again(started: list[Static]) -> None:
    names = Names(b=("10.0.0.1", "10.0.0.2"))
    static = Static(("b:1",), resolve=names, look_up_every_s=0.02)
    await _start(started, static)
    await soon(static.seeds, "seeds")
    static.answered("10.0.0.1:1", ME)
    names.answers["b"] = ("10.0.0.2",)
    asked = names.asked
    await soon(lambda: names.asked > asked + 1, "more look-ups")
    names.answers["b"] = ("10.0.0.1", "10.0.0.2")
    await soon(lambda: "10.0.0.1:1" in static.seeds(), "the address")


async def test_another_node_with_this_machine_id_is_trouble_until_it_has_another(started: list[Static]) -> None:
    static = Static(("b:1",), resolve=Names(b=("10.0.0.1",)))
    await _start(started, static)
    await soon(static.seeds, "seeds")
    static.answered("10.0.0.1:1", record(ME.machine, "another", host="box"))
    trouble = static.trouble()
    assert trouble is not None
    assert "box at 10.0.0.1:1 has this node's machine id 00000001" in trouble
    assert "--machine-id" in trouble
    assert static.seeds() == ("10.0.0.1:1",)
    static.answered("10.0.0.1:1", record(9))
    static.learn(record(9), time.time(), is_hearsay=False)
    assert static.trouble() is None


async def test_a_look_up_that_never_ends_stops_with_the_directory() -> None:
    forever = asyncio.Event()

    async def hang(host: str, port: int) -> tuple[str, ...]:
        await forever.wait()
        return ()

    static = Static(("b:1",), resolve=hang)
    await static.start(ME)
    await asyncio.wait_for(static.stop(), 5)


async def test_a_node_dies_100_s_after_its_last_word(started: list[Static]) -> None:
    now_s = time.time()
    clock, wall = [0.0], [now_s]
    static = Static(("10.0.0.1:1",), clock=lambda: clock[0], unix=lambda: wall[0], look_up_every_s=0.02)
    told = await _start(started, static)
    await soon(static.seeds, "seeds")
    static.learn(record(7), now_s, is_hearsay=False)
    changes = told.changes
    assert static.is_alive(7, now_s + 100)
    assert not static.is_alive(7, now_s + 100.1)
    wall[0] += 101
    await soon(lambda: told.changes > changes, "to be told")
    wall[0] += 1e9
    assert static.knows(7)
    static.learn(record(8), wall[0], is_hearsay=False)
    assert static.knows(7)
    clock[0] += 86_401
    await soon(lambda: not static.knows(7), "it is forgotten after a day")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("b:1", "b", 1),
        ("b", "b", 7631),
        ("10.0.0.1:7", "10.0.0.1", 7),
        ("[fd00::1]:7", "fd00::1", 7),
        ("[::1]", "::1", 7631),
    ],
)
def test_a_peer_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert parse_peer(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":1", "b:", "b:x", "b:0", "b:65536", "fd00::1", "[]:1", "a b:1", "u@b:1", "http://b:1", "a..b:1", "b" * 64],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        Static((text,))


async def test_a_name_that_nobody_answers_for_keeps_nobody_from_the_others(started: list[Static]) -> None:
    release = asyncio.Event()

    async def resolve(host: str, port: int) -> tuple[str, ...]:
        if host == "mute":
            await release.wait()
        return ("10.0.0.1",)

    static = Static(("mute:1", "b:2"), resolve=resolve)
    told = await _start(started, static)
    await soon(lambda: static.seeds() == ("10.0.0.1:2",) and told.changes == 1, "the one that is known")
    release.set()
    await soon(lambda: static.seeds() == ("10.0.0.1:1", "10.0.0.1:2") and told.changes == 2, "the other")
