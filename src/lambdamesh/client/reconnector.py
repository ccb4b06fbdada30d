"""Keeps one connection to the node: dials, watches, dials again, and gives up when the node says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from enum import StrEnum
from math import inf

import msgspec

from lambdamesh.client import opening
from lambdamesh.client.address import Address
from lambdamesh.client.connection import ABNORMAL, Connection, Ending
from lambdamesh.client.dialling import HANDSHAKE_S, SUBPROTOCOL, Fields, Refused, dial
from lambdamesh.client.envelopes import word_head
from lambdamesh.client.faults import CLOSED, ClientClosed
from lambdamesh.client.reconnecting import (
    FIRST_ATTEMPTS,
    PATIENCE_S,
    SILENCE_S,
    Backoff,
    Step,
    Verdict,
    Vigil,
    close_error,
    verdict_of_close,
    verdict_of_status,
)
from lambdamesh.client.requests import DEFAULT_TIMEOUT_S, PLAIN, Request
from lambdamesh.client.resting import GOING_DOWN
from lambdamesh.client.session import Session
from lambdamesh.client.tickets import Ticket, TicketFailed, expires_at, renew_in_s, take_ticket
from lambdamesh.errors import CallTimeout, Draining, LambdaLost, MeshError, PeerUnreachable, Unauthorized
from lambdamesh.protocol.faults import fault

log = logging.getLogger("lambdamesh.client")

_PING = word_head("$/ping")
_RENEW = word_head("ticket.renew")
_REOPEN_FIRST_S = 5.0


class State(StrEnum):
    """Where a connection is."""

    CONNECTING = "connecting"
    """It is being made."""
    OPEN = "open"
    """It is there, and every lambda that could be is open again."""
    WAITING = "waiting"
    """It was lost or could not be made; another attempt follows."""
    CLOSED = "closed"
    """It has ended for good."""


class Access(msgspec.Struct, frozen=True):
    """How to get to a node, and what to show at its door."""

    address: Address
    token: str | None = None
    ticket: Ticket = None
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Access({self.address.url!r})"


class _Failure(Exception):
    """An attempt or a connection that came to nothing, what follows, and the error if that is the end."""

    def __init__(self, verdict: Verdict, error: MeshError) -> None:
        super().__init__(error.message)
        self.verdict = verdict
        self.error = error


class Reconnector:
    """Owns the ``connection`` of a client, ``None`` while there is none; ``on_state`` is told each change."""

    def __init__(self, access: Access, session: Session, on_state: Callable[[State], None]) -> None:
        self._access = access
        self._session = session
        self._on_state = on_state
        self._backoff = Backoff()
        self._ticket: str | None = None
        self._has_fresh_ticket = False
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._open_at = inf
        self._is_closing = False
        self._linked = asyncio.Event()
        self._parted = asyncio.Event()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connection: Connection | None = None
        self.state = State.CONNECTING
        self._told: State | None = None

    async def start(self) -> None:
        """Connect. Raises: MeshError where the node refuses, or cannot be reached three times in a row."""
        self._task = asyncio.create_task(self._run(), name="lambdamesh connection")
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """End the connection for good: the node ends the lambdas on it at once."""
        if self._task is None:
            return
        self._is_closing = True
        # First, so that nobody is told of a loss that is none.
        self._session.close(ClientClosed(CLOSED))
        connection = self.connection
        if connection is not None and not connection.ended.done():
            connection.close(1000, "")
            await connection.ended
        else:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._end(ClientClosed(CLOSED))

    async def linked(self) -> None:
        """Wait for a connection, 60 s at most. Raises: MeshError where there is none then, or will be none."""
        try:
            async with asyncio.timeout(DEFAULT_TIMEOUT_S):
                await self._linked.wait()
        except TimeoutError:
            raise CallTimeout("the node did not come back in time", delivered="no") from None
        self._session.check()

    async def parted(self) -> None:
        """Wait until the connection to a node that goes down has ended. Raises: Draining where that takes too long."""
        try:
            async with asyncio.timeout(self._session.patience_s):
                await self._parted.wait()
        except TimeoutError:
            raise Draining(GOING_DOWN) from None

    # -- attempts -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                self._tell(State.CONNECTING)
                try:
                    await self._hold(await self._connect())
                except _Failure as failure:
                    if self._is_closing:
                        return
                    if self._is_final(failure):
                        self._end(failure.error)
                        return
                self._tell(State.WAITING)
                pause_s = self._backoff.pause_s(random.random(), self._session.awaited_s)  # noqa: S311 -- jitter
                await asyncio.sleep(pause_s)
        except Exception as error:
            log.exception("the connection ended by a fault of its own")
            self._end(MeshError(f"the client failed: {type(error).__name__}: {error}"))
        finally:
            # Also where somebody has cancelled the task: nobody shall wait for a connection that will not come.
            self._end(ClientClosed(CLOSED))

    def _is_final(self, failure: _Failure) -> bool:
        if failure.verdict is Verdict.NEW_TICKET:
            # A ticket that was just fetched and is refused will not be better the next time.
            is_renewable = callable(self._access.ticket) and not self._has_fresh_ticket
            self._has_fresh_ticket = is_renewable
            return not is_renewable
        if failure.verdict is Verdict.FINAL:
            return True
        self._failures += 1
        if self._opened.done() or self._failures < FIRST_ATTEMPTS:
            return False
        last = failure.error
        if isinstance(last, Unauthorized):
            # No ticket was to be had, and the node was not asked.
            return True
        failure.error = PeerUnreachable(self._never_opened(last.message))
        failure.error.__cause__ = last.__cause__
        return True

    def _never_opened(self, last: str) -> str:
        address = self._access.address
        return (
            f"no connection to {address.url} in {FIRST_ATTEMPTS} attempts (the last: {last}). Is a node listening at "
            "that address (lambdamesh serve, LAMBDAMESH_URL)? May it be asked as Host "
            f"{address.authority} (--allow-host), with this Origin (--allow-origin), and with this token "
            "(LAMBDAMESH_TOKEN)?"
        )

    async def _connect(self) -> Connection:
        try:
            self._ticket = await take_ticket(self._access.ticket)
        except TicketFailed as error:
            failed = Unauthorized(str(error))
            failed.__cause__ = error.__cause__
            raise _Failure(Verdict.RETRY, failed) from error
        connection = Connection(self._session.receive)
        try:
            await dial(self._access.address, connection, self._fields(), self._access.tls)
        except Refused as refused:
            text = f"{self._access.address.url} refused the connection: {refused.status} {refused.reason}"
            raise _Failure(verdict_of_status(refused.status), fault(refused.status, "", text, "no")) from None
        except OSError as error:
            text = error.strerror or str(error) or "no answer in time"
            raise _Failure(Verdict.RETRY, PeerUnreachable(f"{self._access.address.url}: {text}")) from None
        return connection

    def _fields(self) -> Fields:
        protocols = SUBPROTOCOL if self._ticket is None else f"{SUBPROTOCOL}, ticket.{self._ticket}"
        fields = [("Sec-WebSocket-Protocol", protocols)]
        if self._access.token:
            fields.append(("Authorization", f"Bearer {self._access.token}"))
        return fields

    # -- while it is open ---------------------------------------------------------------------------------------

    async def _hold(self, connection: Connection) -> None:
        """Watch over a connection until it ends. Raises: _Failure."""
        self._open_at = inf
        self.connection = connection
        self._parted.clear()
        self._session.connected(connection.send)
        self._linked.set()
        reopening = asyncio.create_task(self._reopen(connection))
        renewing = asyncio.create_task(self._renew())
        ending = Ending(ABNORMAL, "closed here")
        try:
            ending = await self._watch(connection)
        finally:
            reopening.cancel()
            renewing.cancel()
            self.connection = None
            self._linked.clear()
            self._session.disconnected(f"the connection to the node ended ({ending.code} {ending.reason})")
            self._parted.set()
            connection.abort()
        self._backoff.lasted(time.monotonic() - self._open_at)
        raise _Failure(verdict_of_close(ending.code), close_error(ending.code, ending.reason))

    async def _reopen(self, connection: Connection) -> None:
        if not self._opened.done() and not await self._is_answered():
            connection.abort("the node does not answer")
            return
        # Calls that have waited may be for those very lambdas, and both count against what a socket may ask at once.
        again = asyncio.ensure_future(opening.open_again(self._session))
        try:
            await asyncio.wait({again}, timeout=_REOPEN_FIRST_S)
            self._session.flush(time.monotonic())
            await again
        finally:
            again.cancel()
        self._has_fresh_ticket = False
        self._failures = 0
        self._open_at = time.monotonic()
        self._tell(State.OPEN)
        if not self._opened.done():
            self._opened.set_result(None)

    async def _is_answered(self) -> bool:
        """Whether what took the connection answers: a node that refuses us with a close does so before."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await opening.ask(self._session, opening.WordRequest(_PING, {}))
        except TimeoutError:
            return False
        except MeshError as error:
            return not isinstance(error, LambdaLost)
        return True

    async def _watch(self, connection: Connection) -> Ending:
        vigil = Vigil(SILENCE_S, PATIENCE_S)
        while not connection.ended.done():
            step, look_in_s = vigil.look(connection.heard_at, time.monotonic())
            if step is Step.CUT:
                connection.abort("the node has not answered a ping")
            elif step is Step.PING:
                now = time.monotonic()
                self._session.ask(Request(_PING, b"{}", PLAIN, now, b""), now)
            await asyncio.wait({connection.ended}, timeout=look_in_s or None)
        return connection.ended.result()

    async def _renew(self) -> None:
        while callable(self._access.ticket) and self._ticket is not None:
            exp = expires_at(self._ticket)
            if exp is None:
                return
            await asyncio.sleep(renew_in_s(exp, time.time()))
            try:
                self._ticket = await take_ticket(self._access.ticket)
                await opening.ask(self._session, opening.WordRequest(_RENEW, {"ticket": self._ticket}))
            except Exception as error:
                log.warning("the ticket could not be renewed: %s", type(error).__name__)

    # -- what it tells ------------------------------------------------------------------------------------------

    def _tell(self, state: State) -> None:
        if state is self._told or (self._is_closing and state is not State.CLOSED):
            return
        self.state = self._told = state
        try:
            self._on_state(state)
        except Exception:
            log.exception("on_state failed")

    def _end(self, error: MeshError) -> None:
        if self.state is State.CLOSED:
            return
        self._session.close(error)
        self._linked.set()
        if not self._opened.done():
            self._opened.set_exception(error)
            # Nobody may be there to be told: whoever waited has been cancelled.
            self._opened.exception()
        self._tell(State.CLOSED)
