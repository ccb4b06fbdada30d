"""Which lambdas live here, who may take one, and what is remembered of those that closed."""

from __future__ import annotations

import msgspec
import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Claim, Key
from lambdamesh.errors import (
    BadRequest,
    Forbidden,
    LambdaGone,
    LambdaLost,
    LambdaNotFound,
    MeshError,
    PeerUnreachable,
    Recovering,
)
from tests.unit.fakes import NOW_MS, TEXT, FakeDirectory, FakeSeat, Told, World, an_id

KEYED = an_id(needs_key=True)


def refusal(world: World, text: bytes = TEXT, key: Key = Key.NONE) -> type[MeshError] | None:
    error = world.registry.refusal(Claim(text, False, key), world.now_ms)
    return None if error is None else type(error)


# -- opening and re-opening -------------------------------------------------------------------------------------


def test_a_new_lambda_is_live() -> None:
    world = World()
    seat = world.open()
    held = world.registry.find(TEXT, world.now)
    assert (held.seat, held.state, held.code) == (seat, "open", "json-rpc")
    assert world.events == [(TEXT, "open", "new")]
    assert (world.counters.lambdas_opened, world.counters.lambdas_reopened) == (1, 0)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (TEXT, Key.NONE, None),
        (TEXT, Key.RIGHT, None),
        (TEXT, Key.WRONG, Forbidden),
        (KEYED, Key.NONE, Forbidden),
        (KEYED, Key.RIGHT, None),
        (KEYED, Key.WRONG, Forbidden),
        (an_id(at_ms=NOW_MS + 15_000), Key.NONE, None),
        (an_id(at_ms=NOW_MS + 15_001), Key.NONE, Forbidden),
        (an_id(at_ms=NOW_MS + 15_001), Key.RIGHT, None),
        (b"nonsense", Key.RIGHT, BadRequest),
        (an_id(machine=7), Key.RIGHT, LambdaNotFound),
    ],
    ids=["plain", "key", "wrong", "keyed", "keyed key", "keyed wrong", "soon", "future", "future key", "bad", "away"],
)
def test_who_may_reopen_an_id_that_nobody_holds(text: bytes, key: Key, expected: type[MeshError] | None) -> None:
    assert refusal(World(), text, key) is expected


@pytest.mark.parametrize("is_waiting", [False, True], ids=["held", "in grace"])
@pytest.mark.parametrize(("key", "expected"), [(Key.NONE, Forbidden), (Key.WRONG, Forbidden), (Key.RIGHT, None)])
def test_an_id_that_is_held_or_in_grace_wants_its_key(
    is_waiting: bool, key: Key, expected: type[MeshError] | None
) -> None:
    world = World()
    seat = world.open(grace_s=15)
    if is_waiting:
        world.leave(seat)
    assert refusal(world, key=key) is expected


@pytest.mark.parametrize("key", [Key.NONE, Key.RIGHT])
def test_a_deleted_id_stays_deleted_whatever_the_key(key: Key) -> None:
    world = World()
    world.open()
    world.registry.delete(TEXT, world.now, world.now_ms)
    assert refusal(world, key=key) is LambdaGone
    assert isinstance(world.registry.take(Claim(TEXT, False, key), FakeSeat(), world.now, world.now_ms), LambdaGone)
    assert not world.registry.live


@pytest.mark.parametrize(
    ("directory", "expected"), [(FakeDirectory(7), PeerUnreachable), (FakeDirectory(), LambdaNotFound)]
)
def test_an_id_of_another_machine_has_its_home_there(directory: FakeDirectory, expected: type[MeshError]) -> None:
    assert refusal(World(directory=directory), an_id(machine=7), Key.RIGHT) is expected


def test_a_closed_id_may_come_back_without_a_key() -> None:
    world = World()
    world.leave(world.open())
    assert isinstance(world.absence(), LambdaGone)
    seat = world.reopen(Key.NONE)
    assert world.registry.find(TEXT, world.now).seat is seat
    assert world.events[-1] == (TEXT, "open", "reopened")
    assert world.counters.lambdas_reopened == 1


def test_what_was_allowed_at_the_handshake_is_judged_again_at_open() -> None:
    world = World()
    assert refusal(world) is None
    holder = world.open()
    late = FakeSeat()
    assert isinstance(world.registry.take(Claim(TEXT, False), late, world.now, world.now_ms), Forbidden)
    assert world.registry.live[TEXT].seat is holder
    assert not holder.closed


