"""The two ends of a call in a model: providers of each codec that hold what they were sent or kept, and callers."""

from __future__ import annotations

import json
from typing import Any

from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.errors import MeshError
from lambdamesh.protocol import json_rpc, json_rpc_2_provider
from lambdamesh.protocol.session import Bounds, SessionCounters
from tests.unit.fakes import World

LIMITS = Limits(lambda_calls=4, waiting_calls=3, gone_ids=3, stream_credit_max=5)
Session = json_rpc.Session | json_rpc_2_provider.Session
KINDS: dict[str, tuple[type[Session], bytes]] = {
    "plain": (json_rpc_2_provider.Session, b'{"jsonrpc":"2.0","id":0,"result":"ok"}'),
    "meta": (json_rpc_2_provider.Session, b'{"jsonrpc":"2.0","id":0,"result":{"meta":true}}'),
    "1.0": (json_rpc.Session, b'{"id":0,"result":"ok"}'),
}
FOREVER = float("inf")
"""The deadline of a stream from which nothing is wanted."""


class Provider:
    """The other end of a socket (``Seat``): what it was sent and holds, and what it said.

    ``seen`` are the calls that were sent here, ``held`` those and the ones that were kept, by number, as the serial of
    their caller. ``credit`` is how many items of each stream it may still send.
    """

    def __init__(self, text: bytes, kind: str) -> None:
        session, hello = KINDS[kind]
        self.text = text
        self.code = session.code
        self.congested = False
        self.closed: list[int] = []
        self.is_cut = False
        self.seen: dict[int, int] = {}
        self.held: dict[int, int] = {}
        self.credit: dict[int, int] = {}
        self.cancelled: set[int] = set()
        self.answered: dict[int, bytes] = {}
        self.provider: Session = session(self._sent, lambda: None, SessionCounters(), Bounds(1 << 20, 1024))
        self.provider.receive(hello, True)

    def _sent(self, message: bytes) -> None:
        sent: dict[str, Any] = json.loads(message)
        params: Any = sent["params"]
        if sent["method"] == "$/cancelRequest":
            assert params["id"] in self.held
            assert params["id"] not in self.cancelled
            self.cancelled.add(params["id"])
        elif sent["method"] == "$/credit":
            assert params["id"] not in self.cancelled
            self.credit[params["id"]] += params["add"]
            assert self.credit[params["id"]] <= LIMITS.stream_credit_max
        else:
            number = sent["id"]
            assert number > max(self.held, default=0)
            self.seen[number] = self.held[number] = params[0]
            self.credit[number] = sent.get("meta", {}).get("credit", 0)

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed.append(code)
        self.provider.release()

    def answer(self, number: int, member: bytes) -> None:
        self.answered.setdefault(number, member)
        self.say(b'{"jsonrpc":"2.0","id":%d,%b}' % (number, member))

    def item(self, number: int) -> bool:
        """Send an item; return whether it may."""
        may = self.credit.get(number, 0) > 0
        if may:
            self.credit[number] -= 1
        value = b'{"token":%d,"value":%d}' % (number, self.held.get(number, -1))
        self.say(b'{"jsonrpc":"2.0","method":"$/progress","params":%b}' % value)
        return may

    def say(self, message: bytes) -> None:
        """What is said on a socket that has ended still arrives, unless it was cut."""
        if not self.is_cut:
            self.is_cut = message == b"nonsense"
            self.provider.receive(message, False)


class Caller:
    """One call (``Answer``): by when it has to end, and how it ended. ``credit`` is how many items may still come; where
    none may, others may have its place from ``gives_way_at`` on."""

    def __init__(self, world: World, serial: int, timeout_s: float, credit: int) -> None:
        self._world = world
        self._timeout_s = timeout_s
        self.serial = serial
        self.is_stream = credit > 0
        self.credit = credit
        self.deadline_at = world.now + timeout_s
        self.gives_way_at = FOREVER
        self.results: list[bytes] = []
        self.faults: list[MeshError] = []
        self.items = 0
        self.ended_at = 0.0
        self.flight: Flight | None = None
        self.is_gone = False

    def result(self, raw: bytes) -> None:
        self.results.append(raw)
        self.ended_at = self._world.now

    def item(self, raw: bytes) -> None:
        assert self.is_open and self.is_stream
        assert raw == b"%d" % self.serial
        self.items += 1
        self.credit -= 1
        assert self.credit >= 0
        silent_until = self._world.now + self._timeout_s
        self.deadline_at, self.gives_way_at = (silent_until, FOREVER) if self.credit else (FOREVER, silent_until)

    def give(self, add: int) -> None:
        """Take so many more items."""
        assert self.flight is not None
        self.flight.credit(add)
        more = min(add, LIMITS.stream_credit_max - self.credit)
        if self.is_stream and more > 0:
            self.credit += more

    def heard(self) -> None:
        """It is silent from now on."""
        self.deadline_at, self.gives_way_at = self._world.now + self._timeout_s, FOREVER

    def fault(self, error: MeshError) -> None:
        self.faults.append(error)
        self.ended_at = self._world.now

    @property
    def outcomes(self) -> int:
        return len(self.results) + len(self.faults)

    @property
    def is_open(self) -> bool:
        return self.outcomes == 0 and not self.is_gone
