"""The one use case: take a call, find its lambda, answer exactly once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.ports import Provider, Seat
from lambdamesh.core.registry import Lambda, Registry
from lambdamesh.core.wheel import Slot, Wheel
from lambdamesh.errors import CallTimeout, Draining, LambdaLost, MeshError, Overloaded
from lambdamesh.protocol.answer import Answer


class Call(msgspec.Struct, gc=False):
    """One call on its way: ``method`` is a JSON string, ``body`` a JSON text, ``timeout_s`` what it may take."""

    lambda_id: bytes
    method: bytes
    body: bytes
    timeout_s: float


class Flight:
    """A call that has been accepted; it ends by exactly one of its methods and tells ``answer`` so.

    Only whoever takes it out of its provider's ``pending`` (or out of the waiting line) may end it, which is why two
    can never do so.
    """

    __slots__ = ("_answer", "_call", "_lambda", "_provider", "_relay", "number", "slot")

    def __init__(self, relay: Relay, answer: Answer, provider: Provider | None) -> None:
        self._relay = relay
        self._answer = answer
        self._provider = provider
        self.number = 0
        self._call: Call | None = None
        self._lambda: Lambda | None = None
        self.slot: Slot

    def wait(self, call: Call, held: Lambda, slot: Slot) -> None:
        """Join the line of the calls that wait for ``held``."""
        self.slot = slot
        self._call = call
        self._lambda = held
        if held.waiting is None:
            held.waiting = []
        held.waiting.append(self)

    def deliver(self, provider: Provider) -> None:
        """The lambda is back: send the call that waited."""
        call = self._call
        self._forget()
        if call is not None:
            self._provider = provider
            self.number = provider.call(call.method, call.body, self)

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
        """The provider sent a value of its stream."""
        self._answer.item(raw)

    def fault(self, error: MeshError) -> None:
        """The provider answered with an error, or its socket ended."""
        self.slot.pop(self, None)
        if isinstance(error, LambdaLost):
            self._relay.counters.calls_lost += 1
        else:
            self._relay.counters.calls_answered += 1
        self._tell(error)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        self._withdraw()
        self._relay.counters.calls_timed_out += 1
        if self._provider is None:
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


class Relay:
    """Takes calls for the lambdas of one registry. Times are monotonic seconds."""

    __slots__ = (
        "_lambda_calls",
        "_live",
        "_registry",
        "_waiting_calls",
        "_wheel",
        "budget",
        "counters",
        "draining",
        "on_bug",
    )

    def __init__(self, registry: Registry, wheel: Wheel, limits: Limits, counters: Counters, budget: Budget) -> None:
        self._registry = registry
        self._live = registry.live
        self._wheel = wheel
        self._lambda_calls = limits.lambda_calls
        self._waiting_calls = limits.waiting_calls
        self.counters = counters
        self.budget = budget
        self.draining = False
        self.on_bug: Callable[[], None] = lambda: None
        """Told, from inside of the handler, of an exception that a caller's side has raised."""

    def call(self, call: Call, answer: Answer, now: float) -> Flight | None:
        """Take one call; ``answer`` is told its outcome once, perhaps before this returns.

        Returns the flight, by which the caller can cancel, or ``None`` where it has been answered already.
        """
        held = self._live.get(call.lambda_id)
        if held is None or self.draining:
            answer.fault(self._refusal(call.lambda_id, now))
            return None
        seat = held.seat
        if seat is None:
            return self._wait(call, held, answer, now)
        provider = seat.provider
        if seat.congested or len(provider.pending) >= self._lambda_calls:
            answer.fault(self._fullness(seat))
            return None
        self.counters.calls += 1
        flight = Flight(self, answer, provider)
        flight.slot = self._wheel.add(flight, now + call.timeout_s)
        flight.number = provider.call(call.method, call.body, flight)
        return flight

    def notify(self, call: Call, now: float) -> MeshError | None:
        """Send a notification; return why it cannot be sent, else ``None``."""
        held = self._live.get(call.lambda_id)
        if held is None or self.draining:
            return self._refusal(call.lambda_id, now)
        seat = held.seat
        if seat is None:
            return Overloaded("the lambda waits to be re-opened and takes no notifications meanwhile: try again")
        if seat.congested:
            return self._fullness(seat)
        self.counters.notifications += 1
        seat.provider.notify(call.method, call.body)
        return None

    def _wait(self, call: Call, held: Lambda, answer: Answer, now: float) -> Flight | None:
        if held.waiting is not None and len(held.waiting) >= self._waiting_calls:
            self.counters.overloaded_waiting += 1
            answer.fault(Overloaded(f"{self._waiting_calls} calls wait for this lambda to come back: try again later"))
            return None
        if not self.budget.reserve(len(call.body)):
            self.counters.overloaded_buffers += 1
            answer.fault(Overloaded("this node holds as many waiting bodies as it may: try again later"))
            return None
        self.counters.calls += 1
        flight = Flight(self, answer, None)
        flight.wait(call, held, self._wheel.add(flight, now + call.timeout_s))
        return flight

    def _fullness(self, seat: Seat) -> MeshError:
        if seat.congested:
            self.counters.overloaded_queue += 1
            return Overloaded("the lambda reads slower than it is called and its queue is full: try again later")
        self.counters.overloaded_lambda += 1
        return Overloaded(f"the lambda has {self._lambda_calls} calls in flight: try again later")

    def _refusal(self, lambda_id: bytes, now: float) -> MeshError:
        if self.draining:
            return Draining("this node is going down: call again, or another node")
        self.counters.calls_unknown += 1
        return self._registry.absence(lambda_id, now)
