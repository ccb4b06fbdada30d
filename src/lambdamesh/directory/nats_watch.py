"""A watch of the bucket: first all that is in it, then each change; it knows when it has missed one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.nats_bucket import PREFIX, STREAM, Bucket, parse_record
from lambdamesh.ids import parse_machine_id

Told = Callable[[int, NodeRecord | None, float, tuple[int, float]], None]
"""What a watch tells: machine, its record (``None``: deleted), when it was written (Unix seconds), a stamp of that."""

_SIGN_OF_LIFE = "100"
_FORGOTTEN_AFTER = 6
"""After how many of its idle times the server forgets a watch that nobody reads."""


class Watch:
    """One consumer of the bucket. ``told`` gets its entries, ``beat`` is called at each sign of life.

    ``stir`` is set when the list has been read and when the watch has come to its end.
    """

    def __init__(self, bucket: Bucket, told: Told, beat: Callable[[], None], stir: asyncio.Event) -> None:
        self._bucket = bucket
        self._told: Told = told
        self._beat = beat
        self._stir = stir
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._sequence = 0
        self._name = ""
        self._subscription: Subscription | None = None
        self.listed = asyncio.Event()
        """Set once all has been told that was in the bucket."""
        self.is_broken = False
        """Whether it has missed something."""

    @property
    def silent_s(self) -> float:
        """For how long it has shown no sign of life."""
        return self._loop.time() - self._heard_at

    async def open(self, idle_s: float) -> None:
        """Begin; there is a sign of life every ``idle_s`` from now on."""
        client = self._bucket.connection.client
        inbox = client.new_inbox()
        self._subscription = await client.subscribe(inbox, cb=self._received)
        consumer = await self._bucket.jetstream._jsm.add_consumer(
            STREAM,
            ConsumerConfig(
                deliver_subject=inbox,
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                filter_subject=f"{PREFIX}>",
                ack_policy=AckPolicy.NONE,
                max_deliver=1,
                idle_heartbeat=idle_s,
                inactive_threshold=idle_s * _FORGOTTEN_AFTER,
                num_replicas=1,
                mem_storage=True,
            ),
        )
        self._name = consumer.name
        delivered = consumer.delivered.consumer_seq if consumer.delivered is not None else 0
        if not consumer.num_pending and not delivered:
            self._is_listed()

    def hush(self) -> None:
        """Tell no more: another watch does, and knows better."""
        self._told = _nobody

    async def close(self) -> None:
        """End it, and let the server know if it can be told."""
        if self._subscription is None or self._bucket.connection.is_closed:
            return
        with contextlib.suppress(Error, TimeoutError):
            await self._subscription.unsubscribe()
            if self._name:
                await self._bucket.jetstream._jsm.delete_consumer(STREAM, self._name)

    async def _received(self, message: Msg) -> None:
        self._heard_at = self._loop.time()
        self._beat()
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            self._entry(message, headers)
        elif status != _SIGN_OF_LIFE or int(headers.get("Nats-Last-Consumer", self._sequence)) != self._sequence:
            self._break()
        else:
            # It is sent only where nothing is left to be told: what was pending may have been too old meanwhile.
            self._is_listed()

    def _entry(self, message: Msg, headers: dict[str, str]) -> None:
        metadata = message.metadata
        if metadata.sequence.consumer != self._sequence + 1:
            self._break()
            return
        self._sequence += 1
        key = message.subject.removeprefix(PREFIX)
        written_at = metadata.timestamp.timestamp()
        with contextlib.suppress(ValueError):
            machine = parse_machine_id(key)
            is_marker = "KV-Operation" in headers or "Nats-Marker-Reason" in headers
            record = None if is_marker else parse_record(message.data)
            # A value that is none of ours, or not under its own key, says nothing of anybody.
            if is_marker or (record is not None and record.machine == machine):
                self._told(machine, record, written_at, (metadata.sequence.stream, written_at))
        if metadata.num_pending == 0:
            self._is_listed()

    def _is_listed(self) -> None:
        if not self.listed.is_set():
            self.listed.set()
            self._stir.set()

    def _break(self) -> None:
        self.is_broken = True
        self._stir.set()


def _nobody(machine: int, record: NodeRecord | None, written_at: float, stamp: tuple[int, float]) -> None:
    pass
