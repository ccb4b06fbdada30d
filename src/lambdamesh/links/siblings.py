"""Links between the workers of one node: they are born with sockets, and get new ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping

from lambdamesh.core.places import Atlas, machine_of, place_of
from lambdamesh.links.connection import Connection, Owner, Wiring
from lambdamesh.links.peer import Peer

_PARTED_S = 1.0
"""How long to wait for a new socket to a worker that went in order: it is about to end, and to be started again."""


class Siblings:
    """The ways from one worker of a node to the others. Nothing is dialled: whoever started them gives sockets to both.

    ``lost`` is told which of them has no link to this one any more, and the number of the socket that it had last: both
    sides tell, and there is to be one new socket. ``found`` is told that there is a link to one of them again.
    """

    def __init__(self, wiring: Wiring, owner: Owner, atlas: Atlas, peers: Mapping[int, Peer]) -> None:
        self._wiring = wiring
        self._owner = owner
        self._atlas = atlas
        self._peers = peers
        self._loop = asyncio.get_running_loop()
        self._is_new = asyncio.Event()
        self._newest: dict[int, tuple[int, Connection]] = {}
        """What came last for each worker: the number of the socket, and what speaks over it."""
        self._is_stopping = False
        self.found: Callable[[], None] = lambda: None
        self.lost: Callable[[int, int], None] = lambda _worker, _pairing: None

    async def link(self, worker: int, pairing: int, sock: socket.socket) -> None:
        """Have a link to ``worker`` over a socket that was given to both, ``pairing`` of those between the two."""
        if self._is_stopping:
            sock.close()
            return
        connection = Connection(self._wiring, self._owner, is_kept=True)
        connection.sibling = worker
        self._newest[worker] = (pairing, connection)
        sock.setblocking(False)
        await self._loop.create_unix_connection(lambda: connection, sock=sock)

    async def met(self) -> None:
        """Wait until there is a link to each."""
        while not all(self._is_up(place) for place in self._atlas.siblings):
            self._is_new.clear()
            await self._is_new.wait()

    def linked(self) -> None:
        """There is a link to one of them."""
        self._is_new.set()
        self.found()

    def stop(self) -> None:
        """Have no more links: this worker ends."""
        self._is_stopping = True

    def look_for(self, worker: int) -> None:
        """Have another socket made, unless there is a link, or a socket for one."""
        pairing, connection = self._newest[worker]
        if self._is_up(place_of(machine_of(self._atlas.here), worker)) or not connection.link.is_closed:
            return
        if connection.link.has_parted:
            self._loop.call_later(_PARTED_S, self._ask, worker, pairing)
        else:
            self._ask(worker, pairing)

    def _ask(self, worker: int, pairing: int) -> None:
        if self._newest[worker][0] == pairing and not self._is_stopping:
            self.lost(worker, pairing)

    def lambdas(self) -> int:
        """How many lambdas the others hold, as they have last said."""
        peers = map(self._peers.get, self._atlas.siblings)
        return sum(peer.best.peer_lambdas or 0 for peer in peers if peer is not None and peer.best is not None)

    def _is_up(self, place: int) -> bool:
        peer = self._peers.get(place)
        return peer is not None and peer.is_up()
