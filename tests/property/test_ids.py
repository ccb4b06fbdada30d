"""Ids go round, and are never minted twice, whatever the clock does."""

from __future__ import annotations

from hypothesis import given, strategies as st

from lambdamesh.ids import EPOCH_MS, LambdaId, Rays, Snowflakes, machine_id_text, parse_lambda_id, parse_machine_id
from tests.lambda_ids import parse

machines = st.integers(1, 2**32 - 1)
clocks = st.integers(EPOCH_MS - 10**6, EPOCH_MS + 10**12)
AHEAD_MS = 10_000


@given(machines, st.integers(0, 2**64 - 1))
def test_an_id_goes_round(machine: int, uid: int) -> None:
    lambda_id = LambdaId(machine, uid)
    assert parse_lambda_id(lambda_id.text) == lambda_id
    assert len(lambda_id.text) == 16


@given(st.binary(min_size=16, max_size=16) | st.text("AZaz09-_=+", min_size=16, max_size=16).map(str.encode))
def test_whatever_can_be_read_is_written_the_same(text: bytes) -> None:
    try:
        lambda_id = parse_lambda_id(text)
    except ValueError:
        return
    assert lambda_id.text == text


@given(machines)
def test_a_machine_id_goes_round(machine: int) -> None:
    assert parse_machine_id(machine_id_text(machine)) == machine


@given(machines, st.integers(0, 1023), clocks)
def test_an_id_says_when_and_by_whom_it_was_minted(machine: int, field: int, now_ms: int) -> None:
    minted = LambdaId(machine, Snowflakes(field).mint(now_ms))
    told = parse(minted.text.decode())
    assert (told.machine, told.at_ms, told.field) == (machine, max(now_ms, EPOCH_MS), field)
    assert (minted.unix_ms, minted.worker, minted.needs_key) == (told.at_ms, field & 0x1FF, field >= 0x200)


walks = st.lists(
    st.tuples(st.integers(-100_000, 100_000), st.sampled_from([1, 2, 4096, 5000]), st.booleans()), max_size=12
)
"""By how much the clock moves, how many ids are minted then, whether the node restarts before."""


@given(clocks, walks)
def test_a_worker_never_repeats_an_id(now_ms: int, walk: list[tuple[int, int, bool]]) -> None:
    snowflakes, floor_ms, last = Snowflakes(3), 0, -1
    for step_ms, count, restarts in walk:
        now_ms += step_ms
        if restarts:
            snowflakes = Snowflakes(3, floor_ms)
        for _ in range(count):
            uid = snowflakes.mint(now_ms)
            assert uid > last
            last = uid
        floor_ms = snowflakes.last_ms + AHEAD_MS


@given(clocks, st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([1, 3, 4095, 4096, 4097])), max_size=8))
def test_rays_never_repeat(now_ms: int, walk: list[tuple[int, int]]) -> None:
    rays, last = Rays("host", 1, now_ms), b""
    for step_ms, count in walk:
        now_ms += step_ms
        rays.tick(now_ms)
        for _ in range(count):
            ray = rays.mint()
            assert ray > last
            last = ray
