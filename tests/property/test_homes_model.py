"""Lambdas that move between three nodes over links that come and go, and calls for them from everywhere: each call ends
once, no number is used twice, and once all links are up one node holds each lambda and its home knows which.
"""

from __future__ import annotations

import itertools

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdamesh.errors import MeshError
from lambdamesh.protocol.call import Call
from tests.property.simulated import LIMITS, MACHINES, Caller, Mesh, Node, Socket
from tests.unit.fakes import an_id

IDS = [an_id(1, machine=1), an_id(2, machine=2), an_id(3, machine=1)]
PAIRS = list(itertools.combinations(MACHINES, 2))
TEXTS = st.sampled_from([IDS[0], IDS[0], IDS[0], IDS[1], IDS[2]])
NODES = st.sampled_from(MACHINES)
WHICH = st.integers(0, 30)
CALLERS = st.lists(NODES, min_size=1, max_size=4)
WANTS = ["keep", "keep", "keep", "none", "lies"]
LONG = "x" * 80_000


class Moving(RuleBasedStateMachine):
    """Providers, callers and the network do as they like."""

    @initialize(nodes=st.tuples(NODES, NODES, NODES))
    def begin(self, nodes: tuple[int, int, int]) -> None:
        self.mesh = Mesh()
        self.callers: list[Caller] = []
        self.sockets: list[Socket] = []
        self.heard_of_deletion: list[bytes | MeshError] = []
        for pair in PAIRS:
            self.mesh.join(pair)
        for text, machine in zip(IDS, nodes, strict=True):
            self.open(machine, text, 0, "none", 5.0, "whole")

    def node(self, machine: int) -> Node:
        return self.mesh.nodes[machine]

    # -- providers ----------------------------------------------------------------------------------------------

    @rule(
        machine=NODES, text=TEXTS, which=st.sampled_from([-1, -1, -1, 0, -2]), wants=st.sampled_from(WANTS),
        grace_s=st.sampled_from([5.0, 5.0, 0.0]), how=st.sampled_from(["whole", "whole", "in part", "begun"]),
    )  # fmt: skip
    def open(self, machine: int, text: bytes, which: int, wants: str, grace_s: float, how: str) -> None:
        """A provider re-opens a lambda, as the client of one of the sockets that it had."""
        socket = self.begin_to_open(machine, text, which, wants, grace_s)
        if how != "begun":
            self.mesh.pump()
            socket.answer_open()
        if how == "whole":
            self.mesh.pump()

    def begin_to_open(self, machine: int, text: bytes, which: int, wants: str, grace_s: float) -> Socket:
        self.mesh.pass_time(0.005)
        earlier = [socket for socket in self.sockets if socket.text == text and socket.held]
        before = earlier[which % len(earlier)] if earlier else None
        socket = Socket(self.node(machine), text, before, wants, grace_s)
        self.sockets.append(socket)
        return socket

    @rule(text=TEXTS, machines=st.lists(NODES, min_size=2, max_size=4), wants=st.sampled_from(WANTS), callers=CALLERS)
    def race(self, text: bytes, machines: list[int], wants: str, callers: list[int]) -> None:
        """Several answer ``open`` at once, while calls run and others come."""
        self.call(text, 20.0, callers, True)
        sockets = [self.begin_to_open(machine, text, -1, wants, 5.0) for machine in machines]
        self.mesh.pump()
        for socket in sockets:
            socket.answer_open()
        self.call(text, 20.0, callers, False)
        if len(callers) % 2:
            self.mesh.pump()
            self.answer_all(text, True)

    @rule(text=TEXTS, machine=NODES, callers=CALLERS, wants=st.sampled_from(WANTS), gap_s=st.sampled_from([0.0, 3.0]))
    def come_back(self, text: bytes, machine: int, callers: list[int], wants: str, gap_s: float) -> None:
        """A socket ends while calls run, others come meanwhile, and its provider opens another elsewhere."""
        self.call(text, 20.0, callers, True)
        for socket in self.sockets:
            if socket.is_held and socket.text == text and self.is_alive(socket):
                socket.leave(final=False)
                break
        self.call(text, 20.0, callers[:2], True)
        self.mesh.pass_time(gap_s)
        self.open(machine, text, -1, wants, 5.0, "in part")
        if len(callers) % 2:
            self.mesh.pump()
            self.answer_all(text, True)

    @rule(which=WHICH)
    def answer_open(self, which: int) -> None:
        ready = [socket for socket in self.sockets if socket.state == "granted" and self.is_alive(socket)]
        if ready:
            ready[which % len(ready)].answer_open()

    def is_alive(self, socket: Socket) -> bool:
        return self.node(socket.node.machine) is socket.node

    @rule(which=WHICH, number=WHICH)
    def answer(self, which: int, number: int) -> None:
        seated = [socket for socket in self.sockets if socket.held and self.is_alive(socket)]
        if seated:
            socket = seated[which % len(seated)]
            numbers = [*socket.provider.pending, *socket.held]
            at = numbers[number % len(numbers)]
            if at in socket.held:
                serial = socket.held[at]
                socket.answer(at, b'"%d by %d"' % (serial, self.sockets.index(socket)))

    @rule(text=TEXTS, is_heard=st.booleans())
    def answer_all(self, text: bytes, is_heard: bool) -> None:
        """Whoever holds a lambda answers all that it holds."""
        for index, socket in enumerate(self.sockets):
            if socket.text == text and self.is_alive(socket):
                for number, serial in tuple(socket.held.items()):
                    socket.answer(number, b'"%d by %d"' % (serial, index))
        if is_heard:
            self.mesh.pump()

    @rule(which=WHICH, final=st.booleans())
    def leave(self, which: int, final: bool) -> None:
        alive = [socket for socket in self.sockets if socket.state in ("taking", "seated") and self.is_alive(socket)]
        if alive:
            alive[which % len(alive)].leave(final=final)

    @rule(machine=NODES, is_meant=st.sampled_from([True, False, False]))
    def delete(self, machine: int, is_meant: bool) -> None:
        if is_meant:
            self.node(machine).claims.delete(IDS[2], self.heard_of_deletion.append)

    # -- callers ------------------------------------------------------------------------------------------------

    @rule(text=TEXTS, timeout_s=st.sampled_from([20.0, 20.0, 0.5]), callers=CALLERS, is_heard=st.booleans())
    def call(self, text: bytes, timeout_s: float, callers: list[int], is_heard: bool) -> None:
        """Calls enter at some nodes: every fifth is long, every fourth takes items."""
        for machine in callers:
            self.mesh.pass_time(0.005)
            caller = Caller(self.node(machine), len(self.callers), timeout_s)
            self.callers.append(caller)
            is_long, is_stream = caller.serial % 5 == 4, caller.serial % 4 == 3
            body = b'[%d,"%b"]' % (caller.serial, (LONG if is_long else "").encode())
            call = Call(text, b'"test"', body, timeout_s, credit=2 * is_stream)
            caller.flight = self.node(machine).relay.call(call, caller, self.mesh.now)
            assert caller.flight is not None or caller.outcomes == 1
        if is_heard:
            self.mesh.pump()

    @precondition(lambda self: any(caller.is_open for caller in self.callers))
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        going = [caller for caller in self.callers if caller.is_open]
        caller = going[which % len(going)]
        assert caller.flight is not None
        caller.is_gone = True
        caller.flight.cancel()

    # -- the network and the time -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.6, 2.1, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.mesh.pass_time(seconds)

    @rule(pair=st.sampled_from(PAIRS), at=st.integers(0, 1), size_bytes=st.sampled_from([1, 40, 300, 70_000, 10**6]))
    def some_is_heard(self, pair: tuple[int, int], at: int, size_bytes: int) -> None:
        self.mesh.write(pair, at)
        self.mesh.read(pair, at, size_bytes)

    @rule()
    def all_is_heard(self) -> None:
        self.mesh.pump()

    @rule(pair=st.sampled_from(PAIRS), who=st.sampled_from([(0,), (1,), (0, 1), ()]))
    def a_link_is_lost(self, pair: tuple[int, int], who: tuple[int, ...]) -> None:
        self.mesh.lose(pair)
        self.mesh.notice(pair, who)

    @rule(pair=st.sampled_from(PAIRS))
    def it_is_noticed(self, pair: tuple[int, int]) -> None:
        self.mesh.notice(pair)

    @rule(pair=st.sampled_from(PAIRS))
    def a_link_comes_up(self, pair: tuple[int, int]) -> None:
        self.mesh.notice(pair)
        self.mesh.join(pair)

    @rule(machine=NODES, other=NODES, is_reached=st.booleans())
    def a_node_is_dialled(self, machine: int, other: int, is_reached: bool) -> None:
        if machine != other and is_reached:
            self.node(machine).dial(other)
        elif machine != other:
            self.node(machine).fail(other)

    @rule(machine=NODES)
    def a_node_restarts(self, machine: int) -> None:
        dead = self.mesh.restart(machine)
        for caller in self.callers:
            if caller.node is dead:
                caller.is_gone = True
        self.mesh.pass_time(0.05)

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def no_bug_was_met(self) -> None:
        assert self.mesh.bugs == []

    @invariant()
    def each_call_ends_once(self) -> None:
        for caller in self.callers:
            assert caller.outcomes <= 1
            if caller.is_open:
                assert self.mesh.now <= caller.deadline_at + 20.1, "nothing is later than a stream may be"

    @invariant()
    def numbers_never_repeat_and_nothing_is_sent_twice(self) -> None:
        for text in IDS:
            numbers = [number for socket in self.sockets if socket.text == text for number in socket.seen]
            assert len(numbers) == len(set(numbers))
        serials = [serial for socket in self.sockets for serial in socket.seen.values()]
        assert len(serials) == len(set(serials))

    @invariant()
    def callers_are_told_what_happened(self) -> None:
        seen = {serial for socket in self.sockets for serial in socket.seen.values()}
        for caller in self.callers:
            for raw in caller.results:
                serial, _, by = raw.strip(b'"').partition(b" by ")
                assert int(serial) == caller.serial
                assert caller.serial in self.sockets[int(by)].held.values()
            for fault in caller.faults:
                if fault.delivered == "no":
                    assert caller.serial not in seen
                assert fault.code not in ("internal_error", "loop", "bad_request", "lambda_error")

    @invariant()
    def bounds_hold(self) -> None:
        for node in self.mesh.nodes.values():
            assert node.budget.used_bytes >= 0
            for held in node.registry.live.values():
                assert len(held.waiting or ()) <= LIMITS.waiting_calls
                assert not (held.seat and held.waiting)

    # -- once it is quiet ---------------------------------------------------------------------------------------

    @rule()
    def all_links_come_up(self) -> None:
        self.settle()

    def settle(self) -> None:
        """All links are up, everything was heard, and nobody waits for an answer that does not come."""
        for pair in PAIRS:
            self.mesh.notice(pair)
            self.mesh.join(pair)
        self.mesh.pump()
        for socket in self.sockets:
            if socket.state == "granted" and self.is_alive(socket):
                socket.answer_open()
        self.mesh.pump()
        for _ in range(3):
            self.mesh.pass_time(LIMITS.ask_timeout_s + 0.1)
            self.mesh.pump()
        self.homes_know_their_holders()

    def homes_know_their_holders(self) -> None:
        for text, home in zip(IDS, (1, 2, 1), strict=True):
            holders = [machine for machine in MACHINES if text in self.node(machine).registry.live]
            away = self.node(home).registry.away.get(text)
            assert len(holders) <= 1
            known = [home] if text in self.node(home).registry.live else [away.place] if away is not None else []
            assert known == holders
            is_deleted = self.node(home).graves.holds(text)
            assert not (is_deleted and holders)
            assert is_deleted or text != IDS[2] or b"{}" not in self.heard_of_deletion
            seated = [s for s in self.sockets if s.text == text and s.state == "seated" and not s.closed]
            seated = [socket for socket in seated if self.is_alive(socket)]
            assert [socket.is_held for socket in seated] == [True] * len(seated)
            assert not any(socket.state in ("claiming", "taking") for socket in self.sockets if self.is_alive(socket))

    def teardown(self) -> None:
        """Every call has an outcome, and nothing is left of any."""
        if not hasattr(self, "mesh"):
            return
        self.settle()
        for text in IDS[:2]:
            self.answer_all(text, True)
        for _ in range(10):
            self.mesh.pass_time(5.0)
            self.mesh.pump()
        self.each_call_ends_once()
        assert not any(caller.is_open for caller in self.callers)
        for node in self.mesh.nodes.values():
            assert node.budget.used_bytes == 0
            assert not any(held.waiting for held in node.registry.live.values())
            assert not any(away.waiting or away.mover or away.movers for away in node.registry.away.values())
            assert not any(held.provider and held.provider.pending for held in node.registry.live.values())
            for side in node.sides.values():
                assert not (side.link.pending or side.link.inbound or side.link.outbox.size_bytes)


TestMoving = Moving.TestCase
TestMoving.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
