"""Names: lambda ids, the snowflakes in them, machine ids, rays."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest

from lambdamesh.ids import (
    EPOCH_MS,
    NEEDS_KEY,
    LambdaId,
    Rays,
    Snowflakes,
    machine_id_text,
    parse_lambda_id,
    parse_machine_id,
)

EXAMPLE = b"rhowRuuCUoE5vlcA"
NOW_MS = EPOCH_MS + 10**10


def test_the_epoch_is_the_first_of_january_2024() -> None:
    assert datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000 == EPOCH_MS


def test_the_example_decodes_as_documented() -> None:
    example = parse_lambda_id(EXAMPLE)
    assert machine_id_text(example.machine) == "46301aae"
    assert example.uid == 0x57BE39815282EB
    assert example.needs_key is False
    assert datetime.fromtimestamp(example.unix_ms / 1000, UTC).isoformat(timespec="milliseconds") == (
        "2024-03-09T03:38:57.413+00:00"
    )
    assert example.text == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"rhowRuuCUoE5vlc",
        b"rhowRuuCUoE5vlcAA",
        b"rhowRuuCUoE5vlc+",
        b"rhowRuuCUoE5vlc=",
        b"rhowRuuCUoE5vlcA\n",
        b"new",
        b"rhow uuCUoE5vlcA",
        b"rhowRuuCUoE5vlc\xc3",
        b"rhowRuuCUoE5vlc/",
    ],
)
def test_what_is_not_16_characters_of_base64url_is_no_id(text: bytes) -> None:
    with pytest.raises(ValueError, match="16 characters"):
        parse_lambda_id(text)


def test_machine_0_is_no_machine() -> None:
    with pytest.raises(ValueError, match="machine id 0"):
        parse_lambda_id(LambdaId(0, 5).text)


@pytest.mark.parametrize(("text", "machine"), [("46301aae", 0x46301AAE), ("00000001", 1), ("FFFFFFFF", 2**32 - 1)])
def test_machine_ids_are_8_hex_digits(text: str, machine: int) -> None:
    assert parse_machine_id(text) == machine
    assert machine_id_text(machine) == text.lower()


@pytest.mark.parametrize("text", ["", "0", "00000000", "46301aa", "46301aae0", "0x46301a", "46301aag", "46301aae\n"])
def test_anything_else_is_no_machine_id(text: str) -> None:
    with pytest.raises(ValueError, match="8 hex digits"):
        parse_machine_id(text)


def test_a_uid_holds_time_worker_and_key_bit() -> None:
    plain = LambdaId(1, Snowflakes(5).mint(NOW_MS))
    keyed = LambdaId(1, Snowflakes(NEEDS_KEY | 5).mint(NOW_MS))
    assert (plain.unix_ms, plain.worker, plain.needs_key) == (NOW_MS, 5, False)
    assert (keyed.unix_ms, keyed.worker, keyed.needs_key) == (NOW_MS, 5, True)


def test_the_sequence_wraps_into_the_next_millisecond() -> None:
    snowflakes = Snowflakes(1)
    uids = [snowflakes.mint(NOW_MS) for _ in range(4097)]
    assert all(earlier < later for earlier, later in itertools.pairwise(uids))
    assert LambdaId(1, uids[4095]).unix_ms == NOW_MS
    assert LambdaId(1, uids[4096]).unix_ms == NOW_MS + 1
    assert snowflakes.last_ms == NOW_MS + 1


def test_a_clock_that_steps_back_is_counted_on_from() -> None:
    snowflakes = Snowflakes(0)
    before = snowflakes.mint(NOW_MS)
    after = snowflakes.mint(NOW_MS - 60_000)
    assert after == before + 1


@pytest.mark.parametrize("now_ms", [NOW_MS, NOW_MS - 10**6, EPOCH_MS - 5])
def test_nothing_is_minted_below_the_floor(now_ms: int) -> None:
    floor_ms = NOW_MS + 10_000
    assert LambdaId(1, Snowflakes(0, floor_ms).mint(now_ms)).unix_ms >= floor_ms


def test_a_floor_of_the_past_does_not_hold_back() -> None:
    assert LambdaId(1, Snowflakes(0, NOW_MS - 1).mint(NOW_MS)).unix_ms == NOW_MS


@pytest.mark.parametrize("ahead_ms", [0, 1, 5_000, 15_000])
def test_what_is_skipped_is_never_minted(ahead_ms: int) -> None:
    snowflakes = Snowflakes(1)
    snowflakes.mint(NOW_MS)
    snowflakes.skip(NOW_MS + ahead_ms)
    assert snowflakes.last_ms == NOW_MS + ahead_ms
    for now_ms in (NOW_MS, NOW_MS + ahead_ms, NOW_MS + ahead_ms):
        assert LambdaId(1, snowflakes.mint(now_ms)).unix_ms == NOW_MS + ahead_ms + 1


@pytest.mark.parametrize("past_ms", [NOW_MS - 1, NOW_MS - 10**9, EPOCH_MS, EPOCH_MS - 1])
def test_to_skip_the_past_changes_nothing(past_ms: int) -> None:
    snowflakes = Snowflakes(1)
    before = snowflakes.mint(NOW_MS)
    snowflakes.skip(past_ms)
    assert snowflakes.mint(NOW_MS) == before + 1


def test_a_clock_that_42_bits_cannot_say_is_an_error() -> None:
    with pytest.raises(OverflowError):
        Snowflakes(0).mint(EPOCH_MS + (1 << 42))


def test_a_ray_is_a_snowflake_and_three_letters() -> None:
    ray = Rays("my-host", 3, NOW_MS).mint()
    assert re.fullmatch(rb"[0-9a-f]{16}-MYH", ray)
    flake = LambdaId(1, int(ray[:16], 16))
    assert (flake.unix_ms, flake.worker) == (NOW_MS, 3)


@pytest.mark.parametrize(
    ("host", "letters"), [("a", "AXX"), ("", "XXX"), ("10.0.0.1", "XXX"), ("n-7b.local", "NBL"), ("éa", "AXX")]
)
def test_a_short_name_is_padded(host: str, letters: str) -> None:
    assert Rays(host, 0, NOW_MS).mint().decode()[16:] == f"-{letters}"


def test_rays_never_repeat_over_ticks_and_wraps() -> None:
    rays = Rays("host", 0, NOW_MS)
    minted = [rays.mint() for _ in range(5000)]
    for now_ms in (NOW_MS + 1, NOW_MS, NOW_MS + 2):
        rays.tick(now_ms)
        minted += [rays.mint() for _ in range(3)]
    assert minted == sorted(set(minted))
