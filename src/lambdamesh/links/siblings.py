"""Links between the workers of one node: they are born with sockets, and get new ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping

from lambdamesh.core.places import Atlas, machine_of, place_of
from lambdamesh.links.connection import Connection, Owner, Wiring
from lambdamesh.links.peer import Peer


class Siblings:
    """The ways from one worker of a node to the others. Nothing is dialled: whoever started them gives sockets to both.

    ``lost`` is told which of them has no link to this one any more.
    """

    def __init__(self, wiring: Wiring, owner: Owner, atlas: Atlas, peers: Mapping[int, Peer]) -> None:
        self._wiring = wiring
        self._owner = owner
        self._atlas = atlas
        self._peers = peers
        self._loop = asyncio.get_running_loop()
        self._is_new = asyncio.Event()
        self.lost: Callable[[int], None] = lambda _worker: None

    async def link(self, worker: int, sock: socket.socket) -> None:
        """Have a link to ``worker`` over a socket that was given to both."""
        connection = Connection(self._wiring, self._owner)
        connection.sibling = worker
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

    def look_for(self, worker: int) -> None:
        """Have another socket made, unless there is one."""
        if not self._is_up(place_of(machine_of(self._atlas.here), worker)):
            self.lost(worker)

    def lambdas(self) -> int:
        """How many lambdas the others hold, as they have last said."""
        peers = map(self._peers.get, self._atlas.siblings)
        return sum(peer.best.peer_lambdas or 0 for peer in peers if peer is not None and peer.best is not None)

    def _is_up(self, place: int) -> bool:
        peer = self._peers.get(place)
        return peer is not None and peer.is_up()
