"""The WebSocket of a provider: from its handshake to the end of its lambda."""

from __future__ import annotations

import time

from lambdamesh.core.reopening import Claim, Grant
from lambdamesh.door.door import Door
from lambdamesh.door.websocket import Socket
from lambdamesh.errors import CallTimeout, Draining, LambdaLost, MeshError
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

    __slots__ = (
        "_claim",
        "_early",
        "_grant",
        "_id",
        "_is_asking",
        "_left",
        "_open_until",
        "_seated",
        "code",
        "provider",
    )

    def __init__(self, door: Door, peer: str, claim: Claim, grant: Grant, code: str) -> None:
        super().__init__(door, peer)
        self._claim: Claim | None = claim
        self._grant: Grant | None = grant
        self._early: list[tuple[bytes, bool]] | None = None
        """What came while the home of the lambda was asked, whose answer may be an earlier call's."""
        self._is_asking = False
        self._left: tuple[str, bool] | None = None
        self._id = claim.text
        self._seated = False
        self._open_until = 0.0
        self.code = code
        self.provider: Session = SESSIONS[code](self.send, self._take, door.sessions, door.bounds)
        if isinstance(self.provider, json_rpc_2_provider.Session):
            self.provider.reply = self._reply

    def opened(self) -> None:
        """Tell the provider what it has opened and give it a while to answer."""
        door, claim, grant = self.door, self._claim, self._grant
        self._open_until = door.clock.now + door.limits.open_timeout_s
        self._arm()
        if claim is not None and grant is not None:
            self._grant = None
            node = door.facts.host_name
            self.provider.open(Opening(claim.text, grant.resume_key, claim.grace_s, node, grant.pending))

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
        if self._early is not None:
            self._early.append((message, utf8_checked))
            return
        self.provider.receive(message, utf8_checked)
        framing = self.provider.framing
        if framing is not None:
            self.account_unfinished(framing)

    @property
    def is_heard(self) -> bool:
        """Whether answers are to be read: not while it is open whether they will be of this socket's calls."""
        return self._early is None

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
        if not self.door.is_ready:
            self._taken(Draining(GOING_DOWN))
            return
        self._early = []
        self.door.claims.take(claim, self, self.provider.keep, self._taken)
        if self._early is not None:
            self._is_asking = True
            self._transport.pause_reading()

    def _taken(self, refusal: MeshError | None) -> None:
        early, self._early = self._early, None
        if refusal is not None:
            self.door.counters.reopens_refused += 1
            self.provider.end(LambdaLost("the lambda could not be re-opened where it is: the call may have run"))
            self.close(refusal.close_code, refusal.message, "error")
        else:
            self._seated = True
        if self._left is not None:
            self.ended(*self._left)
        elif refusal is None:
            self.provider.drop_unpending()
            for message in early or ():
                self._whole(*message)
        if self._is_asking:
            self._is_asking = False
            self._read_on()

    def ended(self, reason: str, final: bool) -> None:
        """Leave the lambda, or what is left of it after a newer socket took it."""
        self._open_until = 0.0
        if self._early is not None:
            self._left = (reason, final)
            return
        if self._seated:
            self.door.registry.leave(self._id, self, reason, final, time.monotonic())
        self.provider.release()
