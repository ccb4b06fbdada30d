"""Calls over the end of a socket: which are kept, who answers them then, and what ends the others."""

from __future__ import annotations

from typing import cast

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Claim, Key
from lambdamesh.errors import CallTimeout, LambdaLost, Overloaded
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import TEXT, FakeProvider, Told, World


class Seat2:
    """The seat of a provider with json-rpc-2.0 and ``meta`` (``Seat``)."""

    code = "json-rpc-2.0"
    congested = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: list[int] = []
        self.provider = LambdaCalls(self.sent.append, SessionCounters(), Bounds(1 << 20, 1024), TEXT)
        self.provider.has_meta = True

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed.append(code)

    def answer(self, number: int, raw: bytes = b"1") -> None:
        answer = self.provider.pending.pop(number, None)
        if answer is not None:
            answer.result(raw)

    def cancelled(self) -> list[bytes]:
        return [message for message in self.sent if b"$/cancelRequest" in message]


class Keeping:
    """A world with one lambda whose seats know how to keep calls."""

    def __init__(self, limits: Limits | None = None, grace_s: float = 15.0) -> None:
        self.world = World(limits)
        self.grace_s = grace_s
        self.seat = self.take((), is_new=True)

    def take(self, keep: tuple[int, ...], *, is_new: bool = False) -> Seat2:
        seat = Seat2()
        key = Key.NONE if is_new else Key.RIGHT
        claim = Claim(TEXT, is_new, key, self.grace_s)
        assert self.world.registry.take(claim, seat, self.world.now, self.world.now_ms, keep) is None
        return seat

    def call(self, *, credit: int = 0, timeout_s: float = 60.0) -> Told:
        told = Told()
        self.world.call(told, credit=credit, timeout_s=timeout_s)
        return told

    def calls(self, count: int) -> list[Told]:
        return [self.call() for _ in range(count)]

    def leave(self, seat: Seat2 | None = None, *, final: bool = False) -> None:
        left = seat or self.seat
        self.world.registry.leave(TEXT, left, "closed" if final else "lost", final, self.world.now)
        left.provider.release()

    @property
    def unanswered(self) -> tuple[int, ...]:
        return self.world.registry.unanswered(TEXT)


MOVES = pytest.mark.parametrize("is_live", [False, True], ids=["in grace", "takeover"])


def moved(is_live: bool, count: int, keep: tuple[int, ...]) -> tuple[Keeping, list[Told], Seat2]:
    """So many calls, and the lambda re-opened: after the end of its socket, or while it is there."""
    keeping = Keeping()
    tolds = keeping.calls(count)
    if not is_live:
        keeping.leave()
    seat = keeping.take(keep)
    assert keeping.seat.closed == [4409] * is_live
    return keeping, tolds, seat


# -- kept -------------------------------------------------------------------------------------------------------


def test_in_grace_nothing_is_lost_that_could_be_answered() -> None:
    keeping = Keeping()
    tolds = keeping.calls(3)
    keeping.leave()
    assert [told.outcomes for told in tolds] == [0, 0, 0]
    assert keeping.unanswered == (1, 2, 3)


@MOVES
def test_what_is_kept_is_answered_on_the_new_socket_and_nothing_is_sent_twice(is_live: bool) -> None:
    keeping, tolds, seat = moved(is_live, 3, (1, 3))
    assert [told.outcomes for told in tolds] == [0, 1, 0]
    assert isinstance(tolds[1].error, LambdaLost)
    assert not seat.sent
    assert tuple(seat.provider.pending) == (1, 3)
    keeping.seat.answer(1, b'"late"')
    seat.answer(1, b'"one"')
    seat.answer(3, b'"three"')
    assert (tolds[0].raw, tolds[2].raw) == (b'"one"', b'"three"')
    assert keeping.world.counters.calls_answered == 2
    assert keeping.world.counters.calls_lost == 1


@MOVES
@pytest.mark.parametrize("keep", [(), (7,), (-1, 0, 99, 10**30)])
def test_what_is_not_kept_is_lost_at_once(is_live: bool, keep: tuple[int, ...]) -> None:
    _, tolds, seat = moved(is_live, 2, keep)
    assert [type(told.error) for told in tolds] == [LambdaLost] * 2
    assert tolds[0].error.delivered == "unknown"
    assert not seat.provider.pending


@MOVES
def test_a_number_that_is_said_twice_is_one_call(is_live: bool) -> None:
    _, tolds, seat = moved(is_live, 1, (1, 1))
    seat.answer(1)
    assert tolds[0].raw == b"1"


@MOVES
def test_numbers_go_on_behind_those_that_are_kept(is_live: bool) -> None:
    keeping, _, seat = moved(is_live, 3, (2,))
    keeping.call()
    assert tuple(seat.provider.pending) == (2, 4)


