"""Lambdas as a reader sees them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from lambdamesh.core.listing import lambda_map, lambda_object, timestamp
from tests.unit.fakes import TEXT, World, an_id


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time zone of the reference."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield "+01:00"
    monkeypatch.undo()
    time.tzset()


def test_the_timestamp_of_the_reference(zone: str) -> None:
    assert timestamp(b"rhowRuuCUoE5vlcA") == f"2024-03-09T04:38:57.413{zone}"


@pytest.mark.parametrize("millis", range(0, 1000, 37))
def test_no_millisecond_is_rounded_away(millis: int) -> None:
    assert timestamp(an_id(at_ms=1_704_067_200_000 + millis)).partition(".")[2].startswith(f"{millis:03d}")


def test_a_lambda_object(zone: str) -> None:
    world = World()
    seat = world.open(grace_s=15)
    held = world.registry.live[TEXT]
    held.headers = b'{"X-Ray":["a"]}'
    assert json.loads(lambda_object(held)) == {
        "id": TEXT.decode(),
        "timestamp": f"2024-03-31T01:00:00.000{zone}",
        "code": "json-rpc",
        "state": "open",
        "headers": {"X-Ray": ["a"]},
    }
    world.leave(seat)
    assert json.loads(lambda_object(held))["state"] == "waiting"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_map_from_id_to_object(count: int) -> None:
    world = World()
    ids = [an_id(sequence) for sequence in range(count)]
    for text in ids:
        world.open(text)
    listing = json.loads(lambda_map(world.registry.live.values()))
    assert list(listing) == [text.decode() for text in ids]
    assert all(key == shown["id"] for key, shown in listing.items())
