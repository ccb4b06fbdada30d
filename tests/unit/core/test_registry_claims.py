"""What a claim leaves behind: ids that are never minted again, and keys that are void."""

from __future__ import annotations

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Claim, Key
from lambdamesh.errors import Forbidden, LambdaGone, Recovering
from lambdamesh.ids import LambdaId, Snowflakes
from tests.unit.fakes import MACHINE, NOW_MS, TEXT, FakeSeat, World, an_id


class Claims:
    """A world whose minting hears of each claim, as a node's does."""

    def __init__(self) -> None:
        self.world = World()
        self.snowflakes = Snowflakes(0)
        self.heard: list[bytes] = []
        self.world.registry.claimed = self._claimed

    def _claimed(self, lambda_id: LambdaId) -> None:
        self.heard.append(lambda_id.text)
        self.snowflakes.skip(lambda_id.unix_ms)

    def mint(self, now_ms: int) -> bytes:
        return LambdaId(MACHINE, self.snowflakes.mint(now_ms)).text


@pytest.mark.parametrize("ahead_ms", [0, 1, 5_000, 14_999])
def test_an_id_that_was_claimed_before_its_time_is_never_minted(ahead_ms: int) -> None:
    claims = Claims()
    claimed = an_id(0, at_ms=NOW_MS + ahead_ms)
    claims.world.reopen(Key.NONE, text=claimed)
    assert claims.heard == [claimed]
    minted = [claims.mint(NOW_MS + ahead_ms + late_ms) for late_ms in (0, 0, 1, 2)]
    assert claimed not in minted
    assert len(set(minted)) == 4


@pytest.mark.parametrize("key", [Key.NONE, Key.RIGHT])
def test_every_reopen_is_told(key: Key) -> None:
    claims = Claims()
    claims.world.reopen(key)
    assert claims.heard == [TEXT]


def test_what_is_new_or_refused_is_no_claim() -> None:
    claims = Claims()
    claims.world.open()
    for claim in (Claim(TEXT, False), Claim(an_id(at_ms=NOW_MS + 16_000), False), Claim(an_id(2), False, Key.WRONG)):
        refusal = claims.world.registry.take(claim, FakeSeat(), claims.world.now, NOW_MS)
        assert isinstance(refusal, Forbidden)
    assert claims.heard == []


@pytest.mark.parametrize(
    ("last_minted_ms", "at_ms", "may"),
    [
        (0, NOW_MS + 15_000, True),
        (0, NOW_MS + 15_001, False),
        (NOW_MS + 60_000, NOW_MS + 60_000, True),
        (NOW_MS + 60_000, NOW_MS + 75_001, False),
        (NOW_MS - 60_000, NOW_MS + 15_000, True),
    ],
)
def test_the_future_begins_behind_the_clock_and_behind_what_was_minted(
    last_minted_ms: int, at_ms: int, may: bool
) -> None:
    """Ids may run ahead of a clock that was set back: their owners get them again all the same."""
    world = World()
    world.registry.last_minted_ms = last_minted_ms
    refusal = world.registry.refusal(Claim(an_id(at_ms=at_ms), False), NOW_MS)
    assert (refusal is None) is may


# -- deleting what has closed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [Key.NONE, Key.RIGHT])
def test_to_delete_what_has_closed_voids_its_key(key: Key) -> None:
    world = World(Limits(resume_key_ttl_s=100.0))
    world.leave(world.open(), final=True)
    with pytest.raises(LambdaGone):
        world.registry.delete(TEXT, world.now, world.now_ms)
    assert world.graves.until_s == {TEXT: NOW_MS / 1000 + 100.0}
    refusal = world.registry.take(Claim(TEXT, False, key), FakeSeat(), world.now, world.now_ms)
    assert isinstance(refusal, LambdaGone)
    assert world.events[-1] == (TEXT, "close", "closed")


def test_to_delete_it_again_does_not_prolong_its_grave() -> None:
    world = World(Limits(resume_key_ttl_s=100.0))
    world.open()
    world.registry.delete(TEXT, world.now, world.now_ms)
    before = dict(world.graves.until_s)
    world.pass_time(50.0)
    with pytest.raises(LambdaGone):
        world.registry.delete(TEXT, world.now, world.now_ms)
    assert world.graves.until_s == before


def test_who_has_just_started_gives_nothing_away_without_a_key() -> None:
    world = World()
    world.registry.started_ms, world.registry.relearned_ms = NOW_MS + 100, NOW_MS + 2100
    assert isinstance(world.registry.refusal(Claim(TEXT, False), NOW_MS + 200), Recovering)
    assert world.registry.refusal(Claim(TEXT, False, Key.RIGHT), NOW_MS + 200) is None
    assert world.registry.refusal(Claim(TEXT, False), NOW_MS + 2100) is None
    # What was minted since nobody else can hold.
    assert world.registry.refusal(Claim(an_id(at_ms=NOW_MS + 150), False), NOW_MS + 200) is None
