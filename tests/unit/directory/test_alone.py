"""A mesh of one."""

from __future__ import annotations

from datetime import datetime

from lambdamesh.directory.alone import Alone


def test_it_knows_itself_and_that_there_is_nobody_else() -> None:
    alone = Alone(0x1AAE, "box", "1.2.3")
    assert alone.complete()
    assert not alone.knows(0x1AAE)
    assert not alone.knows(7)


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
