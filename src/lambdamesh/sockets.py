"""The listening sockets of a node's doors, as its settings name them: for one process, or one of each a worker."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import structlog

from lambdamesh.door.listening import bind_tcp, listen_tcp, listen_unix
from lambdamesh.settings import ConfigError, Settings, Tcp, Unix, parse_address, parse_mesh_door

log = structlog.get_logger(__name__)

IS_SPREAD = sys.platform == "linux"
"""Whether the system spreads connections over several sockets with one address; else the workers share one."""
_NOT_THERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Open = Callable[[Tcp], socket.socket]


class Sockets(NamedTuple):
    """Those of one worker: of its local doors, and of its mesh door if there is one."""

    local: list[socket.socket]
    mesh: socket.socket | None = None

    def close(self, *, with_files: bool) -> None:
        """Close them; ``with_files`` removes the files of Unix sockets."""
        for sock in (*self.local, *((self.mesh,) if self.mesh is not None else ())):
            if with_files and sock.family == socket.AF_UNIX and sock.fileno() >= 0:
                Path(sock.getsockname()).unlink(missing_ok=True)
            sock.close()


def open_local(settings: Settings) -> list[socket.socket]:
    """Listen on every address of the local door.

    Raises:
        ConfigError: one of them cannot be had.
    """
    return [sock for [sock] in _local(settings, lambda tcp: [listen_tcp(tcp.host, tcp.port, _patience_s(settings))], 1)]


def open_mesh(settings: Settings) -> socket.socket:
    """Listen on the address of the mesh door. Raises: ConfigError."""
    text = settings.mesh_address or ""
    return _mesh(text, lambda tcp: [listen_tcp(tcp.host, tcp.port, _patience_s(settings))])[0]


def share(settings: Settings, workers: int) -> list[Sockets]:
    """Take the addresses of all doors for so many workers, each of which is to listen itself.

    Raises:
        ConfigError: one of them cannot be had.
    """

    def spread(tcp: Tcp) -> list[socket.socket]:
        return _spread(tcp, workers, _patience_s(settings))

    of_addresses = _local(settings, spread, workers)
    mesh: list[socket.socket] = []
    try:
        mesh = _mesh(settings.mesh_address, spread) if settings.mesh_address is not None else []
    except ConfigError:
        _close(sock for socks in of_addresses for sock in socks)
        raise
    local = [list(socks) for socks in zip(*of_addresses, strict=True)]
    return [Sockets(local[worker], mesh[worker] if mesh else None) for worker in range(workers)]


def _local(
    settings: Settings, open_tcp: Callable[[Tcp], list[socket.socket]], workers: int
) -> list[list[socket.socket]]:
    opened: list[list[socket.socket]] = []
    is_default = settings.local == Settings().local
    for text in settings.local:
        address = parse_address(text)
        try:
            if isinstance(address, Unix):
                sock = listen_unix(address.path)
                opened.append([sock, *(sock.dup() for _ in range(workers - 1))])
            else:
                opened.append(open_tcp(address))
        except OSError as error:
            if is_default and error.errno in _NOT_THERE and opened:
                log.info("address_not_there", address=text)
                continue
            _close(sock for socks in opened for sock in socks)
            reason = error.strerror or str(error)
            raise ConfigError(f"local = {text}: cannot listen there ({reason}): choose another with --local") from None
    return opened


def _mesh(text: str, open_tcp: Callable[[Tcp], list[socket.socket]]) -> list[socket.socket]:
    try:
        return open_tcp(parse_mesh_door(text))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"mesh = {text}: cannot listen there ({reason}): choose another with --mesh") from None


def _spread(tcp: Tcp, workers: int, user_timeout_s: float) -> list[socket.socket]:
    # Sockets that may be shared are so with another node of the same user too: see first that there is none.
    first = listen_tcp(tcp.host, tcp.port, user_timeout_s)
    if not IS_SPREAD:
        return [first, *(first.dup() for _ in range(workers - 1))]
    port = first.getsockname()[1]
    first.close()
    return [bind_tcp(tcp.host, port, user_timeout_s, is_shared=True) for _ in range(workers)]


def _patience_s(settings: Settings) -> float:
    return settings.limits.write_deadline_s


def _close(socks: Iterable[socket.socket]) -> None:
    for sock in socks:
        sock.close()
