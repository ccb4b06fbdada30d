"""By which address others may reach this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from lambdamesh.directory import own_address
from lambdamesh.directory.own_address import address_of_name, address_towards, is_for_others, places

Resolving = Callable[..., None]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Resolving:
    """Give names addresses: ``resolving(a="10.0.0.1")``. Others have none."""

    def give(**names: str) -> None:
        async def look_up(host: str, port: int, family: int) -> list[tuple[str, tuple[str, int]]]:
            found = names.get(host.replace(".", "_"), "").split()
            return [(ip, (ip, port)) for ip in found if (":" in ip) == (family == socket.AF_INET6)]

        monkeypatch.setattr(own_address, "_look_up", look_up)
        monkeypatch.setattr(socket, "socket", _Socket)

    return give


class _Socket:
    """A machine that is 192.0.2.1 to others, and has no way to 203.0.113.0/24."""

    def __init__(self, *_: Any) -> None:
        self._own = ""

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def connect(self, place: tuple[str, int]) -> None:
        if place[0].startswith("203.0.113."):
            raise OSError(101, "Network is unreachable")
        self._own = place[0] if place[0] in ("127.0.0.1", "::1") else "2001:db8::1" if ":" in place[0] else "192.0.2.1"

    def getsockname(self) -> tuple[str, int]:
        return self._own, 4711


def test_everybody_that_a_node_is_told_to_look_for() -> None:
    assert places(("a:1", "[::1]:2"), "b:4222,tls://u:p@c") == [("a", 1), ("::1", 2), ("b", 4222), ("c", 4222)]
    assert places((), None) == []


async def test_the_first_that_can_be_looked_up_shows_it(resolving: Resolving) -> None:
    resolving(b="10.0.0.7")
    assert await address_towards([("nowhere.invalid", 1), ("b", 1)], socket.AF_INET) == "192.0.2.1"
    assert await address_towards([("nowhere.invalid", 1)], socket.AF_INET) == ""
    assert await address_towards([], socket.AF_INET) == ""


async def test_what_leads_out_of_the_machine_goes_before_what_does_not(resolving: Resolving) -> None:
    resolving(localhost="127.0.0.1", b="10.0.0.7")
    assert await address_towards([("localhost", 1), ("b", 1)], socket.AF_INET) == "192.0.2.1"
    assert await address_towards([("localhost", 1)], socket.AF_INET) == "127.0.0.1"


async def test_an_address_without_a_way_to_it_is_passed_over(resolving: Resolving) -> None:
    resolving(b="203.0.113.5 10.0.0.7")
    assert await address_towards([("b", 1)], socket.AF_INET) == "192.0.2.1"


async def test_it_is_one_on_which_the_door_listens(resolving: Resolving) -> None:
    resolving(b="fd00::7 10.0.0.7", c="fd00::8")
    assert await address_towards([("b", 1)], socket.AF_INET6) == "2001:db8::1"
    assert await address_towards([("c", 1)], socket.AF_INET) == ""


async def test_the_address_of_the_own_name_is_none_of_loopback(resolving: Resolving) -> None:
    resolving(box="127.0.1.1 10.0.0.9", lonely="127.0.1.1")
    assert await address_of_name("box", socket.AF_INET) == "10.0.0.9"
    assert await address_of_name("lonely", socket.AF_INET) == ""
    assert await address_of_name("unknown", socket.AF_INET) == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "fe80::1%eth0", "169.254.1.1"])
def test_what_others_cannot_dial(address: str) -> None:
    assert not is_for_others(address)


async def test_the_system_is_asked() -> None:
    assert await address_towards([("a..b", 1), ("127.0.0.1", 1)], socket.AF_INET) == "127.0.0.1"
