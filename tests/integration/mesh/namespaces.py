"""Hosts that are network namespaces of this machine: each has its own addresses, and a cable that can be cut."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words: str) -> None:
    """Run the command of that name. Raises: OSError with what it said."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Host:
    """One namespace. ``address`` is its own on the cable to the other."""

    def __init__(self, name: str, address: str, card: str) -> None:
        self.name = name
        self.address = address
        self._card = card

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What this thread starts and opens within belongs to the host."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(own)
        finally:
            os.close(there)
            os.close(own)

    def cut(self) -> None:
        """Pull the cable out: nothing comes and nothing goes, and nobody is told."""
        ip("-n", self.name, "link", "set", self._card, "down")

    def mend(self) -> None:
        """Put it in again."""
        ip("-n", self.name, "link", "set", self._card, "up")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts with a cable between them, removed at the end; skips the test where there can be none."""
    mark = secrets.token_hex(3)
    names = [f"lm{mark}{side}" for side in "ab"]
    cards = [f"v{mark}{side}" for side in "ab"]
    hosts = [
        Host(name, f"10.77.{int(mark[:2], 16)}.{number}", card)
        for number, (name, card) in enumerate(zip(names, cards, strict=True), 1)
    ]
    if os.geteuid():
        _skip("only root makes network namespaces")
    try:
        try:
            for host in hosts:
                ip("netns", "add", host.name)
            ip("link", "add", cards[0], "netns", names[0], "type", "veth", "peer", "name", cards[1], "netns", names[1])
            for host, card in zip(hosts, cards, strict=True):
                ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", card)
                ip("-n", host.name, "link", "set", "lo", "up")
                ip("-n", host.name, "link", "set", card, "up")
        except (OSError, subprocess.TimeoutExpired) as error:
            _skip(f"no network namespaces here: {error}")
        yield hosts[0], hosts[1]
    finally:
        for host in hosts:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                # The cable goes with either of its ends.
                ip("netns", "delete", host.name)


def _skip(reason: str) -> None:
    print(reason)
    pytest.skip(reason)
