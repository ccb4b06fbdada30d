"""Three nodes in memory: real cores and real links between them, a network that loses what it likes, one clock."""

from __future__ import annotations

import json
import sys
from typing import Any

from lambdamesh.core.asking import Asking
from lambdamesh.core.budget import Budget
from lambdamesh.core.claims import Claims
from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.flight import Flight
from lambdamesh.core.homes import Homes
from lambdamesh.core.limits import Limits
from lambdamesh.core.places import Atlas
from lambdamesh.core.ports import LinkSeat, Provider
from lambdamesh.core.reception import Reception
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.core.wheel import Wheel
from lambdamesh.errors import LambdaLost, MeshError, PeerUnreachable
from lambdamesh.links.line import Line
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.json_rpc_2_calls import LambdaCalls
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound, LinkBounds
from lambdamesh.protocol.link_frames import Goodbye, Hello
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import NOW_MS, FakeDirectory, Graves

LIMITS = Limits(lambda_calls=6, waiting_calls=4)
MACHINES = (1, 2, 3)
_ROOM_BYTES = 1 << 20


class Side:
    """One end of a link (``Receiver``, ``LinkSeat``). ``wire`` is what it has said and the other has not heard yet."""

    is_up = True
    congested = False

    def __init__(self, node: Node, other: int) -> None:
        self.node = node
        self.other = other
        self.wire = b""
        self.link = Link(lambda: None, self, LinkBounds(1 << 20, 1000), node.budget, lambda: len(node.registry.live))

    @property
    def provider(self) -> Link:
        return self.link

    def greeted(self, link: Link, hello: Hello) -> None:
        link.place = self.other

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        self.node.reception.called(link, call, answer)

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        self.node.reception.notified(link, call, answer)

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        self.node.reception.adopted(link, call, number, answer)

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        self.node.reception.asked(link, topic, body, answer)

    def told(self, link: Link, topic: str, body: bytes) -> None:
        assert self.node.reception.told(link, topic, body)

    def parting(self, link: Link, goodbye: Goodbye) -> None:
        raise AssertionError("nobody parts here")

    def ponged(self, link: Link, number: int, lambdas: int) -> None:
        raise AssertionError("nobody pings here")

    def write(self) -> None:
        """What is to be said goes on the wire."""
        while chunk := self.link.outbox.take(_ROOM_BYTES):
            self.wire += chunk

    def notice(self) -> None:
        """It is over."""
        self.link.is_closed = True
        if self.node.sides.get(self.other) is self:
            del self.node.sides[self.other]
        self.link.end()


class Node:
    """One node (``Links`` of its core), which knows what it has on disk: what was deleted."""

    def __init__(self, mesh: Mesh, machine: int, graves: Graves) -> None:
        self.mesh = mesh
        self.machine = machine
        self.graves = graves
        self.sides: dict[int, Side] = {}
        self.lines: dict[int, Line] = {}
        self.sockets: list[Socket] = []
        self.clock = Clock(mesh.now, mesh.now_ms)
        self.counters = Counters()
        self.budget = Budget(LIMITS.buffered_bytes)
        self.wheel = Wheel(0.05, mesh.now)
        self.wheel.on_bug = mesh.bug
        others = FakeDirectory(*(other for other in MACHINES if other != machine))
        self.registry = Registry(Atlas(machine), LIMITS, self.counters, self.wheel, others, graves)
        self.registry.started_at, self.registry.started_ms = mesh.now, mesh.now_ms
        self.relay = Relay(self.registry, self.wheel, LIMITS, self.counters, self.budget, lambda: mesh.now)
        self.relay.on_bug = mesh.bug
        self.relay.links = self
        self.asking = Asking(self, self.wheel, lambda: mesh.now)
        self.homes = Homes(self.registry, self.relay, self.asking, self.clock, lambda _text, _door: b"key")
        self.claims = Claims(self.registry, self.relay, self.homes, self.asking, self.clock, LIMITS)
        self.reception = Reception(self.registry, self.relay, self.claims, self.homes)
        self.reception.judge = lambda _door, shown, _text: Key.RIGHT if shown == b"right" else Key.WRONG

    # -- ``core.ports.Links`` --

    def seat(self, machine: int) -> LinkSeat | MeshError:
        side = self.sides.get(machine)
        if side is not None:
            return side
        return self.lines.get(machine) or PeerUnreachable(f"no link to {machine}")

    def ask(self, machine: int, topic: str, body: bytes, answer: Pending) -> tuple[Provider, int] | None:
        seat = self.seat(machine)
        if isinstance(seat, MeshError):
            answer.fault(seat)
            return None
        return seat.provider, seat.provider.ask(topic, body, answer)

    def tell(self, machine: int, topic: str, body: bytes) -> None:
        seat = self.seat(machine)
        if not isinstance(seat, MeshError):
            seat.provider.tell(topic, body)

    # -- its links --

    def up(self, side: Side) -> None:
        """A link is up: what must be known before any call comes first."""
        side.link.tell(*self.claims.holding(side.other))
        self.sides[side.other] = side
        line = self.lines.pop(side.other, None)
        if line is not None:
            line.flow(side.link)

    def dial(self, machine: int) -> None:
        """Others wait for a link to come up."""
        if machine not in self.sides:
            self.lines.setdefault(machine, Line())

    def fail(self, machine: int) -> None:
        line = self.lines.pop(machine, None)
        if line is not None:
            line.end(PeerUnreachable("it does not answer"))


