"""Which lambdas live here, which closed lately, and which wait to be re-opened."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.ports import Directory, Provider, Seat
from lambdamesh.core.reopening import FUTURE_MS, Claim, refusal_of
from lambdamesh.core.routing import Place, out_of_reach, place_of
from lambdamesh.core.wheel import Slot, Wheel
from lambdamesh.errors import BadRequest, Draining, LambdaGone, LambdaLost, LambdaNotFound, MeshError, Recovering
from lambdamesh.ids import LambdaId, parse_lambda_id

Publish = Callable[["Lambda", str, str], None]
"""Told of each lambda, ``open`` or ``close``, and ``reopened``, ``new`` or the reason of the close."""


class Waiting(Protocol):
    """A call that waits for its lambda to be re-opened."""

    def deliver(self, provider: Provider, now: float) -> None:
        """The lambda is back."""

    def give_up(self, error: MeshError) -> None:
        """It will not come back."""


class Lambda:
    """One lambda: open while it has a seat, waiting while it has none.

    ``left`` is the provider of the socket that ended, while calls are open that the next one may answer.
    """

    __slots__ = ("_registry", "code", "grace_s", "headers", "id", "left", "number", "seat", "slot", "waiting")

    def __init__(self, registry: Registry, claim: Claim, seat: Seat) -> None:
        self._registry = registry
        self.id = claim.text
        self.code = seat.code
        self.headers = claim.headers
        self.grace_s = claim.grace_s
        self.number = 0
        self.seat: Seat | None = seat
        self.left: Provider | None = None
        self.waiting: list[Waiting] | None = None
        self.slot: Slot | None = None

    @property
    def state(self) -> str:
        """``open`` or ``waiting``."""
        return "waiting" if self.seat is None else "open"

    @property
    def provider(self) -> Provider | None:
        """Whoever owes the answers of the calls that are open."""
        return self.left if self.seat is None else self.seat.provider

    def expire(self, now: float) -> None:
        """The grace has passed."""
        self.slot = None
        self._registry.close(self, "expired", now)


class Tombstones(Protocol):
    """Ids that stay deleted, over restarts too."""

    def bury(self, lambda_id: bytes, until_s: float) -> None:
        """Remember ``lambda_id`` as deleted until a Unix time."""

    def holds(self, lambda_id: bytes) -> bool:
        """Whether ``lambda_id`` is deleted."""


class Registry:
    """The lambdas of one worker. Times named ``now`` are monotonic seconds."""

    def __init__(
        self,
        machine: int,
        limits: Limits,
        counters: Counters,
        wheel: Wheel,
        directory: Directory,
        tombstones: Tombstones,
    ) -> None:
        self.live: dict[bytes, Lambda] = {}
        self.machine = machine
        self.started_at = 0.0
        self.started_ms = 0
        self.last_minted_ms = 0
        self.claimed: Callable[[LambdaId], None] = lambda _lambda_id: None
        """Told of each id that is re-opened, which may be ahead of those that are minted."""
        self._is_draining = False
        self.publish: Publish = lambda _lambda, _kind, _detail: None
        self._limits = limits
        self._counters = counters
        self._wheel = wheel
        self._directory = directory
        self._tombstones = tombstones
        self._gone: dict[bytes, tuple[float, int]] = {}
        """Until when a closed id is remembered, and the number of its last call."""

    def find(self, text: bytes, now: float) -> Lambda:
        """Return the lambda of this id.

        Raises:
            MeshError: why there is none (see ``absence``).
        """
        found = self.live.get(text)
        if found is None:
            raise self.absence(text, now)
        return found

    def absence(self, text: bytes, now: float) -> MeshError:
        """Say why ``text`` is not a lambda that lives here."""
        try:
            lambda_id = parse_lambda_id(text)
        except ValueError as error:
            return BadRequest(str(error))
        if place_of(lambda_id, self.machine) is not Place.HERE:
            return out_of_reach(lambda_id, self._directory)
        if self._is_gone(text, now):
            return LambdaGone("this lambda has closed: ask for a new id")
        if now - self.started_at < self._limits.recovering_s and lambda_id.unix_ms < self.started_ms:
            return Recovering("this node has just started and the lambda may be on its way back: try again")
        return LambdaNotFound("this node knows no such lambda: it never was, or closed long ago")

    def refusal(self, claim: Claim, now_ms: int) -> MeshError | None:
        """Say why a socket may not re-open ``claim.text``; ``None`` means that it may. ``now_ms`` is Unix time."""
        if claim.is_new:
            return None
        try:
            lambda_id: LambdaId = parse_lambda_id(claim.text)
        except ValueError as error:
            return BadRequest(str(error))
        if place_of(lambda_id, self.machine) is not Place.HERE:
            return out_of_reach(lambda_id, self._directory)
        if self._tombstones.holds(claim.text):
            return LambdaGone("this lambda was deleted and cannot be re-opened: ask for a new id")
        horizon_ms = max(now_ms + FUTURE_MS, self.last_minted_ms)
        return refusal_of(claim, lambda_id, claim.text in self.live, horizon_ms)

    def unanswered(self, text: bytes) -> tuple[int, ...]:
        """Return the numbers of the calls of a lambda that whoever re-opens it may answer."""
        held = self.live.get(text)
        provider = held.provider if held is not None else None
        return provider.keepable() if provider is not None else ()

    def take(self, claim: Claim, seat: Seat, now: float, now_ms: int, keep: Collection[int] = ()) -> MeshError | None:
        """Give the lambda of ``claim`` to ``seat``, whose provider has answered ``open``; return why not, or ``None``.

        The last to answer wins: a socket that held the lambda is closed with 4409. Its open calls are lost, but for
        those whose numbers are in ``keep``: they are this seat's to answer.
        """
        refusal = self.refusal(claim, now_ms)
        if refusal is not None:
            return refusal
        held = self.live.get(claim.text)
        if held is None:
            held = self.live[claim.text] = Lambda(self, claim, seat)
            if not claim.is_new:
                seat.provider.number = held.number = self._last_number(claim.text, now_ms)
        else:
            self._replace(held, claim, seat, keep)
        if claim.is_new:
            self._counters.lambdas_opened += 1
        else:
            self._counters.lambdas_reopened += 1
            self.claimed(parse_lambda_id(claim.text))
        self.publish(held, "open", "new" if claim.is_new else "reopened")
        while held.waiting:
            held.waiting.pop(0).deliver(seat.provider, now)
        return None

    def _replace(self, held: Lambda, claim: Claim, seat: Seat, keep: Collection[int]) -> None:
        before = held.provider
        old, held.seat, held.left = held.seat, seat, None
        if held.slot is not None:
            held.slot.pop(held, None)
            held.slot = None
        if old is not None:
            held.number = old.provider.number
        seat.provider.number = held.number
        held.code, held.headers, held.grace_s = seat.code, claim.headers, claim.grace_s
        if before is not None:
            _hand_over(before, seat.provider, keep)
            before.end(LambdaLost("the provider re-opened the lambda and did not keep the call: it may have run"))
        if old is not None:
            old.close(4409, "superseded by a newer socket")

    def leave(self, text: bytes, seat: Seat, reason: str, final: bool, now: float) -> None:
        """The socket of ``seat`` has ended. A seat that does not hold the lambda (any more) changes nothing.

        ``final`` says that the provider wants no grace.
        """
        held = self.live.get(text)
        if held is None or held.seat is not seat:
            return
        held.seat = None
        held.number = seat.provider.number
        lost = LambdaLost("the provider's socket ended before it answered: the call may have run")
        if final or held.grace_s <= 0 or self._is_draining:
            self.close(held, reason, now)
            seat.provider.end(lost)
        else:
            held.left = seat.provider
            held.slot = self._wheel.add(held, now + held.grace_s)
            seat.provider.suspend(lost)

    def close(self, held: Lambda, reason: str, now: float) -> None:
        """End ``held`` for everyone; its id is remembered as gone."""
        if self.live.pop(held.id, None) is None:
            return
        self._remember(held, now)
        self._counters.lambdas_closed += 1
        if held.slot is not None:
            held.slot.pop(held, None)
            held.slot = None
        self.publish(held, "close", reason)
        left, held.left = held.left, None
        if left is not None:
            left.end(LambdaLost("the provider did not come back before it answered: the call may have run"))
        while held.waiting:
            held.waiting.pop(0).give_up(LambdaGone("the lambda closed before it could take the call: ask for a new id"))

    def delete(self, text: bytes, now: float, now_ms: int) -> None:
        """Close a lambda for good: its keys are void.

        Raises:
            MeshError: why there is no such lambda.
        """
        held = self.live.get(text)
        until_s = now_ms / 1000 + self._limits.resume_key_ttl_s
        if held is None:
            absence = self.absence(text, now)
            if isinstance(absence, LambdaGone) and not self._tombstones.holds(text):
                self._tombstones.bury(text, until_s)
            raise absence
        seat = held.seat
        held.seat = None
        self.close(held, "deleted", now)
        self._tombstones.bury(text, until_s)
        if seat is not None:
            seat.provider.end(LambdaLost("the lambda was deleted before it answered: the call may have run"))
            seat.close(4410, "deleted")

    def drain(self, now: float) -> None:
        """Give no more grace: what waits to be re-opened is closed, and calls that wait are refused."""
        self._is_draining = True
        for held in tuple(self.live.values()):
            while held.waiting:
                held.waiting.pop(0).give_up(Draining("this node is going down: call again, or another node"))
            if held.seat is None:
                self.close(held, "drained", now)

    def _is_gone(self, text: bytes, now: float) -> bool:
        if self._tombstones.holds(text):
            return True
        until, _ = self._gone.get(text, (0.0, 0))
        return until > now

    def _last_number(self, text: bytes, now_ms: int) -> int:
        """Return a number that no call of an earlier life of this lambda had: an answer that is late is to none.

        Of a life that is not remembered only its longest time is known: it had fewer calls than milliseconds.
        """
        remembered = self._gone.pop(text, None)
        return remembered[1] if remembered is not None else max(now_ms - parse_lambda_id(text).unix_ms, 0)

    def _remember(self, held: Lambda, now: float) -> None:
        gone = self._gone
        last = held.number if held.seat is None else held.seat.provider.number
        gone[held.id] = (now + self._limits.gone_ttl_s, last)
        while gone:
            oldest = next(iter(gone))
            if len(gone) <= self._limits.gone_ids and gone[oldest][0] > now:
                return
            del gone[oldest]


def _hand_over(before: Provider, provider: Provider, keep: Collection[int]) -> None:
    """Have ``provider`` answer what it still holds of the calls that were sent to the one before."""
    before.suspend(LambdaLost("the provider re-opened the lambda in the middle of a stream: the call may have run"))
    for number in keep:
        answer = before.pending.pop(number, None)
        if answer is not None:
            provider.pending[number] = answer
            answer.moved(provider)
