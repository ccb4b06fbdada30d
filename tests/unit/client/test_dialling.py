"""What picows writes is gathered, and goes out in the order in which it was written."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, cast

from lambdamesh.client.dialling import Wire


class Loop:
    """A loop whose turns are taken by hand."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Transport:
    """A transport that keeps what was written, and what was done to it."""

    def __init__(self, sock: Any = None) -> None:
        self.done: list[bytes | str] = []
        self._sock = sock
        self._is_closing = False

    def write(self, piece: bytes) -> None:
        self.done.append(piece)

    def close(self) -> None:
        self.done.append("close")
        self._is_closing = True

    def abort(self) -> None:
        self.done.append("abort")
        self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._sock if name == "socket" else default


def wired(sock: Any = None) -> tuple[Wire, Transport, Loop]:
    transport, loop = Transport(sock), Loop()
    return Wire(cast("Any", transport), cast("Any", loop)), transport, loop


def test_one_turn_is_one_write() -> None:
    wire, transport, loop = wired()
    wire.write(b"a")
    wire.writelines([b"b", b"c"])
    assert transport.done == []
    loop.turn()
    wire.write(b"d")
    loop.turn()
    assert transport.done == [b"abc", b"d"]


def test_much_does_not_wait_for_the_turn() -> None:
    wire, transport, loop = wired()
    wire.write(b"a")
    wire.write(b"x" * 70_000)
    assert transport.done == [b"a" + b"x" * 70_000]
    wire.write(b"b")
    loop.turn()
    assert transport.done[1:] == [b"b"]


def test_a_close_comes_last() -> None:
    wire, transport, loop = wired()
    wire.write(b"a")
    wire.close()
    wire.write(b"b")
    loop.turn()
    assert transport.done == [b"a", "close"]


def test_an_abort_forgets_what_waits() -> None:
    wire, transport, loop = wired()
    wire.write(b"a")
    wire.abort()
    loop.turn()
    assert transport.done == ["abort"]


def test_picows_never_writes_past_it() -> None:
    assert wired()[0].get_write_buffer_size() > 0


def test_a_unix_socket_takes_any_tcp_option() -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        seen = wired(unix)[0].get_extra_info("socket")
        seen.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert seen.fileno() == unix.fileno()
        assert wired(tcp)[0].get_extra_info("socket") is tcp
