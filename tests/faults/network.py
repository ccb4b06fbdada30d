"""A network of hosts that are namespaces of this machine, with a switch between them, and what can be done to cables."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator

from tests.integration.mesh.namespaces import Host, ip

_NOWHERE = "02:00:00:00:00:99"
"""The address of a card that nobody has: what is sent there is lost on the wire, and nobody is told."""
_OFF, _FORWARDING = "0", "3"
_MISHAPS = (OSError, subprocess.TimeoutExpired)
MESH_PORT = 7631


class NoNetwork(Exception):
    """There can be no namespaces here; the text says why."""


class Network:
    """Hosts in a row, ``node1`` and on, and the switch, on which servers may run."""

    def __init__(self, count: int) -> None:
        mark = secrets.token_hex(3)
        self._net = f"10.78.{int(mark[:2], 16)}"
        self.switch = Host(f"lm{mark}s", f"{self._net}.254", "lmbr")
        self.hosts = {
            f"node{number}": Host(f"lm{mark}n{number}", f"{self._net}.{number}", "eth0")
            for number in range(1, count + 1)
        }

    def build(self) -> None:
        """Make all of it. Raises: OSError, TimeoutExpired."""
        switch = self.switch.name
        for host in (self.switch, *self.hosts.values()):
            ip("netns", "add", host.name)
            ip("-n", host.name, "link", "set", "lo", "up")
        ip("-n", switch, "link", "add", "lmbr", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        ip("-n", switch, "address", "add", f"{self.switch.address}/24", "dev", "lmbr")
        ip("-n", switch, "link", "set", "lmbr", "up")
        for name, host in self.hosts.items():
            ip("link", "add", name, "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            ip("-n", switch, "link", "set", name, "master", "lmbr", "up")
            ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            host.mend()

    def remove(self) -> None:
        """Remove what there is of it. The cables go with their ends."""
        for host in (self.switch, *self.hosts.values()):
            with contextlib.suppress(*_MISHAPS):
                ip("netns", "delete", host.name)

    def swallow(self, name: str, *, is_on: bool) -> None:
        """Have the switch lose all that comes from and goes to a host; its card and its cable look well."""
        state = _OFF if is_on else _FORWARDING
        done = subprocess.run(
            ["bridge", "-n", self.switch.name, "link", "set", "dev", name, "state", state],
            capture_output=True,
            text=True,
            timeout=10,
        )
        if done.returncode:
            raise OSError(f"bridge: {done.stderr.strip()}")

    def deafen(self, name: str, other: str, *, is_on: bool) -> None:
        """Lose whatever one host sends to another; what the other sends arrives."""
        host, address = self.hosts[name], self.hosts[other].address
        if is_on:
            ip("-n", host.name, "neigh", "replace", address, "lladdr", _NOWHERE, "dev", "eth0", "nud", "permanent")
        else:
            with contextlib.suppress(OSError):  # a card that went down in the meantime has forgotten it
                ip("-n", host.name, "neigh", "delete", address, "dev", "eth0")


@contextlib.contextmanager
def network(count: int) -> Iterator[Network]:
    """A network of so many hosts for as long as the block lasts. Raises: NoNetwork."""
    if os.geteuid():
        raise NoNetwork("only root makes network namespaces")
    made = Network(count)
    try:
        try:
            made.build()
        except _MISHAPS as error:
            raise NoNetwork(f"no network namespaces here: {error}") from None
        yield made
    finally:
        made.remove()
