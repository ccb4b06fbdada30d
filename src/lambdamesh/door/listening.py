"""Listening sockets, and how many connections may come through them at once.

Accepting is done here and not by the event loop's server, so that it can pause: a node that is out of file descriptors
leaves newcomers in the kernel's queue, and goes on with whoever is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import select
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.wheel import Wheel

log = structlog.get_logger(__name__)

BACKLOG = 1024
_GONE = getattr(select, "POLLRDHUP", 0)
_UNSENT_BYTES = 64 * 1024
_INT_MAX = 2**31 - 1
_ACCEPTS_PER_WAKE = 64
_LAST_WAKES = 4 * BACKLOG // _ACCEPTS_PER_WAKE
"""A flood of newcomers has no last one: room enough for all who were there when it began to end."""
_RETRY_S = 0.25
_RESERVED_DESCRIPTORS = 64
_LEAST_CONNECTIONS = 16
_OUT_OF_RESOURCES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Population:
    """The connections of all listeners together, ``limit`` at most."""

    __slots__ = ("_clock", "_counters", "_listeners", "_wheel", "limit", "open")

    def __init__(self, limit: int, counters: Counters, wheel: Wheel, clock: Clock) -> None:
        self.limit = limit
        self.open = 0
        self._counters = counters
        self._wheel = wheel
        self._clock = clock
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Count the connections of ``listener`` too."""
        self._listeners.append(listener)

    def entered(self) -> None:
        """A connection has been accepted."""
        self.open += 1
        self._counters.connections_opened += 1

    def left(self) -> None:
        """A connection has ended."""
        self.open -= 1

    def pause(self, why: str) -> None:
        """Leave newcomers in the kernel's queue for a while."""
        self._counters.connections_refused += 1
        log.warning("accepting_paused", why=why, open=self.open, limit=self.limit, once_a_minute=True)
        for listener in self._listeners:
            listener.pause()
        self._wheel.add(self, self._clock.now + _RETRY_S)

    def expire(self, now: float) -> None:
        """Look whether there is room again (``Expiring``)."""
        if self.open >= self.limit:
            self._wheel.add(self, now + _RETRY_S)
            return
        for listener in self._listeners:
            listener.resume()


class Listener:
    """Accepts connections of one listening socket; ``protocol`` makes what speaks on each, given the peer's address.

    ``is_last`` says that nobody comes after it who would accept on copies of a TCP socket that other processes have.
    """

    is_last = False

    def __init__(
        self, sock: socket.socket, population: Population, protocol: Callable[[str], asyncio.BaseProtocol]
    ) -> None:
        self._socket = sock
        self._population = population
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._is_accepting = self._is_listening = False
        self._arriving: set[asyncio.Task[None]] = set()
        population.add(self)

    @property
    def address(self) -> str:
        """``host:port``, ``[v6]:port`` or ``unix:/path``."""
        return address_text(self._socket)

    def resume(self) -> None:
        """Accept. A socket that was only bound listens from the first time on."""
        if not self._is_listening:
            self._is_listening = True
            self._socket.listen(BACKLOG)
        if not self._is_accepting and self._socket.fileno() >= 0:
            self._is_accepting = True
            self._loop.add_reader(self._socket.fileno(), self._accept)

    def pause(self) -> None:
        """Accept no more for now."""
        if self._is_accepting:
            self._is_accepting = False
            self._loop.remove_reader(self._socket.fileno())

    async def finish(self) -> None:
        """Stop listening once whoever has connected is in: what is closed in the queue looks like a lost call."""
        is_accepting = self._is_accepting
        self.pause()
        for _ in range(_LAST_WAKES):
            if not (is_accepting and self._accept()):
                break
        if self.is_last and self._socket.family != socket.AF_UNIX and self._socket.fileno() >= 0:
            # A copy would go on to take connections, for nobody.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)
        self._socket.close()
        while self._arriving:
            await asyncio.wait(self._arriving)

    def close(self) -> None:
        """Stop listening."""
        self.pause()
        self._socket.close()

    def _accept(self) -> bool:
        """Take those who have connected; return whether there may be more."""
        population = self._population
        for _ in range(_ACCEPTS_PER_WAKE):
            if population.open >= population.limit:
                population.pause("as many connections are open as may be")
                return False
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    population.pause(os.strerror(error.errno))
                    return False
                continue
            accepted.setblocking(False)
            population.entered()
            # asyncio attaches accepted sockets in a coroutine only: one task a connection, gone before its first byte.
            task = self._loop.create_task(self._attach(accepted, peer))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)
        return True

    async def _attach(self, accepted: socket.socket, peer: object) -> None:
        name = sys.intern(str(peer[0])) if isinstance(peer, tuple) else "unix"
        try:
            await self._loop.connect_accepted_socket(lambda: self._protocol(name), accepted)
        except Exception:
            log.exception("accept_failed", once_a_minute=True)
            self._population.left()
            accepted.close()


def address_text(sock: socket.socket) -> str:
    """Where a socket listens: ``host:port``, ``[v6]:port`` or ``unix:/path``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def connection_limit() -> int:
    """Raise the limit of file descriptors as far as it goes; return how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(soft - _RESERVED_DESCRIPTORS, _LEAST_CONNECTIONS)


def has_gone(fileno: int) -> bool:
    """Whether the other side of a connected socket has closed it, even behind bytes that nobody has read."""
    poll = select.poll()
    poll.register(fileno, _GONE)
    return bool(poll.poll(0))


def listen_tcp(host: str, port: int, user_timeout_s: float) -> socket.socket:
    """Listen on an address; accepted sockets inherit its options.

    ``user_timeout_s`` is how long sent bytes may go unacknowledged (RFC 5482).

    Raises:
        OSError: it cannot be had.
    """
    sock = bind_tcp(host, port, user_timeout_s)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bind_tcp(host: str, port: int, user_timeout_s: float, *, is_shared: bool = False) -> socket.socket:
    """The same without listening yet. Several ``is_shared`` sockets of one user may have one address: connections are
    spread over those that listen.

    Raises:
        OSError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _set_user_timeout(sock, user_timeout_s)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def listen_unix(path: str) -> socket.socket:
    """Listen on a socket file that only its owner can open, in place of one that nobody listens on.

    Raises:
        OSError: it cannot be had.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_dead(path: str) -> None:
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise OSError(errno.EADDRINUSE, f"{path} is there and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, f"somebody listens on {path}")


def be_patient(transport: asyncio.Transport, user_timeout_s: float) -> None:
    """Have the system wait so long for the other side to take something, and hold little that it has not taken."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):
        _set_user_timeout(sock, user_timeout_s)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


def _set_user_timeout(sock: socket.socket, user_timeout_s: float) -> None:
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, min(int(user_timeout_s * 1000), _INT_MAX))
