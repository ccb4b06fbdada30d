"""The nodes that this one is told to join: whether each is there, and of the same mesh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import msgspec

from lambdamesh.access.mesh_trust import MeshTrust, TrustError
from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.secret_files import trust_of
from lambdamesh.cli.checks.surroundings import LOOK_S, Surroundings
from lambdamesh.directory.names import address_text, look_up, parse_peer
from lambdamesh.ids import machine_id_text
from lambdamesh.protocol.link_frames import Goodbye, Kind, frame
from lambdamesh.settings import Tcp, parse_mesh_door

CHECK = "peers"
_GOODBYE = frame(Kind.GOODBYE, 0, msgspec.json.encode(Goodbye("it was only asked who it is")))
_ADDRESSES = 8
"""How many addresses of one name are asked."""


async def peers(around: Surroundings) -> list[Finding]:
    """Each ``--peer``: its name is looked up, and each of its addresses dialled as a node would."""
    if not around.settings.peer:
        return []
    try:
        trust = trust_of(around)
    except TrustError:
        # What is wrong with it is told elsewhere; that they answer at all is worth knowing.
        trust = None
    looks = await asyncio.gather(*(_peer(text, trust, around) for text in around.settings.peer))
    return [*_unreachable_for_them(around), *(finding for findings in looks for finding in findings)]


def _unreachable_for_them(around: Surroundings) -> Iterator[Finding]:
    """A mesh door that only this machine can reach, while others are to."""
    settings = around.settings
    door = parse_mesh_door(settings.mesh_address or "")
    foreign = [text for text in settings.peer if not _is_loopback(text)]
    if door.loopback and foreign and not settings.advertise:
        what = f"the mesh door {door.text} can be reached from this machine alone, and {foreign[0]} is on another"
        yield Finding(CHECK, State.WARNING, what, f"lambdamesh serve --mesh 0.0.0.0:{door.port}")


def _is_loopback(peer: str) -> bool:
    return Tcp(*parse_peer(peer)).loopback


async def _peer(text: str, trust: MeshTrust | None, around: Surroundings) -> list[Finding]:
    host, port = parse_peer(text)
    try:
        async with asyncio.timeout(LOOK_S):
            found = await look_up(host, port)
    except (OSError, TimeoutError) as error:
        why = "nobody answers for it in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return [Finding(CHECK, State.WRONG, f"{text}: {host} cannot be looked up ({why})", f"getent hosts {host}")]
    asked = (_address(text, address_text(ip, port), trust, around) for ip in found[:_ADDRESSES])
    return list(await asyncio.gather(*asked))


async def _address(name: str, place: str, trust: MeshTrust | None, around: Surroundings) -> Finding:
    shown = name if name == place else f"{name} ({place})"
    try:
        sock = await _reach(place)
    except OSError as error:
        is_silent = isinstance(error, TimeoutError)
        why = "it does not answer" if is_silent else os.strerror(error.errno) if error.errno else str(error)
        port = place.rpartition(":")[2]
        fix = f"on that machine: lambdamesh doctor; is its mesh door on port {port}, and open in its firewall?"
        return Finding(CHECK, State.WRONG, f"{shown}: {why}", fix)
    if trust is None:
        sock.close()
        return Finding(CHECK, State.WARNING, f"{shown} answers; whether it is of this mesh cannot be asked")
    try:
        machine = await _shake_hands(sock, trust)
    except Exception as error:
        what, _, fix = trust.handshake_failure(error, is_server=False).rpartition(": ")
        return Finding(CHECK, State.WRONG, f"{shown}: {what or fix}", fix if what else f"lambdamesh peers, at {name}")
    if machine == around.machine():
        return Finding(CHECK, State.OK, f"{shown} is this node itself, or one with its machine id")
    return Finding(CHECK, State.OK, f"{shown} is machine {machine_id_text(machine)} of this mesh")


async def _reach(place: str) -> socket.socket:
    """Connect. Raises: OSError."""
    host, port = parse_peer(place)
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(LOOK_S):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _shake_hands(sock: socket.socket, trust: MeshTrust) -> int:
    """Prove who this is, and return which machine is at the other end; it is told nothing more.

    Raises:
        Exception: one of both refuses the other.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(LOOK_S):
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=trust.client_context(), server_hostname="", ssl_handshake_timeout=LOOK_S
            )
            machine = trust.identity(writer.get_extra_info("ssl_object"))
            # Under TLS 1.3 a node that refuses this one says so behind the handshake, and one that does not waits for a
            # hello. It gets a goodbye instead, and says one itself: so nobody takes this for a node of the mesh.
            writer.write(_GOODBYE)
            if not await reader.read(1):
                raise EOFError
            return machine
    finally:
        if writer is None:
            sock.close()
        else:
            with contextlib.suppress(Exception):
                writer.transport.abort()
