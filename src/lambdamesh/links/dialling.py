"""Dialling another node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from lambdamesh.links.connection import Connection
from lambdamesh.links.ports import Trust
from lambdamesh.links.preamble import preamble
from lambdamesh.protocol.link_frames import Hello

CONNECT_S = 3.0
"""How long a host has to answer at all."""


class Unreachable(Exception):
    """A node could not be reached; the text says why. ``is_refusal`` where it was there and did not want this node."""

    def __init__(self, why: str, *, is_refusal: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_refusal = is_refusal


def split(address: str) -> tuple[str, int]:
    """Take ``host:port`` or ``[v6]:port`` apart. Raises: ValueError."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def dial(address: str, connection: Connection, trust: Trust, hello_s: float, worker: int | None = None) -> Hello:
    """Connect to ``address``, prove who this is, and return what the other side says in its hello.

    ``worker`` is the one of a node with several who is wanted; ``None`` where any will do.

    Raises:
        Unreachable: it cannot be had.
    """
    loop = asyncio.get_running_loop()
    sock = await _reach(address)
    try:
        async with asyncio.timeout(hello_s):
            if worker is not None:
                await loop.sock_sendall(sock, preamble(worker))
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


async def _reach(address: str) -> socket.socket:
    """Connect to ``address``. Raises: Unreachable."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await _connect(*split(address))
    except TimeoutError:
        raise Unreachable(f"{address} does not answer: is the host up, and the port open?") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
        raise Unreachable(f"{address}: {reason}: does a node run there, with its mesh door on that address?") from None
    except Exception as error:
        # What is no address at all is refused by whatever looks at it first, each in its own way.
        raise Unreachable(
            f"{address!r} cannot be dialled ({error}): mend --peer, or the --advertise of the node that gives it"
        ) from None


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: OSError = OSError("no such host")
    try:
        # Addresses are not looked up behind names that nobody answers for.
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        places = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, target in places:
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
