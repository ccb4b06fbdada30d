"""The WebSocket of a provider: from its handshake to the end of its lambda."""

from __future__ import annotations

import time

from lambdamesh.core.reopening import Claim
from lambdamesh.door.door import Door
from lambdamesh.door.websocket import Socket
from lambdamesh.errors import CallTimeout, Draining
from lambdamesh.protocol import json_rpc, json_rpc_2_provider
from lambdamesh.protocol.opening import Opening

Session = json_rpc.Session | json_rpc_2_provider.Session
SESSIONS: dict[str, type[Session]] = {
    session.code: session for session in (json_rpc.Session, json_rpc_2_provider.Session)
}
"""The codecs of a lambda, in the order in which a door prefers none of them."""

GOING_DOWN = "this node is going down: connect to another"


class ProviderSocket(Socket):
    """A socket that answers for one lambda, once it has answered ``open`` (``core.ports.Seat``)."""

    __slots__ = ("_claim", "_id", "_open_until", "_seated", "code", "provider")

    def __init__(self, door: Door, peer: str, claim: Claim, code: str) -> None:
        super().__init__(door, peer)
        self._claim: Claim | None = claim
        self._id = claim.text
        self._seated = False
        self._open_until = 0.0
        self.code = code
        self.provider: Session = SESSIONS[code](self.send, self._take, door.sessions, door.bounds)
        if isinstance(self.provider, json_rpc_2_provider.Session):
            self.provider.reply = self._reply

    def opened(self) -> None:
        """Tell the provider what it has opened and give it a while to answer."""
        door, claim = self.door, self._claim
        self._open_until = door.clock.now + door.limits.open_timeout_s
        self._arm()
        if claim is not None:
            key = door.keys.mint(claim.text, door.clock.unix_ms / 1000)
            pending = door.registry.unanswered(claim.text)
            self.provider.open(Opening(claim.text, key, claim.grace_s, door.facts.host_name, pending))

    def due_at(self) -> float:
        """When ``expire`` is wanted next."""
        due_at = super().due_at()
        return min(due_at, self._open_until) if self._open_until else due_at

    def expire(self, now: float) -> None:
        """A time limit has passed (``Expiring``)."""
        if self._open_until and now >= self._open_until and not self._close_at:
            self.door.counters.opens_timed_out += 1
            self._open_until = 0.0
            self.close(CallTimeout.close_code, "open was not answered in time", "timeout")
            return
        super().expire(now)

    def message(self, message: bytes, utf8_checked: bool) -> None:
        """Read answers."""
        self.provider.receive(message, utf8_checked)
        framing = self.provider.framing
        if framing is not None:
            self.account_unfinished(framing)

    def _reply(self, message: bytes) -> None:
        # Whoever does not read gets no more to read: calls are refused by then, and nobody else waits for this.
        if not self.congested:
            self.send(message)

    def _take(self) -> None:
        """``open`` is answered: the lambda is this socket's from now on."""
        self._open_until = 0.0
        claim, self._claim = self._claim, None
        if claim is None:
            return
        if self.door.is_ready:
            now, unix_ms = time.monotonic(), self.door.clock.unix_ms
            refusal = self.door.registry.take(claim, self, now, unix_ms, self.provider.keep)
        else:
            refusal = Draining(GOING_DOWN)
        if refusal is not None:
            self.door.counters.reopens_refused += 1
            self.close(refusal.close_code, refusal.message, "error")
        else:
            self._seated = True
            self.provider.drop_unpending()

    def ended(self, reason: str, final: bool) -> None:
        """Leave the lambda, or what is left of it after a newer socket took it."""
        self._open_until = 0.0
        if self._seated:
            self.door.registry.leave(self._id, self, reason, final, time.monotonic())
        self.provider.release()
