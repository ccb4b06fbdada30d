"""The claim of a machine id: whoever holds its key, and can be reached, is that machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from lambdamesh.core.peering import NodeRecord, Probe
from lambdamesh.directory.nats_bucket import Bucket, Held
from lambdamesh.directory.nats_connection import Unwell
from lambdamesh.ids import machine_id_text

log = structlog.get_logger(__name__)

_ATTEMPTS = 20
_PROBE_MARGIN_S = 0.5
_LOSSES = 3
"""How often another may take the key back, before it is plain that it lives, though it cannot be reached."""


class Taken(Exception):
    """Another node has this machine id, and lives; the text says who, and what to do."""


class Claim:
    """This node's own key, taken and kept by compare-and-set."""

    def __init__(self, me: NodeRecord, probe: Probe, probe_s: float) -> None:
        self._me = me
        self._probe = probe
        self._probe_s = probe_s
        self._revision = 0
        self._rivals: dict[str, int] = {}
        self.is_contested = False
        """Whether somebody else was seen to have written the key."""

    def seen(self, record: NodeRecord | None, revision: int) -> bool:
        """Note what a watch tells of the own key; return whether somebody else wrote it after us."""
        if revision > self._revision and (record is None or record.instance != self._me.instance):
            self.is_contested = True
        return self.is_contested

    async def renew(self, bucket: Bucket) -> None:
        """Write the own key again; if somebody else has written it, claim it anew.

        Raises:
            Taken: somebody else has it, and lives.
            BucketGone: there is no bucket.
        """
        if self._revision and not self.is_contested:
            revision = await bucket.write(self._me, self._revision)
            if revision is not None:
                self._revision = revision
                return
        await self.stake(bucket)

    async def stake(self, bucket: Bucket) -> None:
        """Take the own key, if nobody else has it who lives.

        Raises:
            Taken: somebody else has it, and lives.
            BucketGone: there is no bucket.
        """
        for _ in range(_ATTEMPTS):
            held = await bucket.read(self._me.machine)
            await self._refuse_if_it_lives(held)
            self.is_contested = False
            revision = await bucket.write(self._me, held.revision)
            if revision is not None:
                self._revision = revision
                return
        raise Unwell(
            f"the key {machine_id_text(self._me.machine)} of NATS is written by others all the time: "
            "give this node another machine id with --machine-id"
        )

    async def drop(self, bucket: Bucket) -> None:
        """Delete the own key, if it is still the own."""
        held = await bucket.read(self._me.machine)
        if held.record is not None and held.record.instance == self._me.instance:
            await bucket.erase(self._me.machine, held.revision)

    async def _refuse_if_it_lives(self, held: Held) -> None:
        other = held.record
        if other is None or other.instance == self._me.instance:
            return
        # Written after this node had it: so whoever wrote it was alive at that moment.
        losses = self._rivals[other.instance] = self._rivals.get(other.instance, 0) + (self._revision > 0)
        found = await self._dial(other.address)
        if found is not None and found.machine == self._me.machine and found.instance != self._me.instance:
            raise Taken(self._complaint(held, ""))
        if losses >= _LOSSES:
            raise Taken(
                self._complaint(held, ", which cannot be reached from here, but writes its claim again and again")
            )
        log.info("nats_claim_taken_over", host=other.host, address=other.address, why="nobody answers there for it")

    def _complaint(self, held: Held, addition: str) -> str:
        other = held.record
        assert other is not None
        since_s = other.dated(held.written_at).started_at or held.written_at
        since = datetime.fromtimestamp(since_s, UTC).isoformat(sep=" ", timespec="seconds")
        return (
            f"machine id {machine_id_text(self._me.machine)} is that of another node, {other.host or 'of no name'} at "
            f"{other.address or 'no address'}, since {since}{addition}: give this one a state directory of its own "
            "with --state, or another machine id with --machine-id"
        )

    async def _dial(self, address: str) -> NodeRecord | None:
        if not address:
            return None
        try:
            async with asyncio.timeout(self._probe_s + _PROBE_MARGIN_S):
                return await self._probe(address)
        except (TimeoutError, OSError):
            return None


class Listener(Claim):
    """That of a worker whose node has another who speaks for it: nothing of its own."""

    def seen(self, record: NodeRecord | None, revision: int) -> bool:
        """Leave it to the speaker whoever wrote the key."""
        return False

    async def renew(self, bucket: Bucket) -> None:
        """Leave the key alone."""

    async def stake(self, bucket: Bucket) -> None:
        """Leave the key alone."""

    async def drop(self, bucket: Bucket) -> None:
        """Leave the key alone."""