# -- takeover ---------------------------------------------------------------------------------------------------


def test_a_takeover_closes_the_old_socket_and_ends_its_calls() -> None:
    world = World()
    old, told = world.open(), Told()
    world.call(told)
    new = world.reopen()
    assert old.closed == [4409]
    assert isinstance(told.error, LambdaLost)
    assert world.registry.live[TEXT].seat is new
    assert (TEXT, "close", "lost") not in world.events


def test_numbers_count_over_the_life_of_the_lambda() -> None:
    world = World()
    old = world.open(grace_s=15)
    world.call(Told())
    world.call(Told())
    new = world.reopen(grace_s=15)
    world.call(Told())
    assert [number for number, _, _ in new.provider.calls] == [3]
    world.leave(new)
    newest = world.reopen()
    world.call(Told())
    assert [number for number, _, _ in newest.provider.calls] == [4]
    assert [number for number, _, _ in old.provider.calls] == [1, 2]


def test_a_takeover_brings_its_own_headers_grace_and_codec() -> None:
    world = World()
    world.open(grace_s=1)
    seat = FakeSeat()
    seat.code = "json-rpc-2.0"
    assert world.registry.take(Claim(TEXT, False, Key.RIGHT, 7.0, b'{"A":[]}'), seat, world.now, world.now_ms) is None
    held = world.registry.live[TEXT]
    assert (held.code, held.grace_s, held.headers) == ("json-rpc-2.0", 7.0, b'{"A":[]}')


def test_the_late_end_of_a_superseded_socket_changes_nothing() -> None:
    world = World()
    old = world.open(grace_s=15)
    new = world.reopen(grace_s=15)
    told = Told()
    world.call(told)
    before = list(world.events)
    world.leave(old, final=True)
    assert world.events == before
    assert world.registry.live[TEXT].seat is new
    assert told.outcomes == 0


def test_the_late_answer_of_a_superseded_socket_changes_nothing() -> None:
    world = World()
    old, told = world.open(), Told()
    world.call(told)
    world.reopen()
    old.provider.answer(1)
    assert told.outcomes == 1


def test_the_last_to_answer_wins() -> None:
    world = World()
    seats = [world.open(), world.reopen(), world.reopen()]
    assert [seat.closed for seat in seats] == [[4409], [4409], []]


# -- leaving and grace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grace_s", "final", "reason"), [(0.0, False, "lost"), (0.0, True, "closed"), (15.0, True, "closed")]
)
def test_without_grace_the_end_of_the_socket_is_the_end(grace_s: float, final: bool, reason: str) -> None:
    world = World()
    seat, told = world.open(grace_s=grace_s), Told()
    world.call(told)
    world.leave(seat, final=final)
    assert world.events[-1] == (TEXT, "close", reason)
    assert isinstance(world.absence(), LambdaGone)
    assert isinstance(told.error, LambdaLost)
    assert world.counters.lambdas_closed == 1


def test_leaving_twice_is_leaving_once() -> None:
    world = World()
    seat = world.open()
    world.leave(seat)
    world.leave(seat)
    assert world.counters.lambdas_closed == 1


def test_in_grace_it_waits_and_then_expires() -> None:
    world = World()
    world.leave(world.open(grace_s=15))
    assert world.registry.live[TEXT].state == "waiting"
    world.pass_time(15.0)
    assert TEXT in world.registry.live
    world.pass_time(0.06)
    assert world.events[-1] == (TEXT, "close", "expired")
    assert isinstance(world.absence(), LambdaGone)


def test_a_lambda_that_came_back_does_not_expire() -> None:
    world = World()
    world.leave(world.open(grace_s=15))
    world.reopen(grace_s=15)
    world.pass_time(60)
    assert world.registry.live[TEXT].state == "open"


def test_each_grace_counts_from_its_own_leave() -> None:
    world = World()
    world.leave(world.open(grace_s=15))
    world.pass_time(10)
    world.leave(world.reopen(grace_s=15))
    world.pass_time(10)
    assert TEXT in world.registry.live
    world.pass_time(6)
    assert TEXT not in world.registry.live


# -- deleting ---------------------------------------------------------------------------------------------------


