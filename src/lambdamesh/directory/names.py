"""The names of ``--peer``: ``HOST:PORT`` taken apart, and looked up."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lambdamesh.core.peering import can_be_looked_up

Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Looks a host up: the IP addresses that it has now. Raises: OSError where it has none."""

DEFAULT_PORT = 7631
_THREADS = 256

T = TypeVar("T")


def parse_peer(text: str) -> tuple[str, int]:
    """Take ``HOST:PORT``, ``[V6]:PORT`` or ``HOST`` (port 7631) apart.

    Raises:
        ValueError: it is none of them.
    """
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(DEFAULT_PORT)
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    is_host = not set(bare) & set(" /@[]") and (is_bracketed or ":" not in bare) and can_be_looked_up(bare)
    if not is_host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT, as in b.example:7631 or [fd00::2]:7631")
    return bare, int(port)


def address_text(ip: str, port: int) -> str:
    """Write an address as it is dialled: ``10.0.0.1:7631``, ``[fd00::1]:7631``."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """Ask the system for every address of ``host``; one that is an address is not asked for.

    Raises:
        OSError: it has none, or nobody can say.
    """
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        pass
    found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


async def in_thread(work: Callable[[], T]) -> T:
    """Do what may take the system very long in a thread of its own, for which nobody waits when the process ends.

    The threads of the event loop are few: names that nobody answers for would have all of them.

    Raises:
        OSError: as many wait already as may, or what ``work`` raises.
    """
    if threading.active_count() > _THREADS:
        raise OSError("too many names are being looked up")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: T | Exception) -> None:
        if future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def run() -> None:
        try:
            outcome: T | Exception = work()
        except Exception as error:
            outcome = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="lambdamesh look-up", daemon=True).start()
    return await future
