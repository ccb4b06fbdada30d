"""What a node does on one connection to NATS: keep the bucket, its own claim in it, and a watch of all others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from lambdamesh.directory.nats_access import NatsAccess, NatsServer
from lambdamesh.directory.nats_bucket import PASSING, Bucket, BucketGone
from lambdamesh.directory.nats_claim import Claim, Taken
from lambdamesh.directory.nats_connection import Connection, connected, remembered_errors
from lambdamesh.directory.nats_trouble import explain
from lambdamesh.directory.nats_watch import Told, Watch
from lambdamesh.directory.pace import Pace

log = structlog.get_logger(__name__)

_RENEWALS = 3
"""How many renewals may fail in a row, before another server is asked."""


class Cut(Exception):
    """The connection has ended, or never was; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom a session tells what it hears."""

    told: Told
    """An entry of the bucket."""
    beat: Callable[[], None]
    """Others can be heard."""
    listed: Callable[[], None]
    """All that is in the bucket has been told."""
    deaf: Callable[[str], None]
    """Others cannot be heard any more, and why."""


class Session:
    """One connection, from its opening to its end."""

    def __init__(self, server: NatsServer, access: NatsAccess, pace: Pace, claim: Claim, ears: Ears) -> None:
        self._server = server
        self._access = access
        self._pace = pace
        self._claim = claim
        self._ears = ears
        self._loop = asyncio.get_running_loop()
        self._stir = asyncio.Event()
        self._is_stopping = False
        self._began_at = 0.0
        self._renew_at = 0.0
        self._relist_at = 0.0
        self.discovered: tuple[NatsServer, ...] = ()
        """The other servers of the cluster, once one has told of them."""
        self.is_claimed = False
        """Whether there is a claim to be given back."""
        self.was_well = False
        """Whether it ever got as far as having the list."""

    def stir(self) -> None:
        """Look at once whether there is something to do."""
        self._stir.set()

    def stop(self) -> None:
        """Give the claim back and end."""
        self._is_stopping = True
        self._stir.set()

    async def run(self, failures: int) -> None:
        """Do all of it until ``stop``. ``failures`` is how many sessions before this one have come to nothing.

        Raises:
            Taken: another node has this one's machine id.
            Cut: the connection has ended.
        """
        errors = remembered_errors()
        try:
            async with connected(self._server, self._access, self._pace.ask_s, self._stir.set, errors) as connection:
                self.discovered = connection.discovered()
                bucket = Bucket(connection, self._pace.ask_s)
                await bucket.hear_of_its_end(self._stir)
                while not self._is_stopping:
                    with contextlib.suppress(BucketGone):
                        await self._attend(bucket, failures)
                        return
                    self._ears.deaf(
                        f"the bucket of nodes in NATS at {self._server} was deleted: it is being made again"
                    )
                    log.warning("nats_bucket_gone", server=str(self._server), once_a_minute=True)
                    # Made again at once; but not again and again, where somebody deletes it again and again.
                    await self._rest(self._began_at + self._pace.retry_s - self._loop.time())
        except (Taken, asyncio.CancelledError):
            raise
        except Exception as error:
            raise Cut(explain(error, errors, self._server)) from None
        finally:
            self.is_claimed = False

    async def _attend(self, bucket: Bucket, failures: int) -> None:
        self._began_at = self._loop.time()
        await bucket.open(self._pace.bucket_ttl_s, failures)
        await self._claim.stake(bucket)
        self.is_claimed = True
        self._renew_at = self._loop.time() + self._pace.heartbeat_s
        watch = await self._list(bucket)
        try:
            self.was_well = True
            while not self._is_stopping:
                now = self._loop.time()
                wake_at = min(self._renew_at, self._relist_at, now + self._pace.idle_s)
                await self._rest(wake_at - now)
                _raise_if_closed(bucket.connection)
                if bucket.may_be_gone:
                    await bucket.check()
                if self._claim.is_contested or self._loop.time() >= self._renew_at:
                    await self._renew(bucket)
                if watch.is_broken or watch.silent_s > self._pace.silent_s or self._loop.time() >= self._relist_at:
                    watch.hush()
                    former, watch = watch, await self._list(bucket)
                    await former.close()
            await self._claim.drop(bucket)
        finally:
            await watch.close()

    async def _renew(self, bucket: Bucket) -> None:
        for attempt in range(_RENEWALS):
            try:
                await self._claim.renew(bucket)
            except PASSING:
                if attempt + 1 == _RENEWALS:
                    raise
                await asyncio.sleep(self._pace.retry_s)
                _raise_if_closed(bucket.connection)
            else:
                self._renew_at = self._loop.time() + self._pace.heartbeat_s
                return

    async def _list(self, bucket: Bucket) -> Watch:
        watch = Watch(bucket, self._ears.told, self._ears.beat, self._stir)
        try:
            await watch.open(self._pace.idle_s)
            async with asyncio.timeout(self._pace.silent_s + self._pace.ask_s):
                await watch.listed.wait()
        except BaseException:
            await watch.close()
            raise
        self._relist_at = self._loop.time() + self._pace.relist_s
        self._ears.beat()
        self._ears.listed()
        return watch

    async def _rest(self, longest_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(longest_s, 0.0)):
                await self._stir.wait()
        self._stir.clear()


def _raise_if_closed(connection: Connection) -> None:
    if connection.is_closed:
        raise ConnectionResetError
