"""The bucket ``lambdamesh``: one key a machine, written by compare-and-set."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import msgspec
import structlog
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.nats_connection import Connection
from lambdamesh.ids import machine_id_text

log = structlog.get_logger(__name__)

VALUE_BYTES = 4096
"""What a node writes of itself is shorter."""
NAME = "lambdamesh"
STREAM = f"KV_{NAME}"
PREFIX = f"$KV.{NAME}."
_DELETED = f"$JS.EVENT.ADVISORY.STREAM.DELETED.{STREAM}"

_WRONG_REVISION = (10071, 10164)
_EXISTS_OTHERWISE = 10058
_NO_REPLICAS = (10005, 10023, 10052, 10074)
_REPLICAS = 3
_PATIENCE = 3
"""How many attempts may fail to place three replicas before one has to do: a cluster that starts has no peers yet."""


class BucketGone(Exception):
    """There is no such bucket any more."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a key holds. ``record`` is ``None`` where it is free; ``revision`` is what a write must name."""

    record: NodeRecord | None
    revision: int
    written_at: float = 0.0
    """Unix seconds by the server's clock."""


class Bucket:
    """The bucket, over one connection."""

    def __init__(self, connection: Connection, ask_s: float) -> None:
        self.connection = connection
        self.jetstream: JetStreamContext = connection.client.jetstream(timeout=ask_s)
        self.may_be_gone = False
        """Whether the server has told that somebody deleted it."""

    async def hear_of_its_end(self, stir: asyncio.Event) -> None:
        """Set ``stir`` when somebody deletes it. A user who may not hear of that learns it from the next write."""

        async def deleted(_: object) -> None:
            self.may_be_gone = True
            stir.set()

        await self.connection.client.subscribe(_DELETED, cb=deleted)

    async def open(self, ttl_s: float, failures: int) -> None:
        """Make sure that it is there; ``failures`` is how often that went wrong lately."""
        self.may_be_gone = False
        with contextlib.suppress(NotFoundError):
            await self.jetstream.stream_info(STREAM)
            return
        replicas = _REPLICAS if self.connection.is_clustered else 1
        try:
            await self._create(ttl_s, replicas)
        except APIError as error:
            if error.err_code not in _NO_REPLICAS or failures < _PATIENCE:
                raise
            await self._create(ttl_s, replicas=1)

    async def check(self) -> None:
        """Raises: BucketGone if it is not there."""
        self.may_be_gone = False
        try:
            await self.jetstream.stream_info(STREAM)
        except NotFoundError:
            raise BucketGone from None

    async def read(self, machine: int) -> Held:
        """Return what the key of ``machine`` holds, as its leader has it."""
        try:
            message = await self.jetstream.get_last_msg(STREAM, key_of(machine))
        except NotFoundError as error:
            if error.err_code == 10059:
                raise BucketGone from None
            return Held(None, 0)
        written_at = message.time.timestamp() if message.time is not None else 0.0
        return Held(parse_record(message.data), message.seq or 0, written_at)

    async def write(self, record: NodeRecord, revision: int) -> int | None:
        """Write the key of a node if its revision is still ``revision``; return the new one, ``None`` if it is not."""
        return await self._publish(key_of(record.machine), msgspec.json.encode(record), revision)

    async def erase(self, machine: int, revision: int) -> bool:
        """Delete the key of ``machine`` if its revision is still ``revision``."""
        return await self._publish(key_of(machine), b"", revision, {"KV-Operation": "DEL"}) is not None

    async def _publish(
        self, key: str, value: bytes, revision: int, headers: dict[str, str] | None = None
    ) -> int | None:
        headers = {**(headers or {}), "Nats-Expected-Last-Subject-Sequence": str(revision)}
        try:
            return (await self.jetstream.publish(key, value, headers=headers)).seq
        except (NoStreamResponseError, NoRespondersError):
            await self.check()
            raise
        except APIError as error:
            if error.err_code in _WRONG_REVISION:
                return None
            raise

    async def _create(self, ttl_s: float, replicas: int) -> None:
        config = KeyValueConfig(
            bucket=NAME,
            description="where the nodes of a lambdamesh find each other",
            history=1,
            ttl=ttl_s,
            replicas=replicas,
            direct=True,
        )
        try:
            await self.jetstream.create_key_value(config)
        except APIError as error:
            if error.err_code != _EXISTS_OTHERWISE:
                raise
            # Somebody else was quicker, or it was made by hand with other replicas: as it is, it will do.
            return
        log.info("nats_bucket_created", bucket=NAME, replicas=replicas)


def key_of(machine: int) -> str:
    """The subject of a machine's key."""
    return f"{PREFIX}{machine_id_text(machine)}"


def parse_record(value: bytes | None) -> NodeRecord | None:
    """Read a value; ``None`` where there is none, and where it is not a node's or is none that can be dialled."""
    if not value:
        return None
    if len(value) > VALUE_BYTES:
        log.warning("nats_value_ignored", why="no node writes as much", size_bytes=len(value), once_a_minute=True)
        return None
    try:
        record = msgspec.json.decode(value, type=NodeRecord)
    except msgspec.MsgspecError:
        return None
    return record if record.is_sound else None


PASSING = (NoRespondersError, NoStreamResponseError, ServiceUnavailableError, TimeoutError)
"""What may be over in a moment, as while a cluster chooses a leader."""
