"""One call that has been accepted, until it ends by exactly one outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.held import Line
from lambdamesh.core.limits import Limits
from lambdamesh.core.ports import Provider
from lambdamesh.core.wheel import Slot, Wheel
from lambdamesh.errors import CallTimeout, LambdaLost, MeshError
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.call import Call


class Carrier(Protocol):
    """The relay that took a call. ``time`` tells what time it is, in monotonic seconds."""

    budget: Budget
    counters: Counters
    limits: Limits
    on_bug: Callable[[], None]
    time: Callable[[], float]
    wheel: Wheel


class Flight:
    """A call that has been accepted; it ends by exactly one of its methods and tells ``answer`` so.

    Only whoever takes it out of its provider's ``pending`` (or out of the waiting line) may end it, which is why two
    can never do so.
    """

    __slots__ = ("_answer", "_call", "_deadline_at", "_lambda", "_provider", "_relay", "number", "slot")

    def __init__(self, relay: Carrier, answer: Answer, provider: Provider | None) -> None:
        self._relay = relay
        self._answer = answer
        self._provider = provider
        self.number = 0
        self._call: Call | None = None
        self._lambda: Line | None = None
        self.slot: Slot

    def wait(self, call: Call, held: Line, wheel: Wheel, deadline_at: float) -> None:
        """Join the line of the calls that wait for ``held``."""
        self.slot = wheel.add(self, deadline_at)
        self._deadline_at = deadline_at
        self._call = call
        self._lambda = held
        if held.waiting is None:
            held.waiting = []
        held.waiting.append(self)

    def deliver(self, provider: Provider, now: float) -> None:
        """The lambda is back: send the call that waited, with the time that it has left."""
        call = self._call
        self._forget()
        if call is not None:
            self._provider = provider
            call.timeout_s = max(self._deadline_at - now, 0.0)
            # Where it goes from here is no circle: its lambda has moved.
            call.passages, call.at_holder = 0, False
            self.number = provider.call(call, self)

    def hold(self, call: Call) -> None:
        """The call waits for a link to come up; its body is reserved."""
        self._call = call

    def moved(self, provider: Provider, number: int) -> None:
        """Another socket's provider, or another node, owes the answer from now on (``Pending``)."""
        self._provider = provider
        self.number = number
        self._forget()

    def abandon(self) -> None:
        """It was not sent, and whoever asked knows: nobody is told anything any more."""
        self.slot.pop(self, None)
        self._forget()

    def give_up(self, error: MeshError) -> None:
        """The lambda will not come back."""
        self._forget()
        self.slot.pop(self, None)
        self._tell(error)

    def _tell(self, error: MeshError) -> None:
        # A bug on the side of one caller is not the provider's, nor that of the callers behind it.
        try:
            self._answer.fault(error)
        except Exception:
            self._relay.on_bug()

    def result(self, raw: bytes) -> None:
        """The provider answered."""
        self.slot.pop(self, None)
        relay = self._relay
        relay.counters.calls_answered += 1
        try:
            self._answer.result(raw)
        except Exception:
            relay.on_bug()

    def item(self, raw: bytes) -> None:
        """Only a ``StreamFlight`` has items."""

    def credit(self, add: int) -> None:
        """Only a ``StreamFlight`` has items."""

    def fault(self, error: MeshError) -> None:
        """The provider answered with an error, or its socket ended."""
        self.slot.pop(self, None)
        self._forget()
        if isinstance(error, LambdaLost):
            self._relay.counters.calls_lost += 1
        else:
            self._relay.counters.calls_answered += 1
        self._tell(error)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        is_unsent = self._provider is None or self._call is not None
        self._withdraw()
        self._relay.counters.calls_timed_out += 1
        if is_unsent:
            error = CallTimeout("the lambda did not come back before the deadline: nothing was run", delivered="no")
        else:
            error = CallTimeout("the lambda did not answer before the deadline: the call may have run")
        self._tell(error)

    def cancel(self) -> None:
        """The caller has gone: free its place, tell the provider where its codec can, answer nobody."""
        self.slot.pop(self, None)
        self._withdraw()
        self._relay.counters.calls_cancelled += 1

    def _withdraw(self) -> None:
        if self._provider is not None:
            self._provider.cancel(self.number)
        elif self._lambda is not None and self._lambda.waiting is not None:
            self._lambda.waiting.remove(self)
        self._forget()

    def _forget(self) -> None:
        """Hold the body no longer."""
        if self._call is not None:
            self._relay.budget.release(len(self._call.body))
        self._call = self._lambda = None


class StreamFlight(Flight):
    """A call whose caller takes items: its deadline is the longest silence between two of them.

    ``_credit`` is how many items may still come. Where none may, the silence is the caller's, which has a bound of its
    own. ``_heard_at`` is when either side was heard last.
    """

    __slots__ = ("_credit", "_heard_at", "_timeout_s")

    def __init__(self, relay: Carrier, answer: Answer, provider: Provider | None, call: Call) -> None:
        super().__init__(relay, answer, provider)
        self._timeout_s = call.timeout_s
        self._credit = call.credit
        self._heard_at = 0.0

    def item(self, raw: bytes) -> None:
        """The provider sent a value of its stream."""
        relay = self._relay
        relay.counters.stream_items += 1
        self._credit -= 1
        self._heard_at = relay.time()
        try:
            self._answer.item(raw)
        except Exception:
            relay.on_bug()

    def credit(self, add: int) -> None:
        """The caller takes ``add`` more items, as far as that is not too many at once."""
        add = min(add, self._relay.limits.stream_credit_max - self._credit)
        if add <= 0:
            return
        had_none = self._credit <= 0
        self._credit += add
        if self._provider is not None:
            self._heard_at = now = self._relay.time()
            if had_none:
                self.slot.pop(self, None)
                self.slot = self._relay.wheel.add(self, now + self._timeout_s)
            self._provider.credit(self.number, add)
        elif self._call is not None:
            self._call.credit += add

    def expire(self, now: float) -> None:
        """Nothing has come for as long as may be; or nothing was wanted, for as long as that may be."""
        is_wanted = self._credit > 0 or self._provider is None
        due_at = self._heard_at + (self._timeout_s if is_wanted else self._relay.limits.stream_stall_s)
        if due_at >= now:
            self.slot = self._relay.wheel.add(self, due_at)
        else:
            super().expire(now)

    def is_stalled(self, now: float) -> bool:
        """Whether its caller has taken nothing for longer than the provider may be silent."""
        return self._credit <= 0 and self._heard_at + self._timeout_s < now

    def give_way(self) -> None:
        """Another call needs the place of a stream that is stalled."""
        self.slot.pop(self, None)
        self._withdraw()
        self._relay.counters.streams_gave_way += 1
        self._relay.counters.calls_timed_out += 1
        self._tell(
            CallTimeout("nothing of the stream was taken for longer than its deadline, and others needed its place")
        )
