"""What the system lets one process have: open files, waiting connections, ports, memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings, size_text
from lambdamesh.door.listening import BACKLOG, connection_limit
from lambdamesh.settings import Tcp, parse_address

CHECK = "limits"
FEW_CONNECTIONS = 1000
"""A limit of open files that leaves less room than this is one that nobody chose for a server."""
_SYSCTL = Path("/proc/sys")
_CGROUP = Path("/sys/fs/cgroup")


def system_limits(around: Surroundings) -> Iterator[Finding]:
    """Each limit of the system against what the node would want of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield open_files(around.settings.limits.connections, connection_limit(), soft, hard)
    yield from waiting_connections(_number(_SYSCTL / "net/core/somaxconn"))
    ports = {address.port for address in map(parse_address, _addresses(around)) if isinstance(address, Tcp)}
    yield from outgoing_ports(ports, _ports("ip_local_port_range"), _ports("ip_local_reserved_ports"))
    yield from memory(around.settings.limits.buffered_bytes, _memory_bytes())


def _addresses(around: Surroundings) -> Iterator[str]:
    yield from around.settings.local
    if around.settings.mesh_address is not None:
        yield around.settings.mesh_address


def open_files(wanted: int, room: int, soft: int, hard: int) -> Finding:
    """Whether the limit of open files has room for the connections that are ``wanted``; 0: as many as there may be.

    ``room`` is how many connections a node has with the limit raised as far as it goes.
    """
    limit = f"open files {soft:,}, at most {hard:,}"
    more = max(wanted, FEW_CONNECTIONS) + hard - room
    fix = f"ulimit -Hn {more}  # as root, before the node starts; under systemd LimitNOFILE={more} in the unit"
    if wanted > room:
        what = f"limits.connections is {wanted:,}, and there is room for {room:,} ({limit})"
        return Finding(CHECK, State.WRONG, what, fix)
    if not wanted and room < FEW_CONNECTIONS:
        return Finding(CHECK, State.WARNING, f"there is room for {room:,} connections only ({limit})", fix)
    return Finding(CHECK, State.OK, f"room for {wanted or room:,} connections ({limit})")


def waiting_connections(allowed: int | None) -> Iterator[Finding]:
    """Whether as many connections may wait for the node to accept them as it wants to."""
    if allowed is None or allowed >= BACKLOG:
        return
    what = f"{allowed:,} connections may wait to be accepted, and the node wants {BACKLOG:,}: a rush of them is refused"
    yield Finding(CHECK, State.WARNING, what, f"sudo sysctl -w net.core.somaxconn={BACKLOG}")


def outgoing_ports(ports: set[int], handed_out: list[range], kept: list[range]) -> Iterator[Finding]:
    """Whether a port of a door may be taken by somebody's outgoing connection while the node is down."""
    open_to_all = [
        port
        for port in sorted(ports)
        if any(port in some for some in handed_out) and not any(port in some for some in kept)
    ]
    # What is set takes the place of what was: those that others have kept stay, and one line serves for all of ours.
    listed = ",".join([*(f"{some.start}-{some.stop - 1}" for some in kept), *map(str, open_to_all)])
    for port in open_to_all:
        what = f"port {port} is one that the system hands out to outgoing connections: it may be taken at a restart"
        yield Finding(CHECK, State.WARNING, what, f"sudo sysctl -w net.ipv4.ip_local_reserved_ports={listed}")


def memory(buffered_bytes: int, allowed_bytes: int | None) -> Iterator[Finding]:
    """Whether unfinished bodies may hold more than there is."""
    if allowed_bytes is None or buffered_bytes * 2 <= allowed_bytes:
        return
    fitting = max(allowed_bytes // 4, 1)
    what = (
        f"limits.buffered_bytes lets unfinished bodies hold {size_text(buffered_bytes)}, and there are "
        f"{size_text(allowed_bytes)} of memory here for everything"
    )
    yield Finding(CHECK, State.WARNING, what, f"LAMBDAMESH_BUFFERED_BYTES={fitting} lambdamesh serve")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _ports(name: str) -> list[range]:
    try:
        text = (_SYSCTL / "net/ipv4" / name).read_text("ascii")
    except OSError:
        return []
    return ranges_of(text, is_pair=name.endswith("_range"))


def ranges_of(text: str, *, is_pair: bool) -> list[range]:
    """Ports as the system writes them: two that are first and last (``is_pair``), or ``80,8000-8080``."""
    if is_pair:
        first, last = text.split()
        return [range(int(first), int(last) + 1)]
    found = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.append(range(int(first), int(last or first) + 1))
    return found


def _memory_bytes() -> int | None:
    """What this process may have: that of the machine, or less where its control group says so."""
    found: list[int] = []
    try:
        total = Path("/proc/meminfo").read_text("ascii").partition("MemTotal:")[2].split()[0]
        found.append(int(total) * 1024)
        group = Path("/proc/self/cgroup").read_text("ascii").partition("0::")[2].split("\n")[0]
    except (OSError, ValueError, IndexError):
        group = ""
    folder = _CGROUP / group.lstrip("/")
    for place in (folder, *folder.parents):
        limit = _number(place / "memory.max")
        if limit is not None:
            found.append(limit)
        if place == _CGROUP:
            break
    return min(found, default=None)