class Mesh:
    """The nodes, the links between them, and the time."""

    def __init__(self) -> None:
        self.now = self._began_at = 1000.0
        self.nodes = {machine: Node(self, machine, Graves()) for machine in MACHINES}
        self.pipes: dict[tuple[int, int], list[Side]] = {}
        self.cut: set[tuple[int, int]] = set()
        self.bugs: list[BaseException | None] = []

    def bug(self) -> None:
        self.bugs.append(sys.exc_info()[1])

    @property
    def now_ms(self) -> int:
        return NOW_MS + round((self.now - self._began_at) * 1000)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for node in self.nodes.values():
            node.clock.now, node.clock.unix_ms = self.now, self.now_ms
        for node in self.nodes.values():
            node.wheel.sweep(self.now)

    def write(self, pair: tuple[int, int], at: int) -> None:
        if pair in self.pipes and pair not in self.cut:
            self.pipes[pair][at].write()

    def read(self, pair: tuple[int, int], at: int, size_bytes: int) -> bool:
        """The other end hears some of what one has said; return whether there was any."""
        if pair not in self.pipes or pair in self.cut:
            return False
        side, other = self.pipes[pair][at], self.pipes[pair][1 - at]
        chunk, side.wire = side.wire[:size_bytes], side.wire[size_bytes:]
        if chunk:
            other.link.receive(chunk)
        return bool(chunk)

    def pump(self) -> None:
        """Everything that is said is heard."""
        is_more = True
        while is_more:
            is_more = False
            for pair in tuple(self.pipes):
                for at in (0, 1):
                    self.write(pair, at)
                    is_more |= self.read(pair, at, _ROOM_BYTES)

    def join(self, pair: tuple[int, int]) -> None:
        """A link comes up between two nodes that have none."""
        if pair in self.pipes:
            return
        one, other = (self.nodes[machine] for machine in pair)
        sides = [Side(one, other.machine), Side(other, one.machine)]
        for side in sides:
            side.link.greet(Hello(machine=f"{side.node.machine:08x}", instance="x"))
            side.write()
        self.pipes[pair] = sides
        for at in (0, 1):
            self.read(pair, at, _ROOM_BYTES)
        for side in sides:
            side.node.up(side)

    def lose(self, pair: tuple[int, int]) -> None:
        """Nothing comes through any more; nobody has noticed yet."""
        if pair in self.pipes:
            self.cut.add(pair)

    def notice(self, pair: tuple[int, int], ats: tuple[int, ...] = (0, 1)) -> None:
        """Both ends of a link that is cut notice, or one."""
        if pair not in self.cut:
            return
        for at in ats:
            side = self.pipes[pair][at]
            if not side.link.is_closed and self.nodes[side.node.machine] is side.node:
                side.notice()
        if all(side.link.is_closed or self.nodes[side.node.machine] is not side.node for side in self.pipes[pair]):
            del self.pipes[pair]
            self.cut.remove(pair)

    def restart(self, machine: int) -> Node:
        """A node dies and begins anew, empty; others notice when they notice."""
        dead = self.nodes[machine]
        self.nodes[machine] = Node(self, machine, dead.graves)
        for pair in tuple(self.pipes):
            if machine in pair:
                self.lose(pair)
        return dead


