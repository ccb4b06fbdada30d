"""Who listens on a port of this machine, as far as /proc lets this user see (Linux)."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Process:
    """A process, and the one that started it. ``name`` is that of its program: arguments may hold what is secret."""

    pid: int
    name: str
    parent: int = 0

    @property
    def text(self) -> str:
        """It, for people."""
        return f"{self.name} (pid {self.pid})"


def listeners_of(host: str, port: int) -> list[Process]:
    """The processes that have a socket listening on an address; none where that cannot be seen."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        try:
            wanted = ipaddress.ip_address(socket.gethostbyname(host))
        except OSError:
            return []
    rows = [*_rows(_PROC / "net/tcp"), *_rows(_PROC / "net/tcp6")]
    sockets = {f"socket:[{inode}]" for address, at, inode in rows if at == port and _meet(address, wanted)}
    return list(_owners(sockets)) if sockets else []


def _meet(one: IpAddress, other: IpAddress) -> bool:
    return one == other or one.is_unspecified or other.is_unspecified


def _rows(table: Path) -> Iterator[tuple[IpAddress, int, str]]:
    """Address, port and inode of each listening socket."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 9 and words[3] == _LISTENING:
            host, _, port = words[1].partition(":")
            yield address_of(host), int(port, 16), words[9]


def address_of(text: str) -> IpAddress:
    """An address as the kernel writes it there: hex digits of its 32-bit words, each as this machine holds it."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))


def _owners(sockets: Iterable[str]) -> Iterator[Process]:
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and any(link in sockets for link in _open_files(folder)):
            yield Process(int(folder.name), _name(folder), _parent(folder))


def _open_files(folder: Path) -> Iterator[str]:
    try:
        for file in (folder / "fd").iterdir():
            yield str(file.readlink())
    except OSError:
        return


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a process"


def _parent(folder: Path) -> int:
    try:
        # The name before it is in brackets, and may hold some itself.
        return int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
