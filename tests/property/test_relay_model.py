"""Calls, answers, deadlines, drops and re-opens in any order: each accepted call ends once, and what its caller is told
of the delivery is what the provider saw.
"""

from __future__ import annotations

import json
from typing import ClassVar

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.core.reopening import Claim, Key
from lambdamesh.errors import CallTimeout, MeshError
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc import Session
from lambdamesh.protocol.session import Bounds, SessionClosed, SessionCounters
from tests.unit.fakes import World, an_id

LIMITS = Limits(lambda_calls=4, waiting_calls=3, gone_ids=3)
IDS = [an_id(1), an_id(2), an_id(3, needs_key=True)]


class Provider:
    """The other end of a socket (``Seat``): what it was sent, and what it answered."""

    code = "json-rpc"

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.congested = False
        self.closed: list[int] = []
        self.is_cut = False
        self.seen: dict[int, int] = {}
        self.answered: dict[int, bytes] = {}
        self.provider = Session(self._sent, lambda: None, SessionCounters(), Bounds(1 << 20, 1024))
        self.provider.receive(b'{"id":0,"result":"ok"}', True)

    def _sent(self, message: bytes) -> None:
        sent = json.loads(message)
        if sent["id"] is not None:
            assert sent["id"] not in self.seen
            self.seen[sent["id"]] = sent["params"][0]

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed.append(code)

    def answer(self, number: int, member: bytes) -> None:
        self.answered.setdefault(number, member)
        self.say(b'{"id":%d,%b}' % (number, member))

    def say(self, message: bytes) -> None:
        """What is said on a socket that has ended still arrives, unless it was cut."""
        if not self.is_cut:
            self.is_cut = message == b"nonsense"
            self.provider.receive(message, False)


class Caller:
    """One call (``Answer``): by when it has to end, and how it ended."""

    def __init__(self, world: World, serial: int, timeout_s: float) -> None:
        self._world = world
        self.serial = serial
        self.deadline_at = world.now + timeout_s
        self.results: list[bytes] = []
        self.faults: list[MeshError] = []
        self.ended_at = 0.0
        self.flight: Flight | None = None
        self.is_gone = False

    def result(self, raw: bytes) -> None:
        self.results.append(raw)
        self.ended_at = self._world.now

    def item(self, raw: bytes) -> None:
        raise AssertionError(raw)

    def fault(self, error: MeshError) -> None:
        self.faults.append(error)
        self.ended_at = self._world.now

    @property
    def outcomes(self) -> int:
        return len(self.results) + len(self.faults)

    @property
    def is_open(self) -> bool:
        return self.outcomes == 0 and not self.is_gone


