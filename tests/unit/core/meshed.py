"""A node whose links are stand-ins: what it sends to others is kept, and what they say is said by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from lambdamesh.core.asking import Asking
from lambdamesh.core.claims import Claims
from lambdamesh.core.clock import Clock
from lambdamesh.core.flight import Flight
from lambdamesh.core.homes import Homes
from lambdamesh.core.limits import Limits
from lambdamesh.core.ports import LinkSeat, Provider
from lambdamesh.core.reception import Reception
from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.core.words import EvictWords, HoldingWords, PlacedWords, TakeWords
from lambdamesh.errors import LambdaGone, MeshError
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from tests.unit.fakes import TEXT, FakeDirectory, FakeProvider, FakeSeat, Told, World, an_id

C, D, E = 0xC, 0xD, 0xE
"""Other machines."""
AFAR = an_id(machine=C)
"""An id whose home is one of them."""
RIGHT = "right"
T = TypeVar("T")


class FakeLink(FakeProvider):
    """A ``Linked`` and its own ``LinkSeat``: exchanges are answered by the test."""

    __hash__ = object.__hash__

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place
        self.congested = False
        self.is_up = True
        self.has_ended = False
        self.passed: list[Call] = []
        self.said: list[tuple[str, str, bytes]] = []
        """What was sent, in its order: ``call``, ``notify``, ``adopt``, ``ask`` or ``tell``; of what; the rest."""
        self.numbers: list[int] = []

    @property
    def provider(self) -> FakeLink:
        return self

    def _begin(self, answer: Pending, error: MeshError | None = None) -> int:
        if self.has_ended:
            answer.fault(error or MeshError("the link has ended"))
            return 0
        self.number += 1
        self.pending[self.number] = answer
        self.numbers.append(self.number)
        return self.number

    def call(self, call: Call, answer: Pending) -> int:
        self.passed.append(msgspec.structs.replace(call))
        self.said.append(("call", call.lambda_id.decode(), call.body))
        return self._begin(answer)

    def pass_on(self, call: Call, answer: Pending) -> int:
        self.passed.append(msgspec.structs.replace(call))
        self.said.append(("notify", call.lambda_id.decode(), call.body))
        return self._begin(answer)

    def adopt(self, call: Call, lambda_number: int, answer: Pending) -> int:
        self.said.append(("adopt", call.lambda_id.decode(), b"%d" % lambda_number))
        return self._begin(answer)

    def ask(self, topic: str, body: bytes, answer: Pending) -> int:
        self.said.append(("ask", topic, body))
        return self._begin(answer)

    def tell(self, topic: str, body: bytes) -> None:
        self.said.append(("tell", topic, body))

    def words(self, how: str, topic: str, kind: type[T]) -> list[T]:
        """What was asked or told of a topic."""
        return [
            msgspec.json.decode(body, type=kind) for said, about, body in self.said if (said, about) == (how, topic)
        ]

    def answers(self, words: object, which: int = -1) -> None:
        """Answer an exchange that was begun: the last, or another."""
        self.pending.pop(self.numbers[which]).result(msgspec.json.encode(words))

    def refuses(self, error: MeshError, which: int = -1) -> None:
        self.pending.pop(self.numbers[which]).fault(error)


class FakeLinks:
    """``Links`` to three machines; ``refusal`` is why one of them cannot be reached."""

    def __init__(self) -> None:
        self.to = {machine: FakeLink(machine) for machine in (C, D, E)}
        self.refusals: dict[int, MeshError] = {}

    def seat(self, machine: int) -> LinkSeat | MeshError:
        return self.refusals.get(machine) or self.to[machine]

    def ask(self, machine: int, topic: str, body: bytes, answer: Pending) -> tuple[Provider, int] | None:
        seat = self.seat(machine)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        return seat.provider, seat.provider.ask(topic, body, answer)

    def tell(self, machine: int, topic: str, body: bytes) -> None:
        if machine not in self.refusals:
            self.to[machine].tell(topic, body)


class Asked(Told):
    """An exchange that another node has begun (``Exchange``), as that node sees it."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        super().__init__(then)
        self.flight: Any = None
        self.is_open = True
        self.waiting_bytes = 0

    def in_flight(self, flight: Flight | None) -> None:
        self.flight = flight

    def result(self, raw: bytes) -> None:
        if self.is_open:
            self.is_open = False
            super().result(raw)

    def fault(self, error: MeshError) -> None:
        if self.is_open:
            self.is_open = False
            super().fault(error)

    def leave(self) -> None:
        """Whoever asked does not wait any more."""
        self.is_open = False
        if self.flight is not None:
            self.flight.cancel()

    def words(self, kind: type[T]) -> T:
        return msgspec.json.decode(self.raw, type=kind)


