"""The one use case: take a call, find its lambda, answer exactly once."""

from __future__ import annotations

from collections.abc import Callable

from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.flight import Flight, StreamFlight
from lambdamesh.core.held import Away, Line
from lambdamesh.core.limits import Limits
from lambdamesh.core.places import place_text
from lambdamesh.core.ports import Links, LinkSeat, Provider, Seat
from lambdamesh.core.registry import Registry
from lambdamesh.core.routing import next_stop
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
        "links",
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
        self.links: Links | None = None
        """The ways to other nodes; ``None`` on a node that has joined none."""
        self.on_bug: Callable[[], None] = lambda: None
        """Told, from inside of the handler, of an exception that a caller's side has raised."""

    def call(self, call: Call, answer: Answer, now: float) -> Flight | None:
        """Take one call; ``answer`` is told its outcome once, perhaps before this returns.

        Returns the flight, by which the caller can cancel, or ``None`` where it has been answered already.
        """
        held = self._live.get(call.lambda_id)
        if held is None or self.draining:
            return self._call_elsewhere(call, answer, now)
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
        try:
            flight.number = provider.call(call, flight)
        except MemoryError:
            # Nobody may answer it a second time when its deadline passes.
            flight.abandon()
            raise
        return flight

    def _flight(self, call: Call, answer: Answer, provider: Provider | None) -> Flight:
        if call.credit:
            return StreamFlight(self, answer, provider, call)
        return Flight(self, answer, provider)

    def notify(self, call: Call, answer: Answer, now: float) -> Flight | None:
        """Take one notification; ``answer`` gets ``{}`` once the provider was given it, or why it was not.

        Returns the flight while another node is asked, else ``None``.
        """
        held = self._live.get(call.lambda_id)
        if held is None or self.draining:
            return self._notify_elsewhere(call, answer, now)
        seat = held.seat
        if seat is None:
            answer.fault(Overloaded("the lambda waits to be re-opened and takes no notifications meanwhile: try again"))
        elif seat.congested:
            answer.fault(self._fullness(seat))
        else:
            self.counters.notifications += 1
            seat.provider.notify(call)
            answer.result(b"{}")
        return None

    # -- lambdas that are not here ------------------------------------------------------------------------------

    def _call_elsewhere(self, call: Call, answer: Answer, now: float) -> Flight | None:
        away = self._registry.away.get(call.lambda_id)
        if away is not None and away.mover is not None and not (self.draining or call.at_holder):
            return self._wait(call, away, answer, now)
        seat = self._link_seat(call, away, now)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        self.counters.calls += 1
        link = seat.provider
        flight = self._flight(call, answer, link)
        flight.slot = self.wheel.add(flight, now + call.timeout_s)
        if not seat.is_up:
            flight.hold(call)
        try:
            flight.number = link.call(call, flight)
        except MemoryError:
            flight.abandon()
            raise
        return flight if flight.number else None

    def _notify_elsewhere(self, call: Call, answer: Answer, now: float) -> Flight | None:
        away = self._registry.away.get(call.lambda_id)
        if away is not None and away.mover is not None:
            answer.fault(Overloaded("the lambda is moving from one node to another: try again"))
            return None
        seat = self._link_seat(call, away, now)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        link = seat.provider
        flight = Flight(self, answer, link)
        flight.slot = self.wheel.add(flight, now + call.timeout_s)
        if not seat.is_up:
            flight.hold(call)
        try:
            flight.number = link.pass_on(call, flight)
        except MemoryError:
            flight.abandon()
            raise
        return flight if flight.number else None

    def _link_seat(self, call: Call, away: Away | None, now: float) -> LinkSeat | MeshError:
        """Find where a call goes on whose lambda is not here."""
        links = self.links
        if links is None or self.draining:
            return self._refusal(call, now)
        home, here = self._registry.home_of(call.lambda_id), self._registry.here
        holder = None if away is None else away.place
        place = next_stop(home, here, holder, call.passages, at_holder=call.at_holder)
        if place is None:
            return self._refusal(call, now)
        if isinstance(place, MeshError):
            self.counters.calls_looped += 1
            return place
        seat = links.seat(place)
        if isinstance(seat, MeshError):
            return seat
        if seat.congested:
            self.counters.overloaded_link += 1
            return Overloaded(f"too much waits for the link to the node {place_text(place)}: try again later")
        if not (seat.is_up or self.budget.reserve(len(call.body))):
            self.counters.overloaded_buffers += 1
            return Overloaded("this node holds as many waiting bodies as it may: try again later")
        self.counters.calls_passed += 1
        call.passages += 1
        call.at_holder = home == here
        return seat

    def adopt(self, call: Call, answer: Answer, provider: Provider, now: float) -> Flight:
        """Take a call that has run since before its lambda came here, or passes here on its way to ``provider``."""
        self.counters.calls_adopted += 1
        flight = Flight(self, answer, provider)
        flight.slot = self.wheel.add(flight, now + call.timeout_s)
        return flight

    def _wait(self, call: Call, held: Line, answer: Answer, now: float) -> Flight | None:
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

    def _refusal(self, call: Call, now: float) -> MeshError:
        if self.draining:
            return Draining("this node is going down: call again, or another node")
        self.counters.calls_unknown += 1
        if call.at_holder:
            return self._registry.departure(call.lambda_id, now)
        return self._registry.absence(call.lambda_id, now)


def _makes_room(provider: Provider, now: float) -> bool:
    """Have a stream that is stalled give way: whoever does not read slows itself and nobody else."""
    for answer in provider.pending.values():
        if isinstance(answer, StreamFlight) and answer.is_stalled(now):
            answer.give_way()
            return True
    return False
