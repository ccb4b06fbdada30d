"""Lambdas as a reader sees them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from lambdamesh.core import listing
from lambdamesh.core.listing import lambda_map, lambda_object, timestamp
from tests.unit.fakes import TEXT, World, an_id


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Move this process to another time zone (POSIX's ``TZ``), which no node ever does while it runs."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        listing._minute.cache_clear()

    yield move
    monkeypatch.undo()
    time.tzset()
    listing._minute.cache_clear()


@pytest.fixture
def zone(set_zone: Callable[[str], None]) -> str:
    """The time zone of the reference."""
    set_zone("CET-1")
    return "+01:00"


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


BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
KATHMANDU = "<+0545>-5:45"


def unix_ms(*utc: int) -> int:
    return int(datetime(*utc, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("zone_rule", "change_ms", "before", "after"),
    [
        (BERLIN, unix_ms(2024, 3, 31, 1), "2024-03-31T01:59:59.999+01:00", "2024-03-31T03:00:00.000+02:00"),
        (BERLIN, unix_ms(2024, 10, 27, 1), "2024-10-27T02:59:59.999+02:00", "2024-10-27T02:00:00.000+01:00"),
        (NEW_YORK, unix_ms(2025, 3, 9, 7), "2025-03-09T01:59:59.999-05:00", "2025-03-09T03:00:00.000-04:00"),
        (NEW_YORK, unix_ms(2025, 11, 2, 6), "2025-11-02T01:59:59.999-04:00", "2025-11-02T01:00:00.000-05:00"),
        (LORD_HOWE, unix_ms(2024, 4, 6, 15), "2024-04-07T01:59:59.999+11:00", "2024-04-07T01:30:00.000+10:30"),
        (LORD_HOWE, unix_ms(2024, 10, 5, 15, 30), "2024-10-06T01:59:59.999+10:30", "2024-10-06T02:30:00.000+11:00"),
        (KATHMANDU, unix_ms(2024, 12, 31, 18, 15), "2024-12-31T23:59:59.999+05:45", "2025-01-01T00:00:00.000+05:45"),
        ("UTC0", unix_ms(2024, 2, 29), "2024-02-28T23:59:59.999+00:00", "2024-02-29T00:00:00.000+00:00"),
    ],
)
def test_the_offset_is_that_of_its_minute(
    set_zone: Callable[[str], None], zone_rule: str, change_ms: int, before: str, after: str
) -> None:
    set_zone(zone_rule)
    for _ in range(2):
        assert timestamp(an_id(at_ms=change_ms - 1)) == before
        assert timestamp(an_id(at_ms=change_ms)) == after


@pytest.mark.parametrize("zone_rule", [BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU])
def test_a_timestamp_is_the_very_time_all_year(set_zone: Callable[[str], None], zone_rule: str) -> None:
    set_zone(zone_rule)
    for number in range(2000):
        at_ms = unix_ms(2024, 1, 1) + number * 15_823_457
        written = timestamp(an_id(at_ms=at_ms))
        assert round(datetime.fromisoformat(written).timestamp() * 1000) == at_ms
        assert written == datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().isoformat(timespec="milliseconds")