def test_deleting_closes_the_socket_and_voids_the_keys() -> None:
    world = World(Limits(resume_key_ttl_s=100))
    seat, told = world.open(grace_s=15), Told()
    world.call(told)
    world.registry.delete(TEXT, world.now, world.now_ms)
    assert seat.closed == [4410]
    assert isinstance(told.error, LambdaLost)
    assert world.events[-1] == (TEXT, "close", "deleted")
    assert world.graves.until_s == {TEXT: NOW_MS / 1000 + 100}
    world.leave(seat, final=True)
    assert world.counters.lambdas_closed == 1


def test_a_waiting_lambda_can_be_deleted() -> None:
    world = World()
    world.leave(world.open(grace_s=15))
    world.registry.delete(TEXT, world.now, world.now_ms)
    world.pass_time(60)
    assert [event for event in world.events if event[1] == "close"] == [(TEXT, "close", "deleted")]


@pytest.mark.parametrize(
    ("text", "kind"), [(TEXT, LambdaNotFound), (b"nonsense", BadRequest), (an_id(machine=7), LambdaNotFound)]
)
def test_what_is_not_there_cannot_be_deleted(text: bytes, kind: type[MeshError]) -> None:
    world = World()
    with pytest.raises(kind):
        world.registry.delete(text, world.now, world.now_ms)
    assert not world.graves.until_s


def test_a_deleted_id_is_gone_for_as_long_as_its_grave_is_kept() -> None:
    world = World(Limits(gone_ttl_s=1))
    world.open()
    world.registry.delete(TEXT, world.now, world.now_ms)
    world.pass_time(1000)
    assert isinstance(world.absence(), LambdaGone)
    world.graves.until_s.clear()
    assert isinstance(world.absence(), LambdaNotFound)


# -- what is remembered -----------------------------------------------------------------------------------------


def close_some(world: World, *sequences: int) -> None:
    for sequence in sequences:
        text = an_id(sequence)
        world.leave(world.open(text), text=text)


def absences(world: World, *sequences: int) -> list[str]:
    return [type(world.absence(an_id(sequence))).__name__ for sequence in sequences]


def test_a_closed_id_is_remembered_for_its_time() -> None:
    world = World(Limits(gone_ttl_s=3600))
    close_some(world, 1)
    world.pass_time(3599)
    assert absences(world, 1) == ["LambdaGone"]
    world.pass_time(2)
    assert absences(world, 1) == ["LambdaNotFound"]


def test_only_so_many_closed_ids_are_remembered_the_newest() -> None:
    world = World(Limits(gone_ids=2))
    close_some(world, 1, 2, 3)
    assert absences(world, 1, 2, 3) == ["LambdaNotFound", "LambdaGone", "LambdaGone"]


def test_an_id_that_closed_again_is_remembered_anew() -> None:
    world = World(Limits(gone_ids=2))
    close_some(world, 1, 2)
    world.leave(world.reopen(Key.NONE, text=an_id(1)), text=an_id(1))
    close_some(world, 3)
    assert absences(world, 1, 2, 3) == ["LambdaGone", "LambdaNotFound", "LambdaGone"]


def test_a_node_may_be_told_to_remember_none() -> None:
    world = World(Limits(gone_ids=0))
    close_some(world, 1)
    assert absences(world, 1) == ["LambdaNotFound"]


@pytest.mark.parametrize(
    ("text", "after_s", "kind"),
    [
        (an_id(at_ms=NOW_MS - 1), 0.0, Recovering),
        (an_id(at_ms=NOW_MS - 1), 14.9, Recovering),
        (an_id(at_ms=NOW_MS - 1), 15.0, LambdaNotFound),
        (an_id(at_ms=NOW_MS), 0.0, LambdaNotFound),
        (an_id(at_ms=NOW_MS - 1, machine=7), 0.0, LambdaNotFound),
        (b"nonsense", 0.0, BadRequest),
    ],
)
def test_just_after_a_start_an_older_id_may_be_on_its_way_back(
    text: bytes, after_s: float, kind: type[MeshError]
) -> None:
    world = World()
    world.registry.started_at, world.registry.started_ms = world.now, NOW_MS
    world.pass_time(after_s)
    assert type(world.absence(text)) is kind


def test_a_lambda_that_closed_since_the_start_is_gone_not_recovering() -> None:
    world = World()
    world.registry.started_at, world.registry.started_ms = world.now, NOW_MS + 5
    world.leave(world.open())
    assert isinstance(world.absence(), LambdaGone)


def test_a_claim_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Claim(TEXT, True).text = b"other"  # type: ignore[misc]
    assert msgspec.structs.replace(Claim(TEXT, True), key=Key.RIGHT).key is Key.RIGHT