class Socket:
    """The socket of a provider (``Seat``): what it was sent, what it holds, how far it has come.

    ``seen`` are the calls that were sent here, ``held`` those and the ones that were kept, by number, as the serial of
    their caller.
    """

    code = "json-rpc-2.0"
    congested = False

    def __init__(self, node: Node, text: bytes, before: Socket | None, wants: str, grace_s: float) -> None:
        self.node = node
        self.text = text
        self.before = before
        self.wants = wants
        self.seen: dict[int, int] = {}
        self.held: dict[int, int] = {}
        self.pending: tuple[int, ...] | None = None
        self.state = "claiming"
        self.left: bool | None = None
        self.closed: list[int] = []
        self.grace_s = grace_s
        self.provider = LambdaCalls(self._sent, SessionCounters(), Bounds(1 << 20, 1024), text)
        self.provider.has_meta = True
        self.claim = Claim(text, False, Key.RIGHT, grace_s, shown=b"right")
        node.sockets.append(self)
        node.claims.claim(self.claim, self._heard)

    def _heard(self, outcome: Grant | MeshError) -> None:
        assert self.state == "claiming"
        if isinstance(outcome, MeshError):
            self.state = "refused"
        else:
            self.state, self.pending = "granted", outcome.pending

    def answer_open(self) -> None:
        """It has opened, and says what it keeps."""
        if self.state != "granted" or self.pending is None:
            return
        self.state = "taking"
        held = self.before.held if self.before is not None else {}
        keep = tuple(number for number in self.pending if number in held) if self.wants == "keep" else ()
        if self.wants == "lies":
            keep = self.pending
        self.held = {number: held[number] for number in keep if number in held}
        self.node.claims.take(self.claim, self, keep, self._taken)

    def _taken(self, refusal: MeshError | None) -> None:
        assert self.state == "taking"
        if refusal is not None:
            self.state = "refused"
            self.provider.end(LambdaLost("it could not be re-opened: the call may have run"))
            return
        self.state = "seated"
        if self.left is not None:
            self.leave(final=self.left)

    def _sent(self, message: bytes) -> None:
        sent: dict[str, Any] = json.loads(message)
        if sent["method"].startswith("$/"):
            return
        assert self.state in ("taking", "seated") and not self.closed
        assert sent["id"] not in self.held
        self.seen[sent["id"]] = self.held[sent["id"]] = sent["params"][0][0]

    def close(self, code: int, reason: str) -> None:
        assert reason and not self.closed
        self.closed.append(code)
        self.provider.release()

    def leave(self, *, final: bool) -> None:
        """The socket ends."""
        if self.state == "taking":
            self.left = final
        elif self.state == "seated":
            self.state = "over"
            self.node.registry.leave(self.text, self, "lost", final, self.node.mesh.now)
            self.provider.release()

    def answer(self, number: int, raw: bytes) -> None:
        """Answer a call, late or in time; nobody hears what is said on a socket that was closed."""
        if self.state == "seated" and not self.closed:
            answer = self.provider.pending.pop(number, None)
            if answer is not None:
                answer.result(raw)

    @property
    def is_held(self) -> bool:
        """Whether the node has given it the lambda."""
        held = self.node.registry.live.get(self.text)
        return held is not None and held.seat is self


class Caller:
    """One call (``Answer``) that entered at a node."""

    def __init__(self, node: Node, serial: int, timeout_s: float) -> None:
        self.node = node
        self.serial = serial
        self.deadline_at = node.mesh.now + timeout_s
        self.results: list[bytes] = []
        self.faults: list[MeshError] = []
        self.is_gone = False
        self.flight: Flight | None = None

    @property
    def outcomes(self) -> int:
        return len(self.results) + len(self.faults)

    @property
    def is_open(self) -> bool:
        return not (self.outcomes or self.is_gone)

    def result(self, raw: bytes) -> None:
        self.results.append(raw)

    def item(self, raw: bytes) -> None:
        assert self.is_open

    def fault(self, error: MeshError) -> None:
        self.faults.append(error)
