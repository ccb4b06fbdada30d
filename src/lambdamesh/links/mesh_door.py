"""The mesh door: where other nodes dial this one, and strangers get nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from enum import IntEnum

import structlog

from lambdamesh.links.connection import Connection
from lambdamesh.links.ports import Trust
from lambdamesh.links.preamble import PREAMBLE_BYTES, is_begun, read_preamble

log = structlog.get_logger(__name__)

BACKLOG = 1024
LOG_LINES = 60
"""Lines of the log that refusals may take a minute."""
_MINUTE_S = 60.0
_PAUSE_S = 0.25
_LEAST_S = 0.05
"""What is left to a handshake whose first byte came at the last moment."""


class _Stage(IntEnum):
    """How far a connection has come: whoever has come least far gives way first."""

    SILENT = 0
    SPEAKING = 1
    PROVEN = 2
    """Its certificate is that of a node; the hello is still to come."""


class _Arrival:
    """A connection that has not said hello."""

    __slots__ = ("connection", "peer", "sock", "stage", "task")

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock = sock
        self.peer = peer
        self.stage = _Stage.SILENT
        self.connection: Connection | None = None
        self.task: asyncio.Task[None]

    def end(self, why: str) -> None:
        """Cut it."""
        self.task.cancel()
        if self.connection is not None:
            self.connection.fail(why)


class MeshDoor:
    """Listens for other nodes, and takes nothing else.

    ``open`` says how many connections may be without a hello at a time, of all addresses and of each. Where there are
    as many, the oldest gives way to a newcomer, those first that have never said anything: nobody keeps a node out by
    holding places. ``turned_away`` is told of each that leaves without having been a node.
    """

    def __init__(self, sock: socket.socket, connection: Callable[[], Connection], trust: Trust, hello_s: float) -> None:
        self._socket = sock
        self._connection = connection
        self._trust = trust
        self._hello_s = hello_s
        self._loop = asyncio.get_running_loop()
        self._arriving: dict[_Arrival, None] = {}
        self._most = self._most_of_one = 0
        self._refusals = Refusals(self._loop.time, self._loop.call_later)
        self.turned_away: Callable[[], None] = lambda: None
        self.worker = 0
        self.hand_over: Callable[[int, socket.socket], bool] = lambda _worker, _sock: False
        """Gives a connection to another worker of this node, who ``take``s it; ``False`` where there is no such."""
        self._listening: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens: ``host:port`` or ``[v6]:port``."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self, most: int, most_of_one: int) -> None:
        """Take connections: ``most`` at a time without a hello, ``most_of_one`` of each address."""
        self._most, self._most_of_one = most, most_of_one
        self._socket.listen(BACKLOG)
        self._listening = self._loop.create_task(self._listen())

    def close(self) -> None:
        """Take no more."""
        if self._listening is not None:
            self._listening.cancel()
        for arrival in tuple(self._arriving):
            arrival.end("the node is going down")
        self._refusals.close()
        self._socket.close()

    # -- who comes ----------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("mesh_door_paused", why=str(error), once_a_minute=True)
                await asyncio.sleep(_PAUSE_S)
                continue
            self._take(accepted, str(peer[0]), may_be_for_another=True)

    def take(self, accepted: socket.socket, peer: str) -> None:
        """See whether somebody at the address ``peer``, whom another worker has handed over, is a node."""
        # It stays here, whatever it says: a stranger does not have workers hand it to and fro.
        self._take(accepted, peer, may_be_for_another=False)

    def _take(self, accepted: socket.socket, peer: str, *, may_be_for_another: bool) -> None:
        of_one = [arrival for arrival in self._arriving if arrival.peer == peer]
        if len(of_one) >= self._most_of_one:
            self._crowd_out(of_one, "its address has as many connections as may be that have not said hello yet")
        elif len(self._arriving) >= self._most:
            self._crowd_out(self._arriving, "as many connections as may be have not said hello yet")
        accepted.setblocking(False)
        arrival = _Arrival(accepted, peer)
        self._arriving[arrival] = None
        arrival.task = self._loop.create_task(self._welcome(arrival, may_be_for_another))
        arrival.task.add_done_callback(lambda _task: self._ended(arrival))

    def _crowd_out(self, crowd: Iterable[_Arrival], why: str) -> None:
        # Of those that have come equally far the first is the oldest.
        arrival = min(crowd, key=lambda one: one.stage)
        del self._arriving[arrival]
        arrival.end(why)
        self._refuse(arrival.peer, why)

    def _ended(self, arrival: _Arrival) -> None:
        self._arriving.pop(arrival, None)
        if arrival.connection is None:
            # Not by the task itself: one that is cancelled before its first step never runs.
            arrival.sock.close()

    # -- whether it is a node -----------------------------------------------------------------------------------

    async def _welcome(self, arrival: _Arrival, may_be_for_another: bool) -> None:
        ends_at = self._loop.time() + self._hello_s
        try:
            async with asyncio.timeout_at(ends_at):
                await self._readable(arrival.sock)
                wanted = await self._wanted(arrival.sock) if may_be_for_another else None
            if wanted is not None and wanted != self.worker and self.hand_over(wanted, arrival.sock):
                return
            arrival.stage = _Stage.SPEAKING
            connection = self._connection()
            # What it returns is not our protocol on every loop.
            await self._loop.connect_accepted_socket(
                lambda: connection,
                arrival.sock,
                ssl=self._trust.server_context(),
                ssl_handshake_timeout=max(ends_at - self._loop.time(), _LEAST_S),
            )
        except Exception as error:
            self._refuse(arrival.peer, self._trust.handshake_failure(error, is_server=True))
            return
        arrival.connection, arrival.stage = connection, _Stage.PROVEN
        try:
            await asyncio.shield(connection.greeting)
        except Exception as error:
            if not connection.is_oneself:
                # The connection has counted it.
                why = connection.why or self._trust.handshake_failure(error, is_server=True)
                self._refusals.log(arrival.peer, why)

    async def _wanted(self, sock: socket.socket) -> int | None:
        """Return which worker the other side wants, which has begun to speak; ``None`` where it does not say."""
        text = sock.recv(PREAMBLE_BYTES, socket.MSG_PEEK)
        if text and is_begun(text):
            # What is there would make it readable at once: it is to be so once there is as much as a preamble has.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, PREAMBLE_BYTES)
            await self._readable(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            text = sock.recv(PREAMBLE_BYTES, socket.MSG_PEEK)
        worker = read_preamble(text)
        if worker is not None:
            sock.recv(PREAMBLE_BYTES)
        return worker

    async def _readable(self, sock: socket.socket) -> None:
        """Wait until the other side has said anything: TLS costs memory, which silence shall not."""
        spoken = self._loop.create_future()
        self._loop.add_reader(sock, _settle, spoken)
        try:
            await spoken
        finally:
            self._loop.remove_reader(sock)

    def _refuse(self, peer: str, why: str) -> None:
        self.turned_away()
        self._refusals.log(peer, why)


class Refusals:
    """Logs who was turned away: each address and reason once a minute, and ``LOG_LINES`` a minute in all.

    What is left out beyond that is counted, and the count told in a line of its own a minute later. ``time`` tells
    monotonic seconds.
    """

    def __init__(
        self,
        time: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        self._time = time
        self._call_later = call_later
        self._logged: dict[tuple[str, str], float] = {}
        """When each line of the last minute was written, the oldest first."""
        self._left_out = 0
        self._handle: asyncio.TimerHandle | None = None

    def log(self, peer: str, why: str) -> None:
        """Somebody at ``peer`` was turned away."""
        now = self._time()
        while self._logged and now - next(iter(self._logged.values())) >= _MINUTE_S:
            del self._logged[next(iter(self._logged))]
        if (peer, why) in self._logged:
            return
        if len(self._logged) >= LOG_LINES:
            self._left_out += 1
            if self._handle is None:
                self._handle = self._call_later(_MINUTE_S, self._tell)
            return
        self._logged[peer, why] = now
        log.warning("link_refused", peer=peer, why=why)

    def close(self) -> None:
        """Tell now what was left out."""
        if self._handle is not None:
            self._handle.cancel()
            self._tell()

    def _tell(self) -> None:
        self._handle = None
        left_out, self._left_out = self._left_out, 0
        log.warning(
            "link_refusals_left_out",
            count=left_out,
            why=f"the log takes {LOG_LINES} refusals a minute: a firewall keeps strangers from the mesh door",
        )


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
