"""One connection to another node, or another worker of this one, on which a ``protocol.link.Link`` is spoken."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

import structlog

from lambdamesh.core.backlog import Backlog
from lambdamesh.core.budget import Budget
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.limits import Limits
from lambdamesh.core.peering import NodeRecord
from lambdamesh.core.wheel import Slot, Wheel
from lambdamesh.links.ports import House
from lambdamesh.links.pulse import Pulse
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound, LinkBounds, LinkClosed
from lambdamesh.protocol.link_frames import VERSIONS, Goodbye, Hello

log = structlog.get_logger(__name__)

_AHEAD_BYTES = 192 * 1024
"""What is handed to the system at a time: a short call has to wait for as much."""
_UNSENT_BYTES = 128 * 1024
_USER_TIMEOUT_MS = 4_000
_READ_BYTES = 256 * 1024
_PARTED_S = 10.0
"""How long a link may stay that both sides have left, or that one side has refused."""


class Wiring:
    """What all connections of a worker share. ``house`` takes what others send, ``holds`` counts lambdas.

    ``time`` tells monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        counters: Counters,
        wheel: Wheel,
        budget: Budget,
        clock: Clock,
        time: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.counters = counters
        self.wheel = wheel
        self.budget = budget
        self.time = time
        self.house: House
        self.versions = VERSIONS
        self.holds: Callable[[], int] = lambda: 0
        self.call_soon: Callable[[Callable[[], None]], object]


class Owner(Protocol):
    """Whoever keeps the links of a node, told what becomes of each."""

    def hello(self, connection: Connection) -> Hello:
        """What this node says to the other side."""

    def identify(self, connection: Connection, ssl_object: ssl.SSLObject | None) -> int:
        """Return the machine that is on the other side. Raises: Exception with the reason."""

    def greeted(self, connection: Connection, hello: Hello) -> None:
        """The other side has said hello. Raises ``LinkClosed`` where it is not welcome."""

    def leaving(self, connection: Connection) -> None:
        """This side begins nothing more here."""

    def parting(self, connection: Connection, goodbye: Goodbye) -> None:
        """The other side begins nothing more here."""

    def ponged(self, connection: Connection) -> None:
        """The other side has answered a ping."""

    def lost(self, connection: Connection, why: str) -> None:
        """The connection is over."""

    def told(self, connection: Connection, topic: str, body: bytes) -> None:
        """A word that is about the mesh itself."""


