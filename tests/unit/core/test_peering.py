"""What a node may say of itself, and what is left of the rest."""

from __future__ import annotations

import math

import msgspec
import pytest

from lambdamesh.core.peering import NodeRecord, can_be_dialled, can_be_looked_up

SOUND = NodeRecord(machine=2, instance="b", host="two", address="10.0.0.2:7631", version="1", started_at=5.0)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1:1", "a:65535", "[fd00::1]:7631", "[fe80::1%eth0]:1", "node_1.example.:7631", "münchen.example:7631"],
)
def test_what_can_be_dialled(address: str) -> None:
    assert can_be_dialled(address)
    assert msgspec.structs.replace(SOUND, address=address).is_sound


@pytest.mark.parametrize(
    "address",
    [
        "garbage", "", ":7631", "a:", "a:0", "a:65536", "a:99999", "a:-1", "a:٣", "host:port", "a..b:7631", ".a:1",
        "x" * 64 + ":1", "a b:1", "a\x00b:1", "a\n:1", "fd00::1", "fd00::1:1", "[]:1", "[a]:1", "[10.0.0.1]:1",
        "u@a:1", "a/b:1", "a:1\n", "a." * 150 + "a:1",
    ],
)  # fmt: skip
def test_what_cannot(address: str) -> None:
    assert not can_be_dialled(address)
    bad = msgspec.structs.replace(SOUND, address=address)
    assert bad.is_sound == (address == "")
    assert bad.tamed() == msgspec.structs.replace(SOUND, address="")


@pytest.mark.parametrize("host", ["", ".", "a..b", "x" * 64, "é" * 63])
def test_a_name_that_dns_cannot_write(host: str) -> None:
    assert not can_be_looked_up(host)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"host": "h" * 255}, {"host": "h" * 255}),
        ({"host": "h" * 256}, {"host": ""}),
        ({"host": "\ud800"}, {"host": ""}),
        ({"instance": "i" * 64, "version": "v" * 64}, {"instance": "i" * 64, "version": "v" * 64}),
        ({"instance": "i" * 65, "version": "v" * 65}, {"instance": "", "version": ""}),
        ({"version": "1\r\n2"}, {"version": ""}),
    ],
)
def test_texts_are_short_and_can_be_shown(changes: dict[str, str], left: dict[str, str]) -> None:
    said = msgspec.structs.replace(SOUND, **changes)
    assert said.is_sound == (changes == left)
    assert said.tamed() == msgspec.structs.replace(SOUND, **left)


@pytest.mark.parametrize(
    ("started_at", "known"),
    [
        (0.0, 0.0),
        (99.0, 99.0),
        (160.0, 160.0),
        (161.0, 0.0),
        (1e300, 0.0),
        (-1.0, 0.0),
        (math.nan, 0.0),
        (math.inf, 0.0),
    ],
)
def test_a_start_that_lies_ahead_is_not_known(started_at: float, known: float) -> None:
    assert msgspec.structs.replace(SOUND, started_at=started_at).dated(100.0).started_at == known
