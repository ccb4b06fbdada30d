"""Calls over drops, takeovers and re-opens of providers of both codecs, kept or not, streams among them: each accepted
call ends once, nothing is sent twice, and what its caller is told of the delivery is what the providers saw.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdamesh.core.reopening import Claim, Key
from lambdamesh.errors import CallTimeout, MeshError
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.session import SessionClosed
from tests.property.keeping import FOREVER, KINDS, LIMITS, Caller, Provider
from tests.unit.fakes import World, an_id

IDS = [an_id(1), an_id(2, needs_key=True), an_id(3)]
TEXTS = st.sampled_from([IDS[0], IDS[0], IDS[0], IDS[1], IDS[1], IDS[2]])
MEMBERS = [b'"result":"%d"', b'"error":{"code":-32000,"message":"boom %d"}', b'"result":NaN,"for":%d']
WHICH = st.integers(0, 20)
CREDITS = st.lists(st.sampled_from([2, 0, 1, 0]), min_size=1, max_size=3)
KEEP = st.just(set(range(40))) | st.sets(st.integers(-1, 8), max_size=6)


class Keeping(RuleBasedStateMachine):
    """The world as a few lambdas, their providers and their callers make it."""

    @initialize(
        kinds=st.lists(st.sampled_from(["meta", "meta", "plain"]), min_size=2, max_size=2), credits_given=CREDITS
    )
    def begin(self, kinds: list[str], credits_given: list[int]) -> None:
        self.world = World(LIMITS)
        self.callers: list[Caller] = []
        self.all_providers: list[Provider] = []
        self.graves: set[bytes] = set()
        for text, kind in zip(IDS, kinds, strict=False):
            self.reopen(text, Key.RIGHT, 5.0, kind, set())
            self.call(text, 20.0, credits_given)

    def a_seat(self, which: int) -> Provider:
        """One of the last seats, of whom the holders come first."""
        last = self.all_providers[-3:]
        holders = [held.seat for held in self.world.registry.live.values() if isinstance(held.seat, Provider)]
        seats = [*holders, *holders, *last]
        return seats[which % len(seats)]

    def a_number(self, seat: Provider, which: int) -> int:
        """One of the calls of a seat, open or not, or of none."""
        numbers = [*seat.provider.pending, *seat.provider.pending, *seat.held, 99]
        return numbers[which % len(numbers)]

    # -- what may happen ----------------------------------------------------------------------------------------

    @rule(
        text=TEXTS,
        key=st.sampled_from([Key.RIGHT, Key.RIGHT, Key.RIGHT, Key.WRONG, Key.NONE]),
        grace_s=st.sampled_from([0.0, 5.0, 5.0]),
        kind=st.sampled_from([*KINDS, "meta"]),
        keep=KEEP,
    )
    def reopen(self, text: bytes, key: Key, grace_s: float, kind: str, keep: set[int]) -> None:
        held = self.world.registry.live.get(text)
        seat = Provider(text, kind)
        if kind == "1.0":
            keep = set()
        may = text not in self.graves and (key is Key.RIGHT or (key is Key.NONE and held is None and text != IDS[1]))
        before = held.seat if held else None
        owes = held.provider if held else None
        pending = set(self.world.registry.unanswered(text))
        if may:
            seat.held = self._kept_from(owes, pending & keep)
        claim = Claim(text, False, key, grace_s)
        refusal = self.world.registry.take(claim, seat, self.world.now, self.world.now_ms, keep)
        assert (refusal is None) is may
        if not may:
            return
        self.all_providers.append(seat)
        assert self.world.registry.live[text].seat is seat
        assert set(seat.provider.pending) == set(seat.held)
        if isinstance(before, Provider):
            assert before.closed == [4409]

    def _kept_from(self, owes: object, numbers: Iterable[int]) -> dict[int, int]:
        """What a provider holds of these calls, by number."""
        holders = [seat for seat in self.all_providers if seat.provider is owes]
        return {number: seat.held[number] for seat in holders for number in sorted(numbers)}

    @rule(text=TEXTS, timeout_s=st.sampled_from([3.0, 20.0, 0.5]), credits_given=CREDITS)
    def call(self, text: bytes, timeout_s: float, credits_given: list[int]) -> None:
        for credit in credits_given:
            caller = Caller(self.world, len(self.callers), timeout_s, credit)
            self.callers.append(caller)
            call = Call(text, b'"test"', b"%d" % caller.serial, timeout_s, credit=credit)
            caller.flight = self.world.relay.call(call, caller, self.world.now)
            assert (caller.flight is None) is (caller.outcomes == 1)
            assert all(fault.delivered == "no" for fault in caller.faults)

    @rule(where=WHICH, member=st.sampled_from(MEMBERS), which=WHICH)
    def answer(self, where: int, member: bytes, which: int) -> None:
        """An answer in time or late, to a call that was sent, was kept, or never was."""
        seat = self.a_seat(where)
        number = self.a_number(seat, which)
        seat.answer(number, member % seat.held.get(number, 0))

    @rule(where=WHICH, which=WHICH)
    def item(self, where: int, which: int) -> None:
        """An item within the credit of a stream or beyond it, or of a call that is none."""
        seat = self.a_seat(where)
        streams = [number for number, credit in seat.credit.items() if credit and number in seat.provider.pending]
        number = [*streams, *streams, *streams, self.a_number(seat, which)][which % (3 * len(streams) + 1)]
        is_owed = number in seat.provider.pending
        caller = self.callers[seat.held[number]] if number in seat.held else None
        items = caller.items if caller is not None else 0
        # A stream that was sent to who knows no streams is a plain call, for whoever keeps it too.
        is_counted = number in seat.seen and getattr(seat.provider, "has_meta", False)
        may = seat.item(number)
        if caller is None or seat.is_cut or not (is_owed and caller.is_stream and is_counted):
            assert caller is None or caller.items == items
        elif may:
            assert caller.items == items + 1
        else:
            assert caller.faults[0].code == "bad_answer"
            assert number in seat.cancelled
            seat.answered.setdefault(number, b"overrun")

    @precondition(lambda self: any(caller.is_open and caller.is_stream for caller in self.callers))
    @rule(which=WHICH, add=st.integers(1, 7))
    def credit(self, which: int, add: int) -> None:
        going = [caller for caller in self.callers if caller.is_open and caller.is_stream]
        caller = going[which % len(going)]
        before = caller.credit
        caller.give(add)
        if caller.credit > before and self.sent_to(caller):
            caller.heard()

    @rule(where=WHICH, how=st.sampled_from(["lost", "lost", "closed", "nonsense"]))
    def leave(self, where: int, how: str) -> None:
        """The socket ends: of the holder, or late of one that was superseded."""
        seat = self.a_seat(where)
        final = how == "closed"
        if how == "nonsense" and not seat.is_cut:
            with pytest.raises(SessionClosed):
                seat.say(b"nonsense")
        self.world.registry.leave(seat.text, seat, "lost", final, self.world.now)
        seat.provider.release()
        seat.is_cut = True

    @rule(where=WHICH, kind=st.sampled_from(["meta", "meta", "1.0"]), keep=KEEP, gap_s=st.sampled_from([0.0, 0.1, 3.0]))
    def come_back(self, where: int, kind: str, keep: set[int], gap_s: float) -> None:
        """A socket ends, and its provider opens another."""
        seat = self.a_seat(where)
        self.leave(where, "lost")
        self.world.pass_time(gap_s)
        self.reopen(seat.text, Key.RIGHT, 5.0, kind, keep)

    @rule(text=st.just(IDS[2]))
    def delete(self, text: bytes) -> None:
        try:
            self.world.registry.delete(text, self.world.now, self.world.now_ms)
        except MeshError as absence:
            assert text not in self.world.registry.live
            if absence.code != "lambda_gone":
                return
        self.graves.add(text)

    @precondition(lambda self: any(caller.is_open for caller in self.callers))
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        going = [caller for caller in self.callers if caller.is_open]
        caller = going[which % len(going)]
        assert caller.flight is not None
        caller.is_gone = True
        caller.flight.cancel()

    @rule(where=WHICH)
    def congest(self, where: int) -> None:
        """Nothing is sent to who does not read."""
        seat = self.a_seat(where)
        seat.congested = True
        held = self.world.registry.live.get(seat.text)
        self.call(seat.text, 3.0, [0, 2])
        if held is not None and held.seat is seat:
            assert [fault.code for caller in self.callers[-2:] for fault in caller.faults] == ["overloaded"] * 2
        seat.congested = False

    @rule(seconds=st.sampled_from([0.01, 0.5, 0.56, 3.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # -- what always holds --------------------------------------------------------------------------------------

    def sent_to(self, caller: Caller) -> list[Provider]:
        """To whom a call was sent."""
        return [seat for seat in self.all_providers if caller.serial in seat.seen.values()]

    def said_of(self, caller: Caller) -> list[bytes]:
        """What providers answered first to a call, whoever of them had it."""
        return [
            seat.answered[number]
            for seat in self.all_providers
            for number, serial in seat.held.items()
            if serial == caller.serial and number in seat.answered
        ]

    @invariant()
    def each_call_ends_once(self) -> None:
        for caller in self.callers:
            assert caller.outcomes <= 1
            assert not (caller.is_gone and caller.outcomes)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        serials = [serial for seat in self.all_providers for serial in seat.seen.values()]
        assert len(serials) == len(set(serials))

    @invariant()
    def what_the_caller_is_told_of_the_delivery_is_what_the_providers_saw(self) -> None:
        for caller in self.callers:
            is_sent = len(self.sent_to(caller)) == 1
            for raw in caller.results:
                assert is_sent
                assert raw == b'"%d"' % caller.serial
                assert b'"result":' + raw in self.said_of(caller)
            for fault in caller.faults:
                assert is_sent is (fault.delivered != "no")
                if fault.delivered == "yes":
                    begins = b'"error"' if fault.code == "lambda_error" else (b'"result":NaN', b"overrun")
                    assert any(said.startswith(begins) for said in self.said_of(caller))

    @invariant()
    def deadlines_are_neither_early_nor_late(self) -> None:
        for caller in self.callers:
            if caller.is_open:
                assert self.world.now <= caller.deadline_at + 0.051
            if any(isinstance(fault, CallTimeout) for fault in caller.faults):
                assert caller.ended_at > min(caller.deadline_at, caller.gives_way_at)

    @invariant()
    def caps_hold_and_what_is_open_is_somewhere(self) -> None:
        places = 0
        for held in self.world.registry.live.values():
            waiting = len(held.waiting or ())
            in_flight = len(held.provider.pending) if held.provider else 0
            assert waiting <= LIMITS.waiting_calls
            assert waiting + in_flight <= LIMITS.lambda_calls
            assert not (held.seat and (waiting or held.left))
            places += waiting + in_flight
        assert places == sum(caller.is_open for caller in self.callers)

    @invariant()
    def only_the_holder_has_calls(self) -> None:
        owing = [held.provider for held in self.world.registry.live.values()]
        for seat in self.all_providers:
            assert seat.provider in owing or not seat.provider.pending
            assert set(seat.provider.pending) <= set(seat.held)

    @invariant()
    def a_stream_is_never_kept(self) -> None:
        for held in self.world.registry.live.values():
            if held.left is not None:
                assert held.left.keepable() == tuple(held.left.pending)

    @invariant()
    def counters_add_up(self) -> None:
        counters = self.world.counters
        ended = counters.calls_answered + counters.calls_cancelled + counters.calls_timed_out + counters.calls_lost
        in_vain = sum(
            fault.code == "lambda_gone" and caller.flight is not None
            for caller in self.callers
            for fault in caller.faults
        )
        assert counters.calls == ended + in_vain + sum(caller.is_open for caller in self.callers)
        assert counters.stream_items == sum(caller.items for caller in self.callers)
        assert self.world.relay.budget.used_bytes <= sum(len(str(caller.serial)) for caller in self.callers)

    def teardown(self) -> None:
        """Nothing waits for ever, unless its caller takes nothing."""
        if hasattr(self, "world"):
            self.world.pass_time(60)
            self.each_call_ends_once()
            assert all(caller.deadline_at == FOREVER for caller in self.callers if caller.is_open)
            assert all(held.seat is not None for held in self.world.registry.live.values())
            assert self.world.relay.budget.used_bytes == 0


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