@MOVES
def test_a_call_that_was_kept_is_cancelled_where_it_is_now(is_live: bool) -> None:
    keeping = Keeping()
    flight = keeping.world.call(Told())
    assert flight is not None
    if not is_live:
        keeping.leave()
    seat = keeping.take((1,))
    flight.cancel()
    assert seat.sent == [b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}']
    assert not keeping.seat.cancelled()
    assert not seat.provider.pending
    assert keeping.world.counters.calls_cancelled == 1


@MOVES
def test_a_call_that_was_kept_keeps_its_deadline(is_live: bool) -> None:
    keeping = Keeping()
    told = keeping.call(timeout_s=10.0)
    keeping.world.pass_time(8.0)
    if not is_live:
        keeping.leave()
    seat = keeping.take((1,))
    keeping.world.pass_time(2.0)
    assert told.outcomes == 0
    keeping.world.pass_time(0.1)
    assert isinstance(told.error, CallTimeout)
    assert told.error.delivered == "unknown"
    assert len(seat.cancelled()) == 1


def test_a_call_may_be_kept_again_and_again() -> None:
    keeping = Keeping()
    told = keeping.call()
    seat = keeping.seat
    for number in range(5):
        if number % 2:
            keeping.leave(seat)
        seat = keeping.take((1,))
    seat.answer(1, b"5")
    assert told.raw == b"5"


@MOVES
def test_the_late_end_of_the_old_socket_changes_nothing(is_live: bool) -> None:
    keeping, tolds, seat = moved(is_live, 1, (1,))
    keeping.leave(keeping.seat, final=True)
    assert tolds[0].outcomes == 0
    seat.answer(1)
    assert tolds[0].raw == b"1"


# -- streams ----------------------------------------------------------------------------------------------------


def test_streams_end_with_their_socket_whatever_the_grace() -> None:
    keeping = Keeping()
    plain, stream = keeping.call(), keeping.call(credit=16)
    keeping.leave()
    assert isinstance(stream.error, LambdaLost)
    assert plain.outcomes == 0
    assert keeping.unanswered == (1,)


def test_a_takeover_ends_them_even_if_it_would_keep_them() -> None:
    keeping = Keeping()
    plain, stream = keeping.call(), keeping.call(credit=16)
    seat = keeping.take((1, 2))
    assert isinstance(stream.error, LambdaLost)
    assert plain.outcomes == 0
    assert tuple(seat.provider.pending) == (1,)


# -- in the gap -------------------------------------------------------------------------------------------------


def test_a_deadline_in_the_gap_is_that_of_a_call_that_may_have_run() -> None:
    keeping = Keeping()
    told = keeping.call(timeout_s=5.0)
    keeping.leave()
    keeping.world.pass_time(5.1)
    assert isinstance(told.error, CallTimeout)
    assert told.error.delivered == "unknown"
    assert keeping.unanswered == ()
    assert not keeping.take((1,)).provider.pending


def test_a_caller_may_go_in_the_gap() -> None:
    keeping = Keeping()
    told = Told()
    flight = keeping.world.call(told)
    assert flight is not None
    keeping.leave()
    flight.cancel()
    seat = keeping.take((1,))
    assert (seat.sent, seat.provider.pending) == ([], {})
    assert told.outcomes == 0


def test_calls_that_wait_are_sent_behind_those_that_were() -> None:
    keeping = Keeping()
    sent = keeping.call()
    keeping.leave()
    waiting = keeping.call()
    seat = keeping.take((1,))
    assert tuple(seat.provider.pending) == (1, 2)
    assert len(seat.sent) == 1
    seat.answer(2, b"2")
    seat.answer(1, b"1")
    assert (sent.raw, waiting.raw) == (b"1", b"2")


def grace_passes(keeping: Keeping) -> None:
    keeping.world.pass_time(15.1)


def is_deleted(keeping: Keeping) -> None:
    keeping.world.registry.delete(TEXT, keeping.world.now, keeping.world.now_ms)


def drains(keeping: Keeping) -> None:
    keeping.world.registry.drain(keeping.world.now)


@pytest.mark.parametrize(("end", "reason"), [(grace_passes, "expired"), (is_deleted, "deleted"), (drains, "drained")])
def test_a_lambda_that_does_not_come_back_loses_what_was_sent_and_gives_back_what_was_not(
    end: object, reason: str
) -> None:
    keeping = Keeping()
    sent = keeping.call()
    keeping.leave()
    waiting = keeping.call()
    assert callable(end)
    end(keeping)
    assert isinstance(sent.error, LambdaLost)
    assert sent.error.delivered == "unknown"
    assert waiting.error.delivered == "no"
    assert keeping.world.events[-1] == (TEXT, "close", reason)
    keeping.world.pass_time(100.0)
    assert (sent.outcomes, waiting.outcomes) == (1, 1)
    assert keeping.world.relay.budget.used_bytes == 0