class Relaying(RuleBasedStateMachine):
    """The world as a few lambdas, their providers and their callers make it."""

    providers: Bundle[Provider] = Bundle("providers")
    MEMBERS: ClassVar = [b'"result":"%d"', b'"error":"boom %d"', b'"result":NaN,"for":%d']

    @initialize()
    def begin(self) -> None:
        self.world = World(LIMITS)
        self.callers: list[Caller] = []
        self.all_providers: list[Provider] = []
        self.graves: set[bytes] = set()

    # -- what may happen ----------------------------------------------------------------------------------------

    @rule(target=providers, text=st.sampled_from(IDS), key=st.sampled_from(Key), grace_s=st.sampled_from([0.0, 5.0]))
    def reopen(self, text: bytes, key: Key, grace_s: float) -> Provider | MultipleResults[Provider]:
        held = self.world.registry.live.get(text)
        seat = Provider(text)
        may = text not in self.graves and (key is Key.RIGHT or (key is Key.NONE and held is None and text != IDS[2]))
        before = held.seat if held else None
        refusal = self.world.registry.take(Claim(text, False, key, grace_s), seat, self.world.now, self.world.now_ms)
        assert (refusal is None) is may
        if not may:
            return multiple()
        self.all_providers.append(seat)
        assert self.world.registry.live[text].seat is seat
        if isinstance(before, Provider):
            assert before.closed == [4409]
        return seat

    @rule(text=st.sampled_from(IDS), timeout_s=st.sampled_from([0.5, 3.0, 20.0]))
    def call(self, text: bytes, timeout_s: float) -> None:
        caller = Caller(self.world, len(self.callers), timeout_s)
        self.callers.append(caller)
        call = Call(text, b'"test"', b"%d" % caller.serial, timeout_s)
        caller.flight = self.world.relay.call(call, caller, self.world.now)
        assert (caller.flight is None) is (caller.outcomes == 1)
        assert all(fault.delivered == "no" for fault in caller.faults)

    @rule(seat=providers, member=st.sampled_from(MEMBERS), which=st.integers(0, 20))
    def answer(self, seat: Provider, member: bytes, which: int) -> None:
        """An answer in time or late, to a call that was sent or to none, once or twice."""
        numbers = [*seat.seen, 99]
        number = numbers[which % len(numbers)]
        seat.answer(number, member % seat.seen.get(number, 0))

    @rule(seat=providers)
    def say_nonsense(self, seat: Provider) -> None:
        try:
            seat.say(b"nonsense")
        except SessionClosed:
            self.leave(seat, final=False)

    @rule(seat=providers, final=st.booleans())
    def leave(self, seat: Provider, final: bool) -> None:
        """The socket ends: of the holder, or late of one that was superseded."""
        self.world.registry.leave(seat.text, seat, "lost", final, self.world.now)

    @rule(text=st.sampled_from(IDS[:2]))
    def delete(self, text: bytes) -> None:
        try:
            self.world.registry.delete(text, self.world.now, self.world.now_ms)
        except MeshError as absence:
            assert text not in self.world.registry.live
            if absence.code != "lambda_gone":
                return
        # What has closed is deleted too: its key is void from now on.
        self.graves.add(text)

    @precondition(lambda self: any(caller.is_open for caller in self.callers))
    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        going = [caller for caller in self.callers if caller.is_open]
        caller = going[which % len(going)]
        assert caller.flight is not None
        caller.is_gone = True
        caller.flight.cancel()

    @rule(seat=providers, congested=st.booleans())
    def congest(self, seat: Provider, congested: bool) -> None:
        seat.congested = congested

    @rule(seconds=st.sampled_from([0.01, 0.5, 0.56, 3.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # -- what always holds --------------------------------------------------------------------------------------

    def sent_to(self, caller: Caller) -> list[tuple[Provider, int]]:
        """To whom, and under which number, a call was sent."""
        return [
            (seat, number)
            for seat in self.all_providers
            for number, serial in seat.seen.items()
            if serial == caller.serial
        ]

    @invariant()
    def each_call_ends_once(self) -> None:
        for caller in self.callers:
            assert caller.outcomes <= 1
            assert not (caller.is_gone and caller.outcomes)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        for caller in self.callers:
            assert len(self.sent_to(caller)) <= 1

    @invariant()
    def what_the_caller_is_told_of_the_delivery_is_what_the_provider_saw(self) -> None:
        for caller in self.callers:
            sent = self.sent_to(caller)
            for raw in caller.results:
                ((seat, number),) = sent
                assert seat.answered[number] == b'"result":' + raw
                assert raw == b'"%d"' % caller.serial
            for fault in caller.faults:
                if fault.delivered == "no":
                    assert not sent
                else:
                    ((seat, number),) = sent
                    assert fault.delivered == "unknown" or seat.answered[number].startswith(
                        b'"error"' if fault.code == "lambda_error" else b'"result":NaN'
                    )

    @invariant()
    def deadlines_are_neither_early_nor_late(self) -> None:
        for caller in self.callers:
            if caller.is_open:
                assert self.world.now <= caller.deadline_at + 0.05
            if any(isinstance(fault, CallTimeout) for fault in caller.faults):
                assert caller.ended_at > caller.deadline_at

    @invariant()
    def caps_hold_and_what_is_open_is_somewhere(self) -> None:
        places = 0
        for held in self.world.registry.live.values():
            waiting = len(held.waiting or ())
            in_flight = len(held.seat.provider.pending) if held.seat else 0
            assert waiting <= LIMITS.waiting_calls
            assert in_flight <= LIMITS.lambda_calls
            assert not (held.seat and waiting)
            places += waiting + in_flight
        assert places == sum(caller.is_open for caller in self.callers)

    @invariant()
    def numbers_of_one_socket_grow(self) -> None:
        for seat in self.all_providers:
            assert list(seat.seen) == sorted(seat.seen)

    @invariant()
    def only_the_holder_has_calls(self) -> None:
        holders = [held.seat for held in self.world.registry.live.values()]
        for seat in self.all_providers:
            assert seat in holders or not seat.provider.pending

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
        live = counters.lambdas_opened + counters.lambdas_reopened - counters.lambdas_closed
        assert live >= len(self.world.registry.live)

    def teardown(self) -> None:
        """Nothing waits for ever."""
        if hasattr(self, "world"):
            self.world.pass_time(60)
            self.each_call_ends_once()
            assert not any(caller.is_open for caller in self.callers)
            assert all(held.seat is not None for held in self.world.registry.live.values())


TestRelaying = Relaying.TestCase
TestRelaying.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
