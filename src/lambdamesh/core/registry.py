"""Which lambdas live here, which closed lately, and which wait to be re-opened."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from lambdamesh.core.closed import Closed, Tombstones
from lambdamesh.core.counters import Counters
from lambdamesh.core.held import Away, Lambda, Placing, Waiting
from lambdamesh.core.limits import Limits
from lambdamesh.core.places import Atlas, machine_of
from lambdamesh.core.ports import Directory, Linked, Provider, Seat
from lambdamesh.core.reopening import FUTURE_MS, Claim, Key, refusal_of
from lambdamesh.core.routing import out_of_reach
from lambdamesh.core.wheel import Wheel
from lambdamesh.errors import BadRequest, Draining, LambdaGone, LambdaLost, LambdaNotFound, MeshError, Recovering
from lambdamesh.ids import LambdaId, parse_lambda_id
from lambdamesh.protocol.call import Call

Publish = Callable[[Lambda, str, str], None]
"""Told of each lambda, ``open`` or ``close``, and ``reopened``, ``new`` or the reason of the close."""

DRAINED = "drained"
"""The reason of a close because the node goes down."""

MOVED = "moved"
"""The reason of a close, on this node only, of a lambda that was re-opened on another."""


class Released(NamedTuple):
    """What is left of a lambda that moves to another node: the number of its last call, the calls that wait for it."""

    number: int
    waiting: list[Waiting]


class Registry:
    """The lambdas of one worker. Times named ``now`` are monotonic seconds."""

    def __init__(
        self,
        atlas: Atlas,
        limits: Limits,
        counters: Counters,
        wheel: Wheel,
        directory: Directory,
        tombstones: Tombstones,
    ) -> None:
        self.live: dict[bytes, Lambda] = {}
        """What is held here, from whatever home."""
        self.away: dict[bytes, Away] = {}
        """What has its home here and is held elsewhere."""
        self.abroad: dict[int, set[bytes]] = {}
        """What is held here of other homes, by their machine (how many workers that has may change)."""
        self.atlas = atlas
        self.here = atlas.here
        self.home_of = atlas.home_of
        self.started_at = 0.0
        self.started_ms = 0
        self.relearned_ms = 0
        """Until when other nodes that hold lambdas of this home may not have said so yet, in Unix milliseconds."""
        self.last_minted_ms = 0
        self.claimed: Callable[[LambdaId], None] = lambda _lambda_id: None
        """Told of each id of this home that is re-opened, which may be ahead of those that are minted."""
        self.departed: Callable[[Lambda, str], None] = lambda _lambda, _reason: None
        """Told of each lambda of another home that has closed here, and why."""
        self._is_draining = False
        self.publish: Publish = lambda _lambda, _kind, _detail: None
        self._limits = limits
        self._counters = counters
        self._wheel = wheel
        self._directory = directory
        self.closed = Closed(limits, tombstones)
        self._epoch = 0

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
        home = self.home_of(text)
        if home != self.here:
            return self._out_of_reach(home)
        if self.closed.may_return(text, now):
            return Recovering("the holder of this lambda has died and it may be on its way back: try again")
        if self.closed.holds(text, now):
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
        home = self.home_of(claim.text)
        if home != self.here:
            return self._out_of_reach(home)
        if self.closed.is_deleted(claim.text):
            return LambdaGone("this lambda was deleted and cannot be re-opened: ask for a new id")
        if claim.key is Key.NONE and now_ms < self.relearned_ms and lambda_id.unix_ms < self.started_ms:
            return Recovering("this node has just started and another may hold the lambda: try again, or show its key")
        horizon_ms = max(now_ms + FUTURE_MS, self.last_minted_ms)
        is_held = claim.text in self.live or claim.text in self.away
        return refusal_of(claim, lambda_id, is_held, horizon_ms)

    def _out_of_reach(self, home: int) -> MeshError:
        if self.atlas.is_own(home):
            return Recovering("the worker of this node that is home to the lambda is being started again: try again")
        return out_of_reach(machine_of(home), self._directory)

    def departure(self, text: bytes, now: float) -> MeshError:
        """Say why ``text`` is not here, although its home says so."""
        if self.closed.holds(text, now):
            return LambdaGone("this lambda has closed: ask for a new id")
        return Recovering("the lambda is moving from one node to another: try again")

    def unanswered(self, text: bytes) -> tuple[int, ...]:
        """Return the numbers of the calls of a lambda that whoever re-opens it may answer."""
        held = self.live.get(text)
        provider = held.provider if held is not None else None
        return provider.keepable() if provider is not None else ()

    def take(self, claim: Claim, seat: Seat, now: float, now_ms: int, keep: Collection[int] = ()) -> MeshError | None:
        """Give the lambda of ``claim`` to ``seat``, whose provider has answered ``open``; return why not, or ``None``.

        The last to answer wins: a socket that held the lambda is closed with 4409. Its open calls are lost, but for
        those whose numbers are in ``keep``: they are this seat's to answer. Only for lambdas whose home this is and
        that nobody else holds.
        """
        refusal = self.refusal(claim, now_ms)
        if refusal is not None:
            return refusal
        if claim.is_new:
            self.seat(claim, seat, Placing(0, 0), now)
        else:
            self.seat(claim, seat, self.placing(claim.text, now_ms), now, keep)
        return None

    def placing(self, text: bytes, now_ms: int) -> Placing:
        """Say where the next socket of a lambda goes on whose home this is and that nobody else holds."""
        held = self.live.get(text)
        number = held.last_number if held is not None else self.closed.last_number(text, now_ms)
        return Placing(number, self.next_epoch(now_ms))

    def next_epoch(self, now_ms: int) -> int:
        """Return what is greater than any epoch before, also than those before a restart if the clock is right."""
        self._epoch = max(self._epoch + 1, now_ms)
        return self._epoch

    def seat(self, claim: Claim, seat: Seat, placing: Placing, now: float, keep: Collection[int] = ()) -> None:
        """Give the lambda of ``claim``, which is granted, to ``seat``."""
        held = self.live.get(claim.text)
        if held is None:
            held = Lambda(claim, seat.code, self.close)
            held.seat = seat
            seat.provider.number = held.number = placing.number
            self._enter(held)
        else:
            self._replace(held, claim, seat, keep)
        held.epoch, held.proof = placing.epoch, placing.proof
        self.closed.forget(claim.text)
        if claim.is_new:
            self._counters.lambdas_opened += 1
        else:
            self._counters.lambdas_reopened += 1
            self.note(claim.text)
        self.publish(held, "open", "new" if claim.is_new else "reopened")
        while held.waiting:
            held.waiting.pop(0).deliver(seat.provider, now)

    def park(self, claim: Claim, code: str, placing: Placing, now: float) -> None:
        """Have a lambda of this home wait here for its grace: the node that held it is going down."""
        held = Lambda(claim, code, self.close)
        held.number, held.epoch = placing.number, placing.epoch
        held.slot = self._wheel.add(held, now + held.grace_s)
        self._enter(held)

    def _enter(self, held: Lambda) -> None:
        self.live[held.id] = held
        home = self.home_of(held.id)
        if home != self.here:
            self.abroad.setdefault(machine_of(home), set()).add(held.id)

    def _remove(self, text: bytes) -> Lambda | None:
        held = self.live.pop(text, None)
        home = self.home_of(text)
        if held is not None and home != self.here:
            machine = machine_of(home)
            self.abroad[machine].discard(text)
            if not self.abroad[machine]:
                del self.abroad[machine]
        return held

    def note(self, text: bytes) -> None:
        """An id was re-opened, here or on another node: if it is of this home, it is never minted any more."""
        if self.home_of(text) == self.here:
            self.claimed(parse_lambda_id(text))

    def _replace(self, held: Lambda, claim: Claim, seat: Seat, keep: Collection[int]) -> None:
        before = held.provider
        seat.provider.number = held.number = held.last_number
        old, held.seat, held.left = held.seat, seat, None
        held.disarm()
        held.code, held.headers, held.grace_s = seat.code, claim.headers, claim.grace_s
        if before is not None:
            _hand_over(before, seat.provider, keep)
            before.end(LambdaLost("the provider re-opened the lambda and did not keep the call: it may have run"))
        if old is not None:
            old.close(4409, "superseded by a newer socket")

    def release(self, text: bytes, link: Linked, keep: Collection[int], *, to: int) -> Released | None:
        """Let the lambda move to whoever is behind ``link``, with the open calls in ``keep``; ``None`` if not here.

        ``to`` is the machine where it goes: of a node as a whole nothing closes that only changes its worker.
        """
        held = self._remove(text)
        if held is None:
            return None
        before, number = held.provider, held.last_number
        old, held.seat, held.left = held.seat, None, None
        held.disarm()
        if before is not None:
            _send_over(text, before, link, keep, self._limits.call_timeout_max_s)
            before.end(LambdaLost("the provider re-opened the lambda and did not keep the call: it may have run"))
        self._counters.lambdas_moved += 1
        if not self.atlas.is_own(to):
            self.publish(held, "close", MOVED)
        if old is not None:
            old.close(4409, "superseded by a newer socket on another node")
        return Released(number, held.waiting or [])

    def leave(self, text: bytes, seat: Seat, reason: str, final: bool, now: float) -> None:
        """The socket of ``seat`` has ended. A seat that does not hold the lambda (any more) changes nothing.

        ``final`` says that the provider wants no grace.
        """
        held = self.live.get(text)
        if held is None or held.seat is not seat:
            return
        held.number = seat.provider.number
        held.seat = None
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
        if self._remove(held.id) is None:
            return
        self.closed.remember(held.id, held.last_number, now)
        self._counters.lambdas_closed += 1
        held.disarm()
        self.publish(held, "close", reason)
        left, held.left = held.left, None
        if left is not None:
            left.end(LambdaLost("the provider did not come back before it answered: the call may have run"))
        while held.waiting:
            held.waiting.pop(0).give_up(LambdaGone("the lambda closed before it could take the call: ask for a new id"))
        if self.home_of(held.id) != self.here:
            self.departed(held, reason)

    def delete(self, text: bytes, now: float, now_ms: int) -> None:
        """Close a lambda for good: its keys are void.

        Raises:
            MeshError: why there is no such lambda.
        """
        held = self.live.get(text)
        if held is None:
            absence = self.absence(text, now)
            if isinstance(absence, LambdaGone) and not self.closed.is_deleted(text):
                self.closed.bury(text, now_ms)
            raise absence
        self.closed.bury(text, now_ms)
        self.evict(held, 4410, "deleted", now)

    def evict(self, held: Lambda, close_code: int, reason: str, now: float) -> None:
        """Take ``held`` away from its socket, which is closed with ``close_code``."""
        seat, held.number = held.seat, held.last_number
        held.seat = None
        self.close(held, reason, now)
        if seat is not None:
            seat.provider.end(LambdaLost(f"the lambda was {reason} before it answered: the call may have run"))
            seat.close(close_code, reason)

    def surrender(self, held: Lambda) -> list[Waiting]:
        """Give ``held`` up to a newer socket on another node, which has it already; return the calls that wait for it.

        It has not closed: whoever asks for it is not told that it is gone.
        """
        if self._remove(held.id) is None:
            return []
        before, old = held.provider, held.seat
        held.seat = held.left = None
        held.disarm()
        if before is not None:
            before.end(LambdaLost("the lambda moved on while this node was cut off: the call may have run"))
        self._counters.lambdas_moved += 1
        self.publish(held, "close", MOVED)
        if old is not None:
            old.close(4409, "superseded by a newer socket on another node")
        return held.waiting or []

    def drain(self, now: float) -> None:
        """Give no more grace: what waits to be re-opened is closed, and calls that wait are refused."""
        self._is_draining = True
        for held in tuple(self.live.values()):
            while held.waiting:
                held.waiting.pop(0).give_up(Draining("this node is going down: call again, or another node"))
            if held.seat is None:
                self.close(held, DRAINED, now)


def _hand_over(before: Provider, provider: Provider, keep: Collection[int]) -> None:
    """Have ``provider`` answer what it still holds of the calls that were sent to the one before."""
    before.suspend(LambdaLost("the provider re-opened the lambda in the middle of a stream: the call may have run"))
    for number in keep:
        answer = before.pending.pop(number, None)
        if answer is not None:
            provider.pending[number] = answer
            answer.moved(provider, number)


def _send_over(text: bytes, before: Provider, link: Linked, keep: Collection[int], timeout_s: float) -> None:
    """Have whoever is behind ``link`` answer what its provider still holds of the calls that were sent here.

    Their deadlines are kept here: the longest one is told there.
    """
    before.suspend(LambdaLost("the provider re-opened the lambda in the middle of a stream: the call may have run"))
    for number in keep:
        answer = before.pending.pop(number, None)
        if answer is not None:
            answer.moved(link, link.adopt(Call(text, b"", b"", timeout_s), number, answer))