@pytest.mark.parametrize(("grace_s", "final"), [(0.0, False), (15.0, True), (0.0, True)])
def test_without_grace_everything_is_lost_at_once(grace_s: float, final: bool) -> None:
    keeping = Keeping(grace_s=grace_s)
    tolds = [keeping.call(), keeping.call(credit=16)]
    keeping.leave(final=final)
    assert [type(told.error) for told in tolds] == [LambdaLost] * 2
    assert TEXT not in keeping.world.registry.live


def test_a_codec_that_has_no_word_for_it_keeps_nothing() -> None:
    world = World()
    seat, told = world.open(grace_s=15.0), Told()
    world.call(told)
    world.leave(seat)
    assert isinstance(told.error, LambdaLost)
    assert world.registry.unanswered(TEXT) == ()


def test_a_lambda_may_change_its_codec() -> None:
    keeping = Keeping()
    tolds = keeping.calls(2)
    seat = keeping.world.reopen()
    assert [type(told.error) for told in tolds] == [LambdaLost] * 2
    last = keeping.call()
    assert tuple(seat.provider.pending) == (3,)
    new = keeping.take((3,))
    assert isinstance(last.error, LambdaLost)
    assert new.provider.number == 3


@pytest.mark.parametrize("text", [TEXT, b"nonsense"])
def test_nothing_is_unanswered_where_there_is_no_lambda(text: bytes) -> None:
    assert World().registry.unanswered(text) == ()


# -- caps -------------------------------------------------------------------------------------------------------


def test_the_cap_counts_what_was_sent_and_what_waits() -> None:
    keeping = Keeping(Limits(lambda_calls=4, waiting_calls=3))
    keeping.calls(2)
    keeping.leave()
    keeping.calls(2)
    over = keeping.call()
    assert isinstance(over.error, Overloaded)
    assert over.error.delivered == "no"
    assert keeping.world.counters.overloaded_lambda == 1
    assert len(keeping.take((1, 2)).provider.pending) == 4
    assert isinstance(keeping.call().error, Overloaded)


def test_what_is_given_up_in_the_gap_makes_room() -> None:
    keeping = Keeping(Limits(lambda_calls=2, waiting_calls=3))
    keeping.call(timeout_s=1.0)
    keeping.call()
    keeping.leave()
    assert isinstance(keeping.call().error, Overloaded)
    keeping.world.pass_time(1.1)
    assert keeping.call().outcomes == 0


# -- callers that act when they are told ------------------------------------------------------------------------


@MOVES
def test_who_is_told_of_a_loss_may_call_again_and_reaches_the_new_socket(is_live: bool) -> None:
    keeping, again = Keeping(), Told()
    first = Told(then=lambda: keeping.world.call(again))
    keeping.world.call(first)
    if not is_live:
        keeping.leave()
    seat = keeping.take(())
    assert isinstance(first.error, LambdaLost)
    seat.answer(2, b"2")
    assert again.raw == b"2"


def test_whose_stream_ends_may_call_again_and_waits() -> None:
    keeping, again = Keeping(), Told()
    first = Told(then=lambda: keeping.world.call(again))
    keeping.world.call(first, credit=16)
    keeping.leave()
    assert isinstance(first.error, LambdaLost)
    assert again.outcomes == 0
    keeping.take(()).answer(2, b"2")
    assert again.raw == b"2"


@MOVES
def test_who_is_told_of_a_loss_may_take_back_a_call_that_is_kept(is_live: bool) -> None:
    keeping, kept = Keeping(), Told()
    flights: list[object] = []
    first = Told(then=lambda: flights[1].cancel())  # type: ignore[attr-defined]
    flights += [keeping.world.call(first), keeping.world.call(kept)]
    if not is_live:
        keeping.leave()
    seat = keeping.take((2,))
    assert (first.outcomes, kept.outcomes) == (1, 0)
    assert not seat.provider.pending
    assert len(seat.cancelled()) == 1


def test_an_answer_is_told_who_owes_it_now() -> None:
    world, told = World(), Told()
    before, provider = FakeProvider(keeps=True), FakeProvider()
    before.call(Call(TEXT, b'"test"', b"1", 60.0), told)
    seat = world.open(grace_s=15.0)
    seat.provider = before
    world.leave(seat)
    new = Seat2()
    new.provider = cast("LambdaCalls", provider)
    assert world.registry.take(Claim(TEXT, False, Key.RIGHT, 15.0), new, world.now, world.now_ms, (1,)) is None
    assert told.providers == [provider]
