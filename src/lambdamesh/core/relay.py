"""The one use case: take a call, find its lambda, answer exactly once."""

from __future__ import annotations

from collections.abc import Callable

from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.flight import Flight, StreamFlight
from lambdamesh.core.limits import Limits
from lambdamesh.core.ports import Provider, Seat
from lambdamesh.core.registry import Lambda, Registry
from lambdamesh.core.wheel import Wheel
from lambdamesh.errors import Draining, MeshError, Overloaded
from lambdamesh.protocol.answer import Answer
from lambdamesh.protocol.call import Call


class Relay:
    """Takes calls for the lambdas of one registry. Times are monotonic seconds."""

    __slots__ = (
        "_lambda_calls",
        "_live",
        "_registry",
        "_waiting_calls",
        "budget",
        "counters",
        "draining",
        "limits",
        "on_bug",
        "time",
        "wheel",
    )

    def __init__(
        self,
        registry: Registry,
        wheel: Wheel,
        limits: Limits,
        counters: Counters,
        budget: Budget,
        time: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._live = registry.live
        self.wheel = wheel
        self.limits = limits
        self.time = time
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
        if seat.congested or (len(provider.pending) >= self._lambda_calls and not _makes_room(provider, now)):
            answer.fault(self._fullness(seat))
            return None
        self.counters.calls += 1
        flight = self._flight(call, answer, provider)
        flight.slot = self.wheel.add(flight, now + call.timeout_s)
        flight.number = provider.call(call, flight)
        return flight

    def _flight(self, call: Call, answer: Answer, provider: Provider | None) -> Flight:
        if call.credit:
            return StreamFlight(self, answer, provider, call)
        return Flight(self, answer, provider)

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
        seat.provider.notify(call)
        return None

    def _wait(self, call: Call, held: Lambda, answer: Answer, now: float) -> Flight | None:
        waiting = len(held.waiting or ())
        if held.left is not None and waiting + len(held.left.pending) >= self._lambda_calls:
            self.counters.overloaded_lambda += 1
            answer.fault(Overloaded(f"the lambda has {self._lambda_calls} calls in flight: try again later"))
            return None
        if waiting >= self._waiting_calls:
            self.counters.overloaded_waiting += 1
            answer.fault(Overloaded(f"{self._waiting_calls} calls wait for this lambda to come back: try again later"))
            return None
        if not self.budget.reserve(len(call.body)):
            self.counters.overloaded_buffers += 1
            answer.fault(Overloaded("this node holds as many waiting bodies as it may: try again later"))
            return None
        self.counters.calls += 1
        flight = self._flight(call, answer, None)
        flight.wait(call, held, self.wheel, now + call.timeout_s)
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


def _makes_room(provider: Provider, now: float) -> bool:
    """Have a stream that is stalled give way: whoever does not read slows itself and nobody else."""
    for answer in provider.pending.values():
        if isinstance(answer, StreamFlight) and answer.is_stalled(now):
            answer.give_way()
            return True
    return False
