"""By which address others may reach this machine, as far as it can know that by itself."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from lambdamesh.directory.names import in_thread, parse_peer
from lambdamesh.directory.nats_access import check_nats_urls

_RESOLVE_S = 2.0
_MOST = 16
"""How many of the others are asked for: one that can be looked up is enough."""

Place = tuple[str, int]


def places(peers: Iterable[str], nats_urls: str | None) -> list[Place]:
    """Return host and port of everybody that this node is told to look for.

    Raises:
        ValueError: one of them is none.
    """
    servers = () if nats_urls is None else check_nats_urls(nats_urls)
    return [*map(parse_peer, peers), *((server.host, server.port) for server in servers)]


async def address_towards(others: Iterable[Place], family: int) -> str:
    """Return the address by which this machine talks to the first of ``others`` that can be looked up.

    One that leads out of this machine goes before one that does not; empty where there is none of ``family``.
    """
    looks = (_towards(host, port, family) for host, port in list(others)[:_MOST])
    found = [own for own in await asyncio.gather(*looks) if own]
    return next((own for own in found if is_for_others(own)), found[0] if found else "")


async def address_of_name(name: str, family: int) -> str:
    """Return the address that this machine's own name has for others; empty where it has none of ``family``."""
    found = (address for address, _ in await _look_up(name, 0, family))
    return next((address for address in found if is_for_others(address)), "")


def is_for_others(address: str) -> bool:
    """Whether other machines may reach this one by ``address``."""
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_unspecified or ip.is_link_local)


async def _towards(host: str, port: int, family: int) -> str:
    for _, place in await _look_up(host, port, family):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # A datagram socket sends nothing when it is connected.
                probe.connect(place)
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return ""


async def _look_up(host: str, port: int, family: int) -> list[tuple[str, Place]]:
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await in_thread(lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM))
    except (OSError, ValueError):
        return []
    return [(str(place[0]), (str(place[0]), int(place[1]))) for *_, place in found]