class Outcome:
    """Told how a claim or a re-opening ended (``Taken``)."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __call__(self, outcome: object) -> None:
        self.told.append(outcome)

    @property
    def one(self) -> Any:
        (outcome,) = self.told
        return outcome


class Node(World):
    """The node of these tests, ``MACHINE``, and what it does with others. A key is right if it says so."""

    def __init__(self, limits: Limits | None = None, directory: FakeDirectory | None = None) -> None:
        super().__init__(limits, directory or FakeDirectory(C, D, E))
        self.links = FakeLinks()
        self.relay.links = self.links
        self.clock = Clock(self.now, self.now_ms)
        self.asking = Asking(self.links, self.wheel, lambda: self.now)
        self.homes = Homes(
            self.registry, self.relay, self.asking, self.clock, lambda text, door: b"%b for %b" % (text, door.encode())
        )
        self.claims = Claims(self.registry, self.relay, self.homes, self.asking, self.clock, self.limits)
        self.reception = Reception(self.registry, self.relay, self.claims, self.homes)
        self.reception.judge = lambda _door, shown, _text: Key.RIGHT if shown == RIGHT.encode() else Key.WRONG

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.clock.now, self.clock.unix_ms = self.now, self.now_ms
        self.wheel.sweep(self.now)

    # -- as others see it ---------------------------------------------------------------------------------------

    def asked(self, machine: int, topic: str, words: object, then: Callable[[], object] = lambda: None) -> Asked:
        """Another node asks."""
        answer = Asked(then)
        link: Any = self.links.to[machine]
        exchange: Any = answer
        self.reception.asked(link, topic, msgspec.json.encode(words), exchange)
        return answer

    def told(self, machine: int, topic: str, words: object) -> None:
        """Another node tells."""
        link: Any = self.links.to[machine]
        assert self.reception.told(link, topic, msgspec.json.encode(words))

    def take_from(self, machine: int, text: bytes = TEXT, keep: tuple[int, ...] = (), key: str = RIGHT) -> Asked:
        """A socket of another node has answered ``open``."""
        return self.asked(machine, "take", TakeWords(text.decode(), key, "local", list(keep)))

    def held_by(self, machine: int, text: bytes = TEXT) -> PlacedWords:
        """Have another node hold a lambda of this home."""
        return self.take_from(machine, text).words(PlacedWords)

    def holding(self, machine: int, *lambdas: tuple[bytes, int]) -> None:
        """A link to another node has come up."""
        self.told(machine, "holding", HoldingWords([(text.decode(), epoch, "") for text, epoch in lambdas]))

    def adopts(self, machine: int, number: int, text: bytes = TEXT) -> Asked:
        """Another node lets go of a call."""
        answer = Asked()
        link: Any = self.links.to[machine]
        exchange: Any = answer
        self.reception.adopted(link, Call(text, b"", b"", 60.0), number, exchange)
        return answer

    # -- as its own doors see it --------------------------------------------------------------------------------

    def claim(self, text: bytes = TEXT, key: Key = Key.RIGHT) -> Outcome:
        outcome = Outcome()
        self.claims.claim(Claim(text, False, key, shown=RIGHT.encode()), outcome)
        return outcome

    def granted(self, text: bytes = TEXT) -> Grant:
        grant = self.claim(text).one
        assert isinstance(grant, Grant)
        return grant

    def take(
        self, text: bytes = TEXT, keep: tuple[int, ...] = (), key: Key = Key.RIGHT, grace_s: float = 0.0
    ) -> tuple[FakeSeat, Outcome]:
        """A socket of this node has answered ``open``."""
        seat, outcome = FakeSeat(), Outcome()
        self.claims.take(Claim(text, False, key, grace_s, shown=RIGHT.encode()), seat, keep, outcome)
        return seat, outcome

    def notify(self, text: bytes = TEXT) -> tuple[Told, Flight | None]:
        told = Told()
        return told, self.relay.notify(Call(text, b'"seen"', b"1", 60.0), told, self.now)


def sent(link: FakeLink) -> list[str]:
    """What was sent over a link, by kind."""
    return [how if how in ("call", "notify", "adopt") else topic for how, topic, _ in link.said]


def evicted(link: FakeLink) -> list[tuple[str, int, int]]:
    return [(words.id, words.epoch, words.code) for words in link.words("tell", "evict", EvictWords)]


def epoch(node: Node) -> int:
    return node.registry.away[TEXT].epoch


def holder(node: Node) -> int:
    return node.registry.away[TEXT].place


def is_gone(node: Node, text: bytes = TEXT) -> bool:
    told = Told()
    node.call(told, text=text)
    return any(isinstance(fault, LambdaGone) for fault in told.faults)
