"""A mesh of one."""

from __future__ import annotations

from datetime import datetime

from lambdamesh.core.peering import Directory
from lambdamesh.directory.alone import Alone
from tests.directories import Told, record


def test_it_knows_itself_and_that_there_is_nobody_else() -> None:
    alone = Alone(0x1AAE, "box", "1.2.3")
    assert alone.complete()
    assert not alone.knows(0x1AAE)
    assert not alone.knows(7)


async def test_it_is_a_directory_like_others_with_nobody_in_it() -> None:
    alone: Directory = Alone(0x1AAE, "box", "1.2.3")
    told = Told().of(alone)
    await alone.start(record(0x1AAE))
    alone.learn(record(7), 1_711_843_200.0, is_hearsay=False)
    alone.answered("10.0.0.7:7631", record(7))
    assert alone.nodes() == ()
    assert alone.seeds() == ()
    assert alone.find(7) is None
    assert alone.heard_at(7) is None
    assert alone.trouble() is None
    assert not alone.is_alive(7, 1_711_843_200.0)
    await alone.stop()
    assert (told.changes, told.failures) == (0, [])


def test_its_listing_is_itself() -> None:
    alone = Alone(0x1AAE, "box", "1.2.3")
    alone.address = "10.0.0.1:7631"
    (row,) = alone.listing(1_711_843_200.25)
    heartbeat = row.pop("heartbeat")
    assert row == {
        "machine_id": "00001aae",
        "host": "box",
        "address": "10.0.0.1:7631",
        "version": "1.2.3",
        "alive": True,
        "me": True,
    }
    assert isinstance(heartbeat, str)
    assert datetime.fromisoformat(heartbeat).timestamp() == 1_711_843_200.25
