"""A node that only talks: it joins a mesh by its secret and tells of third nodes."""

import asyncio
import os
from typing import cast

import msgspec

from lambdamesh.access.mesh_trust import MeshTrust
from lambdamesh.core.budget import Budget
from lambdamesh.core.peering import NodeRecord
from lambdamesh.ids import machine_id_text
from lambdamesh.links.acquaintance import TOPIC
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound, LinkBounds
from lambdamesh.protocol.link_frames import Goodbye, Hello, PeerHint

MACHINE = 0x30000000
HINTS = 256
"""How many nodes one word tells of, as in a node that is asked for all it knows."""
ROOM_BYTES = 1 << 20
NOT_SENT_BYTES = 256 * 1024


class Gossip(asyncio.Protocol):
    """One link (`protocol.link_exchange.Receiver`) that takes nothing."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._greeted: asyncio.Future[None] = loop.create_future()
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.link = Link(lambda: None, self, LinkBounds(ROOM_BYTES, 1), Budget(ROOM_BYTES), lambda: 0)

    @classmethod
    async def join(cls, address: str, secret_file: str) -> "Gossip":
        """Dials a node and says hello. Raises OSError."""
        host, _, port = address.rpartition(":")
        context = MeshTrust(machine=MACHINE, secret_file=secret_file).client_context()
        loop = asyncio.get_running_loop()
        _, gossip = await loop.create_connection(cls, host, int(port), ssl=context, server_hostname="")
        await asyncio.wait_for(gossip._greeted, 10)
        return gossip

    async def tell(self, records: list[NodeRecord]) -> None:
        """Tells of nodes that were heard just now; waits where the other side reads slower."""
        for at in range(0, len(records), HINTS):
            await self._can_write.wait()
            self.link.tell(TOPIC, msgspec.json.encode([_hint(record) for record in records[at : at + HINTS]]))
            self._write()

    def leave(self) -> None:
        """Drops the link."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says hello."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=NOT_SENT_BYTES)
        hello = Hello(machine=machine_id_text(MACHINE), instance=os.urandom(8).hex(), host="gossip", is_kept=True)
        self.link.greet(hello)
        self._write()

    def data_received(self, data: bytes) -> None:
        """Takes frames; answers pings."""
        self.link.receive(data)
        self._write()

    def _write(self) -> None:
        chunk = self.link.outbox.take(ROOM_BYTES)
        if chunk:
            self._transport.write(chunk)
        if self.link.outbox.has_more:
            self._write()

    def pause_writing(self) -> None:
        """Enough waits."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """It was taken."""
        self._can_write.set()

    def greeted(self, link: Link, hello: Hello) -> None:
        """The node has said who it is."""
        link.place = int(hello.machine, 16)
        self._greeted.set_result(None)

    def told(self, link: Link, topic: str, body: bytes) -> None:
        """The node passes on what it has just learned, and to this one too."""

    def parting(self, link: Link, goodbye: Goodbye) -> None:
        """The node goes."""

    def ponged(self, link: Link, number: int, lambdas: int) -> None:
        """This one never pings."""

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        """This one has no lambdas, and nobody asks it anything."""

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        """As above."""

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        """As above."""

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        """As above."""


def _hint(record: NodeRecord) -> PeerHint:
    return PeerHint(
        machine=machine_id_text(record.machine),
        address=record.address,
        host=record.host,
        instance=record.instance,
        version=record.version,
        started_at=record.started_at,
    )