class Connection(asyncio.Protocol):
    """One link (``core.ports.LinkSeat``; ``protocol.link_exchange.Receiver``; ``Expiring``).

    ``machine`` is what its certificate proves, 0 before the handshake; ``place`` which worker of it that is, and
    ``dialler`` the place that dialled, both set by the owner. ``dialled`` is the address that was dialled, ``None``
    where the other side did; ``sibling`` the number of another worker of this node, to which there is a socket from
    the start. ``is_kept`` says whether this side keeps the link while it is idle, ``is_oneself`` whether the other side
    turned out to be this node. ``welcome`` is what the owner still has to do about a hello that it has taken.
    """

    is_up = True

    def __init__(self, wiring: Wiring, owner: Owner, dialled: str | None = None, is_kept: bool = False) -> None:
        self._wiring = wiring
        self._owner = owner
        self.dialled = dialled
        self.is_kept = is_kept
        self.is_oneself = False
        self.record: NodeRecord | None = None
        self.machine = self.place = 0
        self.sibling: int | None = None
        self.peer_address = ""
        self.why = ""
        self.peer_lambdas: int | None = None
        self.welcome: Callable[[], None] | None = None
        self.greeting: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        limits = wiring.limits
        bounds = LinkBounds(limits.body_bytes, limits.link_calls, wiring.versions)
        self.link = Link(self._wake, self, bounds, wiring.budget, wiring.holds)
        self._backlog = Backlog(wiring.budget)
        self._slot: Slot | None = None
        self._is_paused = self._is_over = False
        self._has_greeted = self._has_parted = False
        self.pulse = Pulse(limits)
        self.opened_at = self._busy_at = wiring.time()
        self.up_at = wiring.clock.now
        self._begun = 0
        self.dialler = 0
        self._leave_at = 0.0
        self.heard_at = wiring.clock.now
        self._burst_bytes = 0

    # -- the connection -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handshakes are done: see who it is, and say hello (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_AHEAD_BYTES, low=_AHEAD_BYTES // 2)
        _tune(transport.get_extra_info("socket"))
        peer = transport.get_extra_info("peername")
        self.peer_address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        try:
            self.machine = self._owner.identify(self, transport.get_extra_info("ssl_object"))
        except Exception as error:
            self._wiring.counters.links_refused += 1
            self.fail(str(error))
            return
        if self.dialled is not None or self.sibling is not None:
            self._greet()
        self._arm()

    def _greet(self) -> None:
        """Say hello. Whoever was dialled does so second, so that a goodbye to who is not welcome is right behind it."""
        if not self._has_greeted:
            self._has_greeted = True
            self.link.greet(self._owner.hello(self))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over: running calls end (asyncio)."""
        if self._slot is not None:
            self._slot.pop(self, None)
            self._slot = None
        self._is_over = True
        self._backlog.release()
        why = self.why or (str(exc) if exc is not None else "the other side closed the connection")
        # New calls are refused before running ones end: whoever is told of its end may call again at once.
        self.link.is_closed = True
        self._owner.lost(self, why)
        self.link.end()
        if not self.greeting.done():
            self.greeting.set_exception(exc if exc is not None and not self.why else ConnectionResetError(why))
            self.greeting.exception()

    def fail(self, why: str) -> None:
        """Cut the connection, and remember why."""
        self.why = self.why or why
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on (asyncio)."""
        self.pulse.heard = True
        self.heard_at = self._wiring.clock.now
        try:
            self.link.receive(data)
        except LinkClosed as end:
            self._refuse(end)
        except Exception:
            log.exception("internal_error", once_a_minute=True)
            self.fail("this node has a bug: look into its log")
        self._burst_bytes += len(data)
        if self._burst_bytes > _READ_BYTES and not self._transport.is_closing():
            # Whoever floods the node has to let the others have their turn.
            self._transport.pause_reading()
            self._wiring.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._burst_bytes = 0
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, end: LinkClosed) -> None:
        self._wiring.counters.links_refused += 1
        self.why = self.why or end.why
        if end.is_refusal:
            self._greet()
        self.link.part(end.why, is_refusal=end.is_refusal)
        self._flush()
        self._transport.close()

    # -- writing ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._wiring.call_soon(self._flush)

    def _flush(self) -> None:
        if self._is_over or self._transport.is_closing():
            return
        outbox, transport = self.link.outbox, self._transport
        chunk = outbox.take(_AHEAD_BYTES - transport.get_write_buffer_size())
        if chunk:
            transport.write(chunk)
        if self._leave_at:
            self._close_if_done(self._wiring.time())
        if outbox.has_more and not self._is_paused:
            self._wiring.call_soon(self._flush)
        if self._is_paused and not self._backlog.hold(
            max(self.waiting_bytes - self._wiring.limits.link_queue_bytes, 0)
        ):
            self._wiring.counters.overloaded_buffers += 1
            self.fail("the other node takes its answers slower than they come, and this node has no room for them")

    @property
    def waiting_bytes(self) -> int:
        """What the other side has not taken yet."""
        return self.link.outbox.size_bytes + self._transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        """As much waits as should (asyncio)."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It was taken (asyncio)."""
        self._is_paused = False
        self._backlog.release()
        self._flush()

    # -- calls to the other side (``LinkSeat``) -----------------------------------------------------------------

    @property
    def congested(self) -> bool:
        """Whether more waits for the link than may."""
        return self._is_paused and self.waiting_bytes > self._wiring.limits.link_queue_bytes

    @property
    def provider(self) -> Link:
        """What takes calls."""
        return self.link

    # -- what the other side says (``Receiver``) ----------------------------------------------------------------

    def greeted(self, link: Link, hello: Hello) -> None:
        """The other side has said who it is."""
        self.up_at = self._wiring.clock.now
        self._owner.greeted(self, hello)
        link.place = self.place
        self._greet()
        # How far away it is shall not have to be waited for.
        self.look()
        if not self.greeting.done():
            self.greeting.set_result(hello)

    def settle(self) -> None:
        """Do once what the owner does when a link has come up."""
        welcome, self.welcome = self.welcome, None
        if welcome is not None:
            welcome()

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        """A call."""
        self._wiring.house.called(link, call, answer)

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        """A notification."""
        self._wiring.house.notified(link, call, answer)

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        """A call that runs since before."""
        self._wiring.house.adopted(link, call, number, answer)

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        """A question."""
        self._wiring.house.asked(link, topic, body, answer)

    def told(self, link: Link, topic: str, body: bytes) -> None:
        """A word."""
        # One that came with the hello is answered by words of this node, which need a link to go by.
        self.settle()
        if not self._wiring.house.told(link, topic, body):
            self._owner.told(self, topic, body)

    def parting(self, link: Link, goodbye: Goodbye) -> None:
        """The other side begins nothing more."""
        if goodbye.is_refusal or not link.is_up:
            raise LinkClosed(f"it was refused by the other node: {goodbye.why}", is_refusal=True)
        self._has_parted = True
        self._owner.parting(self, goodbye)
        self.leave("as you wish")

    def ponged(self, link: Link, number: int, lambdas: int) -> None:
        """It is there."""
        self.pulse.answered(number, self._wiring.time())
        self.peer_lambdas = lambdas
        self._owner.ponged(self)

    def look(self) -> None:
        """Ask whether the other side is there, although nothing is in flight."""
        if self.pulse.is_due(self._wiring.time(), True):
            self.link.ping(self.pulse.number)

    def heard_within(self, seconds: float) -> bool:
        """Whether the other side has said anything so lately."""
        return self._wiring.clock.now - self.heard_at <= seconds

    # -- its end ------------------------------------------------------------------------------------------------

    def leave(self, why: str) -> None:
        """Begin nothing more here; close once nothing is in flight and the other side has said the same."""
        if not self._leave_at:
            self._leave_at = self._wiring.time() + _PARTED_S
        self.link.part(why)
        self._owner.leaving(self)
        self._close_if_done(self._wiring.time())

    def _close_if_done(self, now: float) -> None:
        if not self._leave_at or (self.link.outbox.size_bytes and now < self._leave_at):
            return
        is_quiet = not self.link.is_busy and (self._has_parted or now >= self._leave_at)
        if is_quiet or now >= self._leave_at + self._wiring.limits.call_timeout_max_s:
            self.why = self.why or "both sides left it"
            self._transport.close()

    def expire(self, now: float) -> None:
        """Look whether it is alive, whether it is used, whether it may go (``Expiring``)."""
        self._slot = None
        limits, link = self._wiring.limits, self.link
        if not link.is_up:
            if now - self.opened_at >= limits.link_hello_s:
                self.fail("the other side said no hello in time: is that a lambdamesh node?")
                return
        elif self.pulse.is_silent(now):
            self._wiring.counters.links_cut_silent += 1
            self.fail(f"the other side has said nothing for {now - self.pulse.pinged_at:.1f} s, pings included")
            return
        else:
            self._keep(now)
        self._close_if_done(now)
        if not self._is_over:
            self._arm()

    def _keep(self, now: float) -> None:
        is_busy = self.link.is_busy
        if is_busy or self.link.begun != self._begun:
            self._busy_at = now
            self._begun = self.link.begun
        elif now - self._busy_at >= self._wiring.limits.link_idle_s and not self._is_wanted:
            self.leave("it was idle")
            return
        if self.pulse.is_due(now, is_busy):
            self.link.ping(self.pulse.number)

    @property
    def _is_wanted(self) -> bool:
        """Whether either side keeps the link while it is idle."""
        return self.is_kept or (self.link.peer is not None and self.link.peer.is_kept)

    def _arm(self) -> None:
        if self._slot is None:
            now = self._wiring.time()
            at, silent_at = now + self._wiring.limits.link_ping_s, self.pulse.silent_at
            self._slot = self._wiring.wheel.add(self, silent_at if now < silent_at < at else at)


def _tune(sock: socket.socket | None) -> None:
    """Have the system give up on a host that has vanished, and hold little that was not sent yet."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = [(socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _USER_TIMEOUT_MS)]
    options.append((socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", _UNSENT_BYTES))
    for level, name, value in options:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(level, option, value)
