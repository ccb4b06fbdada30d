"""Stand-ins for what lies around the part under test, and a core whose clock is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lambdamesh.core.budget import Budget
from lambdamesh.core.counters import Counters
from lambdamesh.core.flight import Flight
from lambdamesh.core.held import Lambda
from lambdamesh.core.limits import Limits
from lambdamesh.core.places import Atlas
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim, Key
from lambdamesh.core.wheel import Wheel
from lambdamesh.errors import MeshError
from lambdamesh.protocol.answer import Answer, Pending
from lambdamesh.protocol.call import Call
from tests.lambda_ids import EPOCH_MS, NEEDS_KEY, Id

MACHINE = 0x46301AAE
NOW_MS = EPOCH_MS + 90 * 86_400_000
"""What the wall clock says in most tests, in Unix milliseconds."""


class Told:
    """A ``Pending`` answer that keeps what it was told; ``then`` is run after each outcome."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.results: list[bytes] = []
        self.faults: list[MeshError] = []
        self.items: list[bytes] = []
        self.providers: list[object] = []
        self._then = then

    def moved(self, provider: object, number: int) -> None:
        self.providers.append(provider)

    def result(self, raw: bytes) -> None:
        self.results.append(raw)
        self._then()

    def item(self, raw: bytes) -> None:
        self.items.append(raw)

    def fault(self, error: MeshError) -> None:
        self.faults.append(error)
        self._then()

    @property
    def outcomes(self) -> int:
        """How often it was told how the call ended."""
        return len(self.results) + len(self.faults)

    @property
    def error(self) -> MeshError:
        """The fault that is its one outcome."""
        (error,) = self.faults
        assert not self.results
        return error

    @property
    def raw(self) -> bytes:
        """The result that is its one outcome."""
        (raw,) = self.results
        assert not self.faults
        return raw


@dataclass
class FakeProvider:
    """A ``Provider`` that keeps what it was given and answers when it is told to."""

    number: int = 0
    pending: dict[int, Pending] = field(default_factory=dict)
    keeps: bool = False
    calls: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    timeouts_s: dict[int, float] = field(default_factory=dict)
    first_credits: dict[int, int] = field(default_factory=dict)
    notifications: list[tuple[bytes, bytes]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    credits: list[tuple[int, int]] = field(default_factory=list)

    def call(self, call: Call, answer: Pending) -> int:
        self.number += 1
        self.pending[self.number] = answer
        self.calls.append((self.number, call.method, call.body))
        self.timeouts_s[self.number] = call.timeout_s
        self.first_credits[self.number] = call.credit
        return self.number

    def notify(self, call: Call) -> None:
        self.notifications.append((call.method, call.body))

    def credit(self, number: int, add: int) -> None:
        self.credits.append((number, add))

    def keepable(self) -> tuple[int, ...]:
        return tuple(self.pending) if self.keeps else ()

    def suspend(self, error: MeshError) -> None:
        if not self.keeps:
            self.end(error)

    def cancel(self, number: int) -> None:
        if self.pending.pop(number, None) is not None:
            self.cancelled.append(number)

    def end(self, error: MeshError) -> None:
        while self.pending:
            self.pending.pop(next(iter(self.pending))).fault(error)

    def answer(self, number: int, raw: bytes = b'"answered"') -> None:
        """Answer a call, if it is still open."""
        answer = self.pending.pop(number, None)
        if answer is not None:
            answer.result(raw)


class FakeSeat:
    """A ``Seat`` that keeps the codes it was closed with."""

    def __init__(self, provider: FakeProvider | None = None) -> None:
        self.code = "json-rpc"
        self.congested = False
        self.provider = provider or FakeProvider()
        self.closed: list[int] = []

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed.append(code)


class FakeDirectory:
    """A ``Directory`` of the machines it is given."""

    def __init__(self, *machines: int, is_complete: bool = True) -> None:
        self.machines = machines
        self.is_complete = is_complete

    def complete(self) -> bool:
        return self.is_complete

    def knows(self, machine: int) -> bool:
        return machine in self.machines


class Graves:
    """``Tombstones`` in memory."""

    def __init__(self) -> None:
        self.until_s: dict[bytes, float] = {}

    def bury(self, lambda_id: bytes, until_s: float) -> None:
        self.until_s[lambda_id] = until_s

    def holds(self, lambda_id: bytes) -> bool:
        return lambda_id in self.until_s


def an_id(sequence: int = 1, *, at_ms: int = NOW_MS, needs_key: bool = False, machine: int = MACHINE) -> bytes:
    """An id minted by the machine of these tests."""
    return str(Id(machine, at_ms, NEEDS_KEY if needs_key else 0, sequence)).encode()


TEXT = an_id()
"""The id that most tests are about."""


class World:
    """Registry and relay of one worker; ``now`` in monotonic seconds, ``events`` as they were published."""

    def __init__(
        self, limits: Limits | None = None, directory: FakeDirectory | None = None, now: float = 1000.0
    ) -> None:
        self.now = self._began_at = now
        self.limits = limits or Limits()
        self.counters = Counters()
        self.wheel = Wheel(0.05, self.now)
        self.graves = Graves()
        self.registry = Registry(
            Atlas(MACHINE), self.limits, self.counters, self.wheel, directory or FakeDirectory(), self.graves
        )
        self.registry.publish = self._publish
        self.relay = Relay(
            self.registry, self.wheel, self.limits, self.counters, Budget(self.limits.buffered_bytes), lambda: self.now
        )
        self.events: list[tuple[bytes, str, str]] = []

    def _publish(self, subject: Lambda, kind: str, detail: str) -> None:
        self.events.append((subject.id, kind, detail))

    @property
    def now_ms(self) -> int:
        """The wall clock, in Unix milliseconds."""
        return NOW_MS + round((self.now - self._began_at) * 1000)

    def pass_time(self, seconds: float) -> None:
        """Move the clock and sweep."""
        self.now += seconds
        self.wheel.sweep(self.now)

    def open(self, text: bytes = TEXT, *, grace_s: float = 0.0, seat: FakeSeat | None = None) -> FakeSeat:
        """Open a new lambda and return its seat."""
        seat = seat or FakeSeat()
        assert self.registry.take(Claim(text, True, Key.NONE, grace_s), seat, self.now, self.now_ms) is None
        return seat

    def reopen(
        self, key: Key = Key.RIGHT, *, text: bytes = TEXT, grace_s: float = 0.0, keep: tuple[int, ...] = ()
    ) -> FakeSeat:
        """Open a lambda again and return its new seat."""
        seat = FakeSeat()
        assert self.registry.take(Claim(text, False, key, grace_s), seat, self.now, self.now_ms, keep) is None
        return seat

    def leave(self, seat: FakeSeat, *, final: bool = False, text: bytes = TEXT) -> None:
        """End the socket of ``seat``."""
        self.registry.leave(text, seat, "closed" if final else "lost", final, self.now)

    def call(
        self, answer: Answer, *, body: bytes = b"1", timeout_s: float = 60.0, text: bytes = TEXT, credit: int = 0
    ) -> Flight | None:
        """Call a lambda."""
        return self.relay.call(Call(text, b'"test"', body, timeout_s, credit=credit), answer, self.now)

    def absence(self, text: bytes = TEXT) -> MeshError:
        """Why there is no such lambda."""
        return self.registry.absence(text, self.now)
