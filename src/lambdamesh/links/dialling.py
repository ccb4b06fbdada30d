"""Opening connections: dialling another node, and the mesh door where others dial this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

import structlog

from lambdamesh.links.connection import Connection
from lambdamesh.links.ports import Trust
from lambdamesh.protocol.link_frames import Hello

log = structlog.get_logger(__name__)

CONNECT_S = 3.0
"""How long a host has to answer at all."""
_BACKLOG = 512
_REMEMBERED = 1024


class Unreachable(Exception):
    """A node could not be reached; the text says why. ``is_refusal`` where it was there and did not want this node."""

    def __init__(self, why: str, *, is_refusal: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_refusal = is_refusal


def split(address: str) -> tuple[str, int]:
    """Take ``host:port`` or ``[v6]:port`` apart."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def dial(address: str, connection: Connection, trust: Trust, hello_s: float) -> Hello:
    """Connect to ``address``, prove who this is, and return what the other side says in its hello.

    Raises:
        Unreachable: it cannot be had.
    """
    host, port = split(address)
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    try:
        async with asyncio.timeout(CONNECT_S):
            sock = await _connect(host, port)
    except TimeoutError:
        raise Unreachable(f"{address} does not answer: is the host up, and the port open?") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
        raise Unreachable(f"{address}: {reason}: does a node run there, with its mesh door on that address?") from None
    try:
        async with asyncio.timeout(hello_s):
            await loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=trust.client_context(),
                server_hostname="",
                ssl_handshake_timeout=hello_s,
            )
    except Exception as error:
        with contextlib.suppress(OSError):
            sock.close()
        raise Unreachable(f"{address}: {trust.handshake_failure(error, is_server=False)}", is_refusal=True) from None
    try:
        async with asyncio.timeout(hello_s):
            hello = await asyncio.shield(connection.greeting)
    except TimeoutError:
        connection.fail("it said no hello in time")
        raise Unreachable(f"{address} said no hello in time: is that a lambdamesh node?") from None
    except Exception as error:
        why = connection.why or trust.handshake_failure(error, is_server=False)
        raise Unreachable(f"{address}: {why}", is_refusal=True) from None
    if connection.why:
        # Under its hello the other side has said goodbye.
        raise Unreachable(f"{address}: {connection.why}", is_refusal=True)
    return hello


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: OSError = OSError("no such host")
    for family, kind, protocol, _, target in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, target)
        except OSError as error:
            failed = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


class MeshDoor:
    """Listens for other nodes, and takes nothing else. ``most`` connections may be without a hello at a time."""

    def __init__(self, sock: socket.socket, connection: Callable[[], Connection], trust: Trust, hello_s: float) -> None:
        self._socket = sock
        self._connection = connection
        self._trust = trust
        self._hello_s = hello_s
        self._loop = asyncio.get_running_loop()
        self._arriving: dict[asyncio.Task[None], None] = {}
        self._most = 256
        self._logged: dict[tuple[str, str], float] = {}
        self.turned_away: Callable[[], None] = lambda: None
        self._listening: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens: ``host:port`` or ``[v6]:port``."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self, most: int) -> None:
        """Take connections."""
        self._most = most
        self._listening = self._loop.create_task(self._listen())

    def close(self) -> None:
        """Take no more."""
        if self._listening is not None:
            self._listening.cancel()
        for task in tuple(self._arriving):
            task.cancel()
        self._socket.close()

    async def _listen(self) -> None:
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("mesh_door_paused", why=str(error), once_a_minute=True)
                await asyncio.sleep(0.25)
                continue
            if len(self._arriving) >= self._most:
                accepted.close()
                self.turned_away()
                self._log(str(peer[0]), "as many connections as may be have not said hello yet")
                continue
            task = self._loop.create_task(self._welcome(accepted, peer[0]))
            self._arriving[task] = None
            task.add_done_callback(lambda done: self._arriving.pop(done, None))

    async def _welcome(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        connection = self._connection()
        try:
            # What it returns is not our protocol on every loop.
            await self._loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=self._trust.server_context(), ssl_handshake_timeout=self._hello_s
            )
        except Exception as error:
            accepted.close()
            self.turned_away()
            self._log(peer, self._trust.handshake_failure(error, is_server=True))
            return
        try:
            await asyncio.shield(connection.greeting)
        except Exception as error:
            if connection.is_oneself:
                return
            self._log(peer, connection.why or self._trust.handshake_failure(error, is_server=True))

    def _log(self, peer: str, why: str) -> None:
        now = self._loop.time()
        if now - self._logged.get((peer, why), -60.0) < 60:
            return
        if len(self._logged) >= _REMEMBERED:
            self._logged.clear()
        self._logged[peer, why] = now
        log.warning("link_refused", peer=peer, why=why)


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        OSError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
